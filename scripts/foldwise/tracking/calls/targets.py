"""A target that no rule makes, answered in the study's own words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from foldwise.common.errors import FoldwiseError

RESULTS = "results"
RECORD = "results.json"


def unknown_target(target: str, root: str, experiments: Sequence[str]) -> FoldwiseError:
    """What to say of a target that is no rule, no file and no rule's output.

    Args:
        target: As it was typed, relative to the working folder.
        root: Folder of the study's results, `results` or `results/{run}`.
        experiments: Names of the study's experiments.
    """
    known = f"Its experiments: {', '.join(experiments)}."
    parts, start = PurePosixPath(target).parts, PurePosixPath(root).parts
    meant = next((part for part in reversed(parts) if part in experiments), experiments[0])
    instead = f"Ask for {root}/{meant}/{RECORD}."
    if parts[: len(start)] == start:
        within = parts[len(start) :]
        if within[-1:] == (RECORD,) and len(within) == 2 and within[0] not in experiments:
            what, hint = f"this study has no experiment '{within[0]}'", known
        elif root == RESULTS and within[-1:] == (RECORD,) and len(within) == 3:
            what = f"this study is not called '{within[0]}': it writes to {RESULTS}/ itself"
            hint = f"{known} Another study needs its file: --configfile FILE."
        else:
            what, hint = "no rule makes it", f"{instead} {known}"
    elif parts[0] == RESULTS and len(parts) > 2:
        what = f"this study writes to {root}/, not to {'/'.join(parts[:2])}/"
        hint = f"{instead} {known} Another study needs its own file: --configfile FILE."
    else:
        what, hint = "no rule has this name or makes this file", f"{instead} {known}"
    return FoldwiseError(what, where=target, hint=hint)
