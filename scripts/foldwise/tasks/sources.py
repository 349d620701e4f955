"""Where a dataset's file comes from: the embedded one, the official download, or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from foldwise.common.download import download
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, atomic_path, file_sha256, read_json
from foldwise.tasks.official import PREFIX, OfficialTask, official_task

SourceName = Literal["embedded", "matbench", "file"]
SOURCE_NAMES: tuple[str, ...] = get_args(SourceName)
EMBEDDED = "demo"
"""The embedded dataset where none is named."""
EMBEDDED_FILE = REPOSITORY / "data" / f"{EMBEDDED}.json.gz"

MATBENCH_LICENCE = "MIT (Matbench); structures and properties: Materials Project, CC BY 4.0"
MATBENCH_CITATION = (
    "A. Dunn, Q. Wang, A. Ganose, D. Dopp, A. Jain, npj Comput. Mater. 6, 138 (2020), "
    "doi:10.1038/s41524-020-00406-3"
)
_DOWNLOAD_TIMEOUT = 60.0  # seconds without a byte


@dataclass(frozen=True)
class SourceFile:
    """A dataset file whose checksum has been verified.

    Attributes:
        path: The Matbench-format file.
        sha256: Its checksum.
        description: One line for the card: what the file is.
        licence: Licence of the data, or "not stated".
        citation: What to cite, or "not stated".
        target: The column this task predicts, where the source knows it.
        notes: What a reader of the card should know about the data.
    """

    path: Path
    sha256: str
    description: str
    licence: str
    citation: str
    target: str | None
    notes: str


def embedded_names() -> list[str]:
    """Names of the embedded datasets, which lie in `data/` with a card each."""
    return sorted(
        path.name.removesuffix(".card.json") for path in EMBEDDED_FILE.parent.glob("*.card.json")
    )


def locate_source(source: str, task: str, path: str | None, sha256: str | None) -> SourceFile:
    """Find (for `matbench`: download if needed) the file of a task and verify its checksum.

    Args:
        source: One of `SOURCE_NAMES`.
        task: Task name; for `matbench` an official one.
        path: The file for source `file`; for `embedded` in place of `data/demo.json.gz`.
        sha256: Expected checksum, in addition to the one that the source itself knows.

    Raises:
        FoldwiseError: Unknown source or task, no file, no network, or another checksum.
    """
    match source:
        case "embedded":
            found = _embedded(task, Path(path) if path else EMBEDDED_FILE)
        case "matbench":
            found = _matbench(task, path)
        case "file":
            found = _own_file(task, path)
        case _:
            raise FoldwiseError(
                f"unknown source {source!r}",
                where="source",
                hint=f"Use one of {', '.join(SOURCE_NAMES)}.",
            )
    if sha256:
        _verify(
            found.path,
            found.sha256,
            sha256.lower(),
            hint="Correct the sha256 in the config, or restore the file it describes.",
        )
    return found


def _embedded(task: str, path: Path) -> SourceFile:
    card = read_json(path.with_name(path.name.removesuffix(".json.gz") + ".card.json"))
    actual = _checksum(path, hint="Restore it from the repository (git checkout data/).")
    _verify(
        path, actual, card["sha256"], hint="Restore it from the repository (git checkout data/)."
    )
    target: dict[str, Any] | None = card["tasks"].get(task)
    return SourceFile(
        path=path,
        sha256=actual,
        description=f"embedded: {card['description']}",
        licence=card["licence"],
        citation="; ".join(card["citations"]),
        target=None if target is None else target["column"],
        notes=card["notes"],
    )


def _matbench(task: str, path: str | None) -> SourceFile:
    if path:
        raise FoldwiseError(
            "source 'matbench' takes no path",
            where="path",
            hint="Remove the path, or use source 'file'.",
        )
    official = official_task(task)
    if official is None:
        raise FoldwiseError(
            f"{task!r} is no official Matbench task",
            where="task",
            hint=f"Official names begin with {PREFIX!r}, as in 'matbench_mp_e_form'.",
        )
    return locate_official(official)


def locate_official(official: OfficialTask) -> SourceFile:
    """The file of an official task, downloaded if needed, its checksum verified.

    Raises:
        FoldwiseError: No file and no network, or another checksum.
    """
    if not official.file_path.exists():
        _download(official)
    actual = _checksum(official.file_path, hint="Delete it to download it again.")
    _verify(
        official.file_path,
        actual,
        official.sha256,
        hint=f"Delete it to download it again from {official.url}.",
    )
    return _official_file(official, official.file_path, actual, f"matbench: {official.url}")


def _own_file(task: str, path: str | None) -> SourceFile:
    if not path:
        raise FoldwiseError(
            "source 'file' needs a path", where="path", hint="Name a Matbench-format json.gz file."
        )
    actual = _checksum(Path(path), hint="Check the path of the dataset.")
    official = official_task(task)
    if official is not None:
        return _official_file(official, Path(path), actual, f"file: {Path(path).name}")
    return SourceFile(
        path=Path(path),
        sha256=actual,
        description=f"file: {Path(path).name}",
        licence="not stated",
        citation="not stated",
        target=None,
        notes="",
    )


def _official_file(official: OfficialTask, path: Path, actual: str, what: str) -> SourceFile:
    return SourceFile(
        path=path,
        sha256=actual,
        description=what,
        licence=MATBENCH_LICENCE,
        citation=f"{MATBENCH_CITATION}; {official.reference}",
        target=None,
        notes=""
        if actual == official.sha256
        else "Not the official file: a subset or another copy.",
    )


def _download(official: OfficialTask) -> None:
    """Fetch the official file to where matminer would keep it.

    matminer's own download writes in place, waits without limit and takes an error page for data.
    """
    try:
        with atomic_path(official.file_path) as temporary:
            size = download(official.url, temporary, _DOWNLOAD_TIMEOUT)
            # What is no data must not stand where the data belong.
            _verify(
                official.file_path,
                file_sha256(temporary),
                official.sha256,
                hint=f"{official.url} gave {size:,} bytes: another file, or a page in place of it. "
                "Call again later, or put the file there yourself.",
            )
    except OSError as error:  # URLError, HTTPError and time-outs too
        raise FoldwiseError(
            f"the official file is not there and could not be downloaded ({error})",
            where=str(official.file_path),
            hint=f"Download {official.url} elsewhere and put it at exactly this path, "
            "or set MATMINER_DATA to the folder that holds it.",
        ) from error


def _checksum(path: Path, hint: str) -> str:
    if not path.is_file():
        raise FoldwiseError("the file does not exist", where=str(path), hint=hint)
    return file_sha256(path)


def _verify(path: Path, actual: str, expected: str, hint: str) -> None:
    if actual != expected:
        raise FoldwiseError(
            f"sha256 is {actual[:12]}…, expected {expected[:12]}…", where=str(path), hint=hint
        )
