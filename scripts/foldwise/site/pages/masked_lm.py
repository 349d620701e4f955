"""Masked-LM checkpoints on the page of runs: rates beside each other, samples one by one."""

from __future__ import annotations

from pathlib import Path

from foldwise.experiment.inputs.types import Json
from foldwise.site.data.scripts import write_script
from foldwise.site.reading.masked_lm import read_checkpoints, read_samples

_COLUMNS = (
    "id", "source", "noun", "prediction", "top5", "hit1", "hit5", "rank", "answer_probability",
    "input_text",
)  # fmt: skip


def masked_lm_pages(site: Path, root: Path) -> list[Json]:
    """Write `mlm_{number}.js` per evaluated checkpoint; what the template shows of each."""
    pages = []
    for number, checkpoint in enumerate(read_checkpoints(root)):
        samples = read_samples(checkpoint["folder"])[list(_COLUMNS)]
        write_script(site, f"mlm_{number}", samples.to_dict("records"))
        pages.append(
            {
                "data": f"mlm_{number}",
                "run": checkpoint["run"],
                "phase": checkpoint["phase"],
                "name": checkpoint["name"],
                "metrics": checkpoint["record"]["metrics"],
                "samples": len(samples),
                "command": checkpoint["record"]["provenance"]["command"],
            }
        )
    return pages
