"""Datasets of the Hugging Face hub by name: their files, downloaded once and kept.

`hf://wikimedia/wikipedia/20231101.ko/*.parquet` names the Korean Wikipedia, `hf://klue/klue/ynat/*`
KLUE's headlines, and `hf://thunder-research-group/SNU_Ko-LAMBADA` all files of a dataset. The hub's
client and pyarrow suffice: `datasets` would keep the rows once more, in a cache of its own. A gated
dataset needs HF_TOKEN.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.texts.text import Text

PREFIX = "hf://"
_COLUMNS = ("text", "context", "sentence", "title")
# KLUE marks entities in the sentence itself: <이순신:PS>.
_MARKED = re.compile(r"<([^<>:]+):[A-Z]{2}>")


def is_hub(name: str | Path) -> bool:
    """Whether a name is that of a dataset of the hub."""
    return str(name).startswith(PREFIX)


def hub_texts(name: str) -> list[Text]:
    """Texts of the Parquet files that `hf://owner/dataset/pattern` names, in the files' order.

    Raises:
        FoldwiseError: The hub cannot be reached, nothing matches, or no column holds text.
    """
    repository, folder, files = hub_files(name, "*.parquet")
    texts: list[Text] = []
    for local in files:
        path = local.relative_to(folder).as_posix()
        for row, value in enumerate(_column(pq.read_table(local), path, name)):
            plain = unicodedata.normalize("NFC", _MARKED.sub(r"\1", value or ""))
            source = repository.rsplit("/", 1)[1]
            texts.append(Text(f"{repository}/{path}/{row}", source, f"see {repository}", plain))
    return texts


def hub_files(name: str, pattern: str) -> tuple[str, Path, list[Path]]:
    """The dataset of a name, its local folder, and the files there.

    Args:
        name: `hf://owner/dataset`, or `hf://owner/dataset/pattern`.
        pattern: Pattern of the files if the name has none.

    Raises:
        FoldwiseError: The hub cannot be reached, or nothing matches.
    """
    parts = PurePosixPath(name.removeprefix(PREFIX)).parts
    if len(parts) < 2:
        raise FoldwiseError(
            "it names no dataset", where=name, hint="Write hf://owner/dataset/folder/*.parquet."
        )
    repository, wanted = "/".join(parts[:2]), "/".join(parts[2:]) or f"**/{pattern}"
    try:
        folder = snapshot(repository, wanted.replace("**/", "*"))
    except Exception as error:
        # The client raises errors of several libraries.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise FoldwiseError(
            f"the hub cannot be reached, or has no such dataset ({reason})",
            where=name,
            hint=f"Go online once (hf download --repo-type dataset {repository} --include "
            f"'{wanted.replace('**/', '*')}'; a gated one needs HF_TOKEN), or name local files.",
        ) from error
    files = sorted(path for path in folder.glob(wanted) if path.is_file())
    if not files:
        raise FoldwiseError(
            f"no file matches {wanted}", where=name, hint="Look at the dataset's file list."
        )
    return repository, folder, files


def snapshot(repository: str, pattern: str) -> Path:
    """Local folder of a dataset with the files that match; from the client's cache if offline."""
    # Imported here: nothing else needs it, and it must not be asked if nobody named a dataset.
    from huggingface_hub import snapshot_download  # noqa: PLC0415
    from huggingface_hub.utils import logging  # noqa: PLC0415

    # Its retries are reported line by line; this library says it in one.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    return Path(snapshot_download(repository, repo_type="dataset", allow_patterns=pattern))


def _column(table: Any, path: str, name: str) -> list[str | None]:
    column = next((known for known in _COLUMNS if known in table.column_names), None)
    if column is None:
        raise FoldwiseError(
            f"{path} has none of the columns {', '.join(_COLUMNS)}",
            where=name,
            hint="Convert it to JSON lines with a text each.",
        )
    values: list[str | None] = table.column(column).to_pylist()
    return values
