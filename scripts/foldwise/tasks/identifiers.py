"""Crystal ids from the index of a dataset file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.official import OfficialTask, any_official_task

# Ids name folders of sample reports, so they must be plain file names; copies add "#{copy}".
# Surrogates stand for bytes of a file name that is not UTF-8; no file of text can hold them.
_FILE_NAME = re.compile(r"(?!\.)[^/\\#\x00-\x1f\ud800-\udfff]{1,100}")


def crystal_ids(index: Sequence[object], task: str, where: str) -> list[str]:
    """Ids of all rows: those of the index, or generated from its integers.

    Integer `i` becomes the official id of row `i` for an official task ("mb-mp-e-form-000001" for
    0), else "{task}-000001".

    Args:
        index: Row labels of the file.
        task: Task name.
        where: The file, for error messages.

    Raises:
        FoldwiseError: Labels of mixed type, negative, duplicate, no file names, or not official.
    """
    official = any_official_task(task)
    if all(isinstance(label, str) for label in index):
        ids = [str(label) for label in index]
        _check_names(ids, where)
    elif all(isinstance(label, int) and not isinstance(label, bool) for label in index):
        ids = [_generated(label, task, official, where) for label in index]
    else:
        kinds = ", ".join(sorted({type(label).__name__ for label in index}))
        raise FoldwiseError(
            f"the index is neither all text nor all integers ({kinds})",
            where=where,
            hint="Use ids, or row numbers from 0.",
        )
    _check_unique(ids, where)
    if official is not None:
        _check_official(ids, official, where)
    return ids


def check_id(name: str, where: str) -> None:
    """Refuse an id that cannot name a file.

    Raises:
        FoldwiseError: The id is empty, too long, or holds a slash, a #, a leading dot, or
            a byte that is not UTF-8.
    """
    if not _FILE_NAME.fullmatch(name):
        raise FoldwiseError(
            f"{name[:100]!r} cannot be an id",
            where=where,
            hint="Ids become file names: 1 to 100 characters, no slashes, no #, no dot in front.",
        )


def _generated(label: object, task: str, official: OfficialTask | None, where: str) -> str:
    assert isinstance(label, int)
    if label < 0:
        raise FoldwiseError(
            f"the index holds the negative row number {label}",
            where=where,
            hint="Count rows from 0.",
        )
    return f"{task}-{label + 1:06d}" if official is None else official.crystal_id(label)


def _check_names(ids: Sequence[str], where: str) -> None:
    for name in ids:
        check_id(name, where)


def _check_unique(ids: Sequence[str], where: str) -> None:
    repeated = [name for name, count in Counter(ids).items() if count > 1]
    if repeated:
        raise FoldwiseError(
            f"{len(repeated)} duplicate id(s), the first is {repeated[0]!r}",
            where=where,
            hint="Make every id unique.",
        )


def _check_official(ids: Sequence[str], official: OfficialTask, where: str) -> None:
    known = {official.crystal_id(row) for row in range(official.n_samples)}
    foreign = [name for name in ids if name not in known]
    if foreign:
        raise FoldwiseError(
            f"{len(foreign)} id(s) are not of {official.name}, the first is {foreign[0]!r}",
            where=where,
            hint="Use the official ids or row numbers, or a task name of your own.",
        )
