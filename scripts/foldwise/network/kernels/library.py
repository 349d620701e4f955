"""Compile the kernels once per machine and network width, and load them.

The shared library lies in the user's cache folder under a name that hashes the source, the
compiler and the processor: jobs of a study share it, other processors get their own. Where there
is no C++ compiler the engine works without it, in plain PyTorch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from foldwise.common.files import atomic_path, cache_folder

SOURCE = Path(__file__).with_name("gated.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno")
_POINTERS = ("input_t", "input", "core_t", "gate_t", "core", "gate", "core_bias", "gate_bias")
_NORMS = ("core_gamma", "core_beta", "gate_gamma", "gate_beta")
_GRADIENTS = ("input_t", "core_t", "gate_t", "core_bias", "gate_bias")


class WeightPointers(ctypes.Structure):
    """The C struct `Weights`."""

    _fields_ = [(name, ctypes.c_void_p) for name in (*_POINTERS, *_NORMS)]


class GradientPointers(ctypes.Structure):
    """The C struct `WeightGradients`."""

    _fields_ = [(name, ctypes.c_void_p) for name in (*_GRADIENTS, *_NORMS)]


@cache
def load_kernels(width: int) -> ctypes.CDLL | None:
    """The kernels for networks of `width` features, or `None` where they cannot be compiled."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None or width % 16:
        return None
    path = cache_folder() / f"gated-{width}-{_fingerprint(compiler)}.so"
    if not path.exists() and not _compile(compiler, width, path):
        return None
    return ctypes.CDLL(str(path))


def _compile(compiler: str, width: int, path: Path) -> bool:
    try:
        with atomic_path(path) as temporary:
            subprocess.run(
                [compiler, *FLAGS, f"-DWIDTH={width}", "-o", str(temporary), str(SOURCE)],
                check=True,
                capture_output=True,
            )
    except (subprocess.CalledProcessError, OSError):
        return False
    return True


def _fingerprint(compiler: str) -> str:
    """Hash of everything that decides the compiled code."""
    version = subprocess.run([compiler, "--version"], check=False, capture_output=True).stdout
    parts = [SOURCE.read_bytes(), " ".join(FLAGS).encode(), version, _processor().encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> str:
    """Architecture and instruction sets: `-march=native` compiles for these."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = (line for line in lines if line.startswith(("flags", "Features", "model name")))
    return platform.machine() + "".join(sorted(set(named)))
