"""In which environment a result is made: Python, packages, processor, graphics card, driver."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from foldwise.common.files import canonical_sha256

PACKAGES = (
    "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "torch", "chgnet", "pymatgen",
    "matbench", "transformers", "snakemake",
)  # fmt: skip


@cache
def environment() -> dict[str, Any]:
    """Facts of this machine and this interpreter; what is absent is `None`."""
    gpu, driver = _gpu()
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "driver": driver,
    }


def environment_hash(facts: dict[str, Any]) -> str:
    """SHA-256 of an environment's facts."""
    return canonical_sha256(facts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu() -> tuple[str | None, str | None]:
    """Name of the first graphics card and version of its driver."""
    if shutil.which("nvidia-smi") is None:
        return None, None
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None, None
    name, _, driver = run.stdout.partition("\n")[0].partition(",")
    return name.strip() or None, driver.strip() or None
