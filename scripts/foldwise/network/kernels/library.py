"""Compile the kernels once per machine and network width, and load them.

The shared library lies in the user's cache folder under a name that hashes the source, the
compiler and the processor: jobs of a study share it, other processors get their own. If nothing
can be run from there (a mount without that right), a temporary folder takes its place. Without a
C++ compiler, or if neither folder works, the engine runs in plain PyTorch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from foldwise.common.files import atomic_path, cache_folder

SOURCE = Path(__file__).with_name("gated.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno")
_CHECKSUM_LENGTH = 64
_POINTERS = ("input_t", "input", "core_t", "gate_t", "core", "gate", "core_bias", "gate_bias")
_NORMS = ("core_gamma", "core_beta", "gate_gamma", "gate_beta")
_GRADIENTS = ("input_t", "core_t", "gate_t", "core_bias", "gate_bias")


class WeightPointers(ctypes.Structure):
    """The C struct `Weights`."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in (*_POINTERS, *_NORMS)),
        ("products", ctypes.c_int64),
    ]


class GradientPointers(ctypes.Structure):
    """The C struct `WeightGradients`."""

    _fields_ = [(name, ctypes.c_void_p) for name in (*_GRADIENTS, *_NORMS)]


class KeptPointers(ctypes.Structure):
    """The C struct `Kept`."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("pre", "normal", "inverse")]


def tile_unit() -> str:
    """What the environment variable `FOLDWISE_TILES` says of a tile unit (AMX).

    `on`, the default, uses it if the processor has one; `off` does not, and `emulated` computes
    the same in plain C++, slowly: for tests on processors that have none.
    """
    return os.environ.get("FOLDWISE_TILES", "on")


def has_tiles(width: int) -> bool:
    """Whether matrix products of networks of `width` features run on a tile unit."""
    library = load_kernels(width)
    return library is not None and tile_unit() != "off" and bool(library.has_tiles())


def load_kernels(width: int) -> ctypes.CDLL | None:
    """The kernels for networks of `width` features, or `None` if they cannot be compiled or run."""
    return _load_kernels(width, emulated=tile_unit() == "emulated")


@cache
def _load_kernels(width: int, *, emulated: bool) -> ctypes.CDLL | None:
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None or width % 16:
        return None
    options = (*FLAGS, f"-DWIDTH={width}", *(["-DEMULATED_TILES"] if emulated else []))
    name = f"gated-{width}-{_fingerprint(compiler, options)}.so"
    library = _load(compiler, options, cache_folder() / name)
    if library is None:
        with tempfile.TemporaryDirectory() as folder:
            library = _load(compiler, options, Path(folder) / name)
    return library


def _load(compiler: str, options: Sequence[str], path: Path) -> ctypes.CDLL | None:
    """The library at `path`, compiled first if it is absent or damaged."""
    try:
        if not _is_whole(path) and not _compile(compiler, options, path):
            return None
        return ctypes.CDLL(str(path))
    except OSError:  # no right to read, or to run what lies there
        return None


def _is_whole(path: Path) -> bool:
    """Whether the file ends with the checksum of what is before it: half a library kills a job."""
    content = path.read_bytes() if path.is_file() else b""
    return _checksum(content[:-_CHECKSUM_LENGTH]) == content[-_CHECKSUM_LENGTH:]


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _compile(compiler: str, options: Sequence[str], path: Path) -> bool:
    try:
        with atomic_path(path) as temporary:
            subprocess.run(
                [compiler, *options, "-o", str(temporary), str(SOURCE)],
                check=True,
                capture_output=True,
            )
            checksum = _checksum(temporary.read_bytes())
            with temporary.open("ab") as library:  # loaders ignore what follows the last section
                library.write(checksum)
    except (subprocess.CalledProcessError, OSError):
        return False
    return True


def _fingerprint(compiler: str, options: Sequence[str]) -> str:
    """Hash of everything that decides the compiled code."""
    version = subprocess.run([compiler, "--version"], check=False, capture_output=True).stdout
    sources = sorted(SOURCE.parent.glob("*.[ch]*"))
    parts = [
        *(path.read_bytes() for path in sources),
        " ".join(options).encode(),
        version,
        _processor().encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> str:
    """Architecture and instruction sets: `-march=native` compiles for these."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = (line for line in lines if line.startswith(("flags", "Features", "model name")))
    return platform.machine() + "".join(sorted(set(named)))
