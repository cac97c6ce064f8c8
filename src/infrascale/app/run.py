"""What `infrascale app` hands to Streamlit."""

from infrascale.app.page import main

main()
