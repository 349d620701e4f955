"""Files from an address: whole, or not at all."""

from __future__ import annotations

import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

_TIMEOUT = 60.0  # seconds without a byte


def download(url: str, out: Path, timeout: float = _TIMEOUT) -> int:
    """Write what an address gives to a file, and return the number of bytes.

    Raises:
        OSError: There is no answer, or the transfer broke off: after fewer bytes than announced,
            or in a way for which `http.client` has errors of its own.
    """
    try:
        with (
            urllib.request.urlopen(url, timeout=timeout) as response,  # noqa: S310 (https)
            out.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
            size, announced = file.tell(), response.headers.get("Content-Length")
    except (HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if announced is not None and announced.isdecimal() and int(announced) != size:
        raise OSError(f"the transfer broke off after {size:,} of {int(announced):,} bytes")
    return size
