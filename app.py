"""`streamlit run app.py`: the web app from a checkout."""

from infrascale.app.page import main

main()
