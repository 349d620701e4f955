"""Spoilt predictions, written into a result folder of their own: are they found?"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json, write_parquet
from maintenance.smoke.calls import ROOT, ask, snakemake

_EXPERIMENT = "e0"
_PROGRAM = "scripts/jobs/write_experiment.py"

Spoil = Callable[[pd.Series, float], pd.Series]


def _alike(answers: pd.Series, _middle: float) -> pd.Series:
    return answers * 0.0  # in every fold


def _not_a_number(answers: pd.Series, _middle: float) -> pd.Series:
    return answers.where(np.arange(len(answers)) > 0)


def _worse_than_the_mean(answers: pd.Series, middle: float) -> pd.Series:
    return 2.0 * middle - answers  # turned around


def found_spoilt(cores: int) -> dict[str, bool]:
    """Whether the result folder of E0 shows each kind of spoilt predictions.

    Args:
        cores: For the call that names the command of that folder.

    Raises:
        FoldwiseError: Snakemake does not name it.
    """
    command = _command(cores)
    with ThreadPoolExecutor(cores) as pool:
        found = {
            "review: predictions that are all alike": pool.submit(
                _fails, command, "alike", _alike, "prediction distribution"
            ),
            "review: no better than the training mean": pool.submit(
                _fails, command, "worse", _worse_than_the_mean, "better than simple models"
            ),
            "one line: a prediction that is no number": pool.submit(
                _is_refused, command, "nan", _not_a_number
            ),
        }
        return {name: behaviour.result() for name, behaviour in found.items()}


def _command(cores: int) -> list[str]:
    """The shell command that makes the folder, as Snakemake prints it."""
    target = str((ROOT / _EXPERIMENT / "results.json").relative_to(REPOSITORY))
    _, said = ask(
        snakemake(cores, "--dry-run", "--printshellcmds", "--quiet", "host",
                  "--forcerun", "write_experiment", "--", target)
    )  # fmt: skip
    lines = [line.strip() for line in said.splitlines() if f"python {_PROGRAM} " in line]
    if not lines:
        raise FoldwiseError(
            f"no job calls {_PROGRAM}", where="snakemake --dry-run", hint="Read what it prints."
        )
    words = shlex.split(lines[0][lines[0].index(f"python {_PROGRAM}") :])
    ends = [at for at, word in enumerate(words) if word.startswith("2>") or word == "|"]
    return words[: ends[0]] if ends else words


def _spoilt(command: list[str], name: str, spoil: Spoil) -> tuple[list[str], Path]:
    """The command with spoilt copies of its predictions, without models, and where it writes."""
    folder = ROOT / "spoilt" / name
    checkpoints = _values(command, "--checkpoints")
    words = [*command[: checkpoints.start - 1], *command[checkpoints.stop :]]
    for at in _values(words, "--predictions"):
        table = pd.read_parquet(REPOSITORY / words[at])
        middle = float(table["prediction"].mean())
        copy = folder / "predictions" / f"{at}.parquet"
        spoilt = spoil(table["prediction"], middle)
        write_parquet(copy, table.assign(prediction=spoilt.astype(np.float64)))
        words[at] = str(copy)
    words[words.index("--out") + 1] = str(folder / _EXPERIMENT)
    return words, folder / _EXPERIMENT


def _values(words: list[str], flag: str) -> range:
    """Where the values of a flag stand."""
    first = words.index(flag) + 1
    others = (at for at in range(first, len(words)) if words[at].startswith("--"))
    return range(first, next(others, len(words)))


def _fails(command: list[str], name: str, spoil: Spoil, check: str) -> bool:
    words, out = _spoilt(command, name, spoil)
    code, _ = ask(words)
    if code:
        return False
    review = read_json(out / "diagnostics" / "review.json")
    verdicts = {entry["name"]: entry["passed"] for entry in review["checks"]}
    needs_review = read_json(out / "results.json")["decision"]["review"]
    return verdicts[check] is False and bool(needs_review)


def _is_refused(command: list[str], name: str, spoil: Spoil) -> bool:
    words, out = _spoilt(command, name, spoil)
    code, said = ask(words)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    return code == 2 and len(errors) == 1 and not (out / "results.json").exists()
