"""What all tests share."""

import sys

import pytest
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("foldwise", deadline=None)
settings.load_profile("foldwise")


@pytest.fixture(autouse=True)
def _denormal_numbers_stay():
    """A job flushes denormal numbers in its process; here the next test is in the same one."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
