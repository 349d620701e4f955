"""What all tests share."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _denormal_numbers_stay():
    """A job flushes denormal numbers in its process; here the next test is in the same one."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
