"""Which Python the jobs of a call find."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def put_interpreter_first() -> None:
    """Put the folder of this interpreter first on PATH: a job's `python` is then the same one."""
    path = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])
