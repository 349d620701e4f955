"""Texts of a dataset on the Hugging Face hub: its Parquet files, downloaded once and kept.

`hf://wikimedia/wikipedia/20231101.ko/*.parquet` names the Korean Wikipedia, and
`hf://klue/klue/ner/validation-*.parquet` the development part of KLUE's entity recognition. The
hub's client and pyarrow suffice: `datasets` would keep the rows once more, in a cache of its own.
"""

from __future__ import annotations

import re
import unicodedata
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.texts.text import Text

PREFIX = "hf://"
_COLUMNS = ("text", "context", "sentence", "title")
# KLUE marks entities in the sentence itself: <이순신:PS>.
_MARKED = re.compile(r"<([^<>:]+):[A-Z]{2}>")


def hub_texts(name: str) -> list[Text]:
    """Texts of the Parquet files that `hf://owner/dataset/pattern` names, in the files' order.

    Raises:
        FoldwiseError: The hub cannot be reached, nothing matches, or no column holds text.
    """
    parts = PurePosixPath(name.removeprefix(PREFIX)).parts
    if len(parts) < 3:
        raise FoldwiseError(
            "the name has no file pattern",
            where=name,
            hint="Write hf://owner/dataset/folder/*.parquet.",
        )
    repository, pattern = "/".join(parts[:2]), "/".join(parts[2:])
    texts: list[Text] = []
    for path, local in _downloaded(name, repository, pattern):
        table = pq.read_table(local)
        column = next((known for known in _COLUMNS if known in table.column_names), None)
        if column is None:
            raise FoldwiseError(
                f"{path} has none of the columns {', '.join(_COLUMNS)}",
                where=name,
                hint="Convert it to JSON lines with a text each.",
            )
        source = repository.rsplit("/", 1)[1]
        for row, value in enumerate(table.column(column).to_pylist()):
            plain = unicodedata.normalize("NFC", _MARKED.sub(r"\1", value or ""))
            texts.append(Text(f"{repository}/{path}/{row}", source, f"see {repository}", plain))
    return texts


def _downloaded(name: str, repository: str, pattern: str) -> list[tuple[str, Any]]:
    """Paths in the dataset and the local copies."""
    # Imported here: nothing else needs it, and it must not be asked where nobody named a dataset.
    from huggingface_hub import HfApi, hf_hub_download  # noqa: PLC0415
    from huggingface_hub.utils import logging  # noqa: PLC0415

    # Its retries are reported line by line; this library says it in one.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        files = HfApi().list_repo_files(repository, repo_type="dataset")
        matching = sorted(path for path in files if fnmatch(path, pattern))
        local = [hf_hub_download(repository, path, repo_type="dataset") for path in matching]
    except Exception as error:
        # The client raises errors of several libraries.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise FoldwiseError(
            f"the hub cannot be reached, or has no such dataset ({reason})",
            where=name,
            hint="Go online once (files are kept), or name local JSON-lines files.",
        ) from error
    if not matching:
        raise FoldwiseError(
            f"no file matches {pattern}", where=name, hint="Look at the dataset's file list."
        )
    return list(zip(matching, local, strict=True))
