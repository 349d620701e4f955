"""Where the result of a checkpoint lies."""

from __future__ import annotations

from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json

SUFFIX = "_eval"


def folder_of(checkpoint: str | Path, output_dir: str | Path | None) -> Path:
    """Result folder of a checkpoint: beside the checkpoint, or below `output_dir`."""
    place = Path(checkpoint).resolve()
    return Path(output_dir or Path(checkpoint).parent) / f"{place.name}{SUFFIX}"


def keep_other_result(folder: Path, checkpoint: str | Path, seq_len: int | None) -> None:
    """Refuse a result folder that holds the result of another checkpoint or length.

    Args:
        folder: As `folder_of`.
        checkpoint: The checkpoint that is to be evaluated.
        seq_len: Its longest sequence; `None` if it is not known yet.

    Raises:
        FoldwiseError: There is one, or nobody can tell what there is.
    """
    if not any(path.is_file() for path in folder.rglob("*")):  # Snakemake makes empty folders
        return
    try:
        known = read_json(folder / "results.json")["hyperparams"]
        there, length = str(known["checkpoint"]), int(known["seq_len"])
    except (FoldwiseError, KeyError, TypeError, ValueError):
        there, length = "something else", 0
    same = Path(there).resolve() == Path(checkpoint).resolve()
    if not same or (seq_len is not None and length != seq_len):
        raise FoldwiseError(
            f"it holds the result of {there}" + (f" at length {length}" if same else ""),
            where=str(folder),
            hint="Name another --output-dir, or move it away.",
        )


def results_path(folder: Path) -> Path:
    """`{checkpoint}_eval_results.json` beside a result folder."""
    return folder.with_name(f"{folder.name}_results.json")


def is_result(path: str) -> bool:
    """Whether `path`, as `checkpoint-*` finds it, is what an evaluation wrote there."""
    place = Path(path)
    return (place.name.endswith("_eval_results.json") and place.is_file()) or (
        place.name.endswith("_eval") and (place / "results.json").is_file()
    )
