import pytest

from teacher_files import FITTED, HELD, TEST, write_fold


@pytest.fixture(scope="module")
def fold(tmp_path_factory):
    return write_fold(tmp_path_factory.mktemp("fold"))


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A fold whose ids look like numbers."""
    ids = [f"{number:03d}" for number in range(20, 20 + FITTED + HELD + TEST - 2)]
    return write_fold(tmp_path_factory.mktemp("numbered"), ids=[*ids, "007", "1001"])
