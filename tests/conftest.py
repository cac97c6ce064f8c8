"""Tests read English, whatever the machine speaks."""

import os

os.environ["INFRASCALE_LANG"] = "en"
