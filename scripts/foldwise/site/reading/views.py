"""How far an experiment's answers for several views of one crystal lie apart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foldwise.common.files import read_parquet
from foldwise.site.reading.experiments import ExperimentFolder


def view_spread(root: Path, experiment: ExperimentFolder) -> pd.Series[float] | None:
    """Standard deviation over views by id, the mean over seeds; `None` without views.

    Args:
        root: `results`, or `results/{run}`.
        experiment: The experiment.
    """
    views = int(experiment.record["hyperparams"].get("tta") or 1)
    if views == 1:
        return None
    task = root / "predictions" / str(experiment.record["recipe"]) / str(experiment.record["task"])
    files = [
        path
        for seed in experiment.record["seeds"]
        for path in sorted(task.glob(f"fold_*/seed_{seed}/tta_{views}/test.parquet"))
    ]
    if not files:
        return None
    table = pd.concat([read_parquet(path, ("id", "view_std")) for path in files])
    return table.groupby("id")["view_std"].mean()
