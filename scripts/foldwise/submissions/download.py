"""Where the file of a named submission comes from: the public Matbench repository."""

from __future__ import annotations

import os
from pathlib import Path

from foldwise.common.download import download
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path, file_sha256
from foldwise.submissions.content import read_content

REPOSITORY_URL = (
    "https://raw.githubusercontent.com/materialsproject/matbench/main/benchmarks/"
    "matbench_v0.1_{name}/results.json.gz"
)


def submission_url(name: str) -> str:
    """Where the Matbench repository keeps a submission, e.g. of name "coGN"."""
    return REPOSITORY_URL.format(name=name)


def fetch_submission(
    name: str, out: str | os.PathLike[str], sha256: str | None = None, url: str | None = None
) -> str:
    """Download a submission to `out` and check it.

    Args:
        name: Name of its folder in the Matbench repository, without "matbench_v0.1_".
        out: The file to write.
        sha256: Checksum that it must have; `None` accepts any whole submission.
        url: Another address, for mirrors.

    Returns:
        The checksum of what was written.

    Raises:
        FoldwiseError: There is no network, no such submission, or another checksum.
    """
    address = url or submission_url(name)
    place = Path(out)
    try:
        with atomic_path(place) as temporary:
            download(address, temporary)
            return _verified(temporary, name, sha256)
    except OSError as error:  # URLError, HTTPError and time-outs too
        raise FoldwiseError(
            f"it could not be downloaded from {address} ({error})",
            where=f"submission {name}",
            hint=f"Put it into a folder as {name}/results.json.gz and give that folder with "
            "--config submissions_dir=FOLDER.",
        ) from error


def _verified(path: Path, name: str, sha256: str | None) -> str:
    actual = file_sha256(path)
    if not sha256:
        try:
            read_content(path)
        except FoldwiseError as error:
            raise FoldwiseError(
                f"what was downloaded is not whole, or is not a submission ({error.what})",
                where=f"submission {name}",
                hint="Call again later, or put the file there yourself.",
            ) from error
    if sha256 and actual != sha256:
        raise FoldwiseError(
            f"what was downloaded has the sha256 {actual[:12]}…, expected {sha256[:12]}…",
            where=f"submission {name}",
            hint=f"If the new file is meant, set submissions.{name}.sha256 to {actual}.",
        )
    return actual
