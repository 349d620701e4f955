"""Schemas and tables of keys are what the declared configs say."""

import shutil
import subprocess
import sys

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.study.declaration import StudyFile
from maintenance.write_config_pages import with_tables
from paths import REPOSITORY

FILES = (
    "config/schemas/config.schema.json",
    "config/schemas/mlm.schema.json",
    "docs/configuration.md",
    "docs/mlm.md",
)


def checked(root):
    program = REPOSITORY / "scripts" / "maintenance" / "write_config_pages.py"
    command = [sys.executable, program, "--check", "--root", root]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_schemas_and_tables_are_those_of_the_declared_configs():
    done = checked(REPOSITORY)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_a_drift_is_found_and_named(name, tmp_path):
    for each in FILES:
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / each, tmp_path / each)
    file = tmp_path / name
    file.write_text(file.read_text().replace("CPU threads" if "mlm" in name else "Å", "inch"))
    done = checked(tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {file}: it is not what the declared config says. "
        "Run python scripts/maintenance/write_config_pages.py.\n"
    )


def test_a_marker_of_no_place_is_named():
    page = "<!-- keys: split -->\n<!-- end of keys -->"
    with pytest.raises(FoldwiseError, match="there are no keys at 'split'"):
        with_tables(page, StudyFile, "page.md")
