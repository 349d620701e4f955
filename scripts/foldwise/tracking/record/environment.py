"""In which environment a result is made: Python, packages, processor, graphics card, driver."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from foldwise.common.files import canonical_sha256


@cache
def environment() -> dict[str, Any]:
    """Facts of this machine and this interpreter; what is absent is `None`."""
    gpu, driver = _gpu()
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": _packages(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpu": gpu,
        "driver": driver,
    }


def environment_hash(facts: dict[str, Any]) -> str:
    """SHA-256 of an environment's facts."""
    return canonical_sha256(facts)


def _packages() -> dict[str, str]:
    """Version of every installed package, by its name as an index knows it, as `pip freeze`."""
    described = (each.metadata for each in distributions())  # each look reads the file anew
    found = {
        re.sub(r"[-_.]+", "-", about["Name"]).lower(): about["Version"]
        for about in described
        if about["Name"]
    }
    return dict(sorted(found.items()))


def _cpu() -> str:
    """Name of the processor's model, which neither `platform` nor psutil tells on Linux."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _gpu() -> tuple[str | None, str | None]:
    """Name of the first graphics card and version of its driver."""
    name, _, driver = (ask_driver("name,driver_version") or "").partition(",")
    return name.strip() or None, driver.strip() or None


def ask_driver(fields: str) -> str | None:
    """What `nvidia-smi --query-gpu` says of the first graphics card; `None` without a driver."""
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.partition("\n")[0].strip() or None
