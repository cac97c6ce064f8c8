"""Tests read English, whatever the machine speaks."""

import os

import pytest

from infrascale.locales import speak

os.environ["INFRASCALE_LANG"] = "en"


@pytest.fixture(autouse=True)
def _nobody_speaks():
    """A language that a command was asked for ends with its test, as it ends with the process."""
    yield
    speak(None)
