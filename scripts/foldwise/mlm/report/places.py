"""Where the result of a checkpoint lies."""

from __future__ import annotations

from pathlib import Path

SUFFIX = "_eval"


def folder_of(checkpoint: str | Path, output_dir: str | Path | None) -> Path:
    """Result folder of a checkpoint: beside the checkpoint, or below `output_dir`."""
    place = Path(checkpoint).resolve()
    return Path(output_dir or Path(checkpoint).parent) / f"{place.name}{SUFFIX}"


def results_path(folder: Path) -> Path:
    """`{checkpoint}_eval_results.json` beside a result folder."""
    return folder.with_name(f"{folder.name}_results.json")


def is_result(path: str) -> bool:
    """Whether `path`, as `checkpoint-*` finds it, is what an evaluation wrote there."""
    place = Path(path)
    return (place.name.endswith("_eval_results.json") and place.is_file()) or (
        place.name.endswith("_eval") and (place / "results.json").is_file()
    )
