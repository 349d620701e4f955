"""The smoke study: everything that a long study does, once, in minutes, and what of it fired."""

from __future__ import annotations

import time
from collections.abc import Callable

from foldwise.common.errors import FoldwiseError
from maintenance.smoke.behaviours import study_behaviours, verdicts
from maintenance.smoke.calls import ROOT, ask, kill_a_training, run, snakemake
from maintenance.smoke.poison import found_spoilt
from maintenance.smoke.stand_ins import BOARD, MLM, masked_lm, recorded_teachers


def run_smoke(cores: int, say: Callable[[str], None]) -> None:
    """Run the smoke study, kill a training after its first epoch, go on, and check what fired.

    Args:
        cores: Cores for Snakemake.
        say: Called with each line for the user.

    Raises:
        FoldwiseError: A behaviour did not fire.
    """
    started = time.monotonic()
    for folder in (ROOT, BOARD, MLM, MLM.with_name("models") / MLM.name):
        if folder.exists():
            raise FoldwiseError(
                "an earlier smoke study is there", where=str(folder), hint="Move or delete it."
            )
    say("running the smoke study; a training is killed after its first epoch")
    killed = kill_a_training(cores)
    say(f"killed {killed}; going on")
    run(snakemake(cores))
    behaviours = study_behaviours(killed)
    say("a series that a gate must stop, spoilt predictions, recorded teachers, a masked LM")
    behaviours |= _gate(cores) | found_spoilt(cores)
    behaviours |= recorded_teachers(cores) | masked_lm(cores)
    for name, fired in behaviours.items():
        say(f"{'fired ' if fired else 'SILENT'} {name}")
    for line in verdicts():
        say(f"review {line}")
    say(f"{time.monotonic() - started:.0f} s")
    silent = [name for name, fired in behaviours.items() if not fired]
    if silent:
        raise FoldwiseError(
            f"did not fire: {', '.join(silent)}", where=str(ROOT), hint="Read the logs there."
        )


def _gate(cores: int) -> dict[str, bool]:
    """As the first of a series, E0 is worse than a linear model: nothing else of it is trained."""
    code, said = ask(
        snakemake(cores, "--config", 'only=["e0", "e0_scratch"]',
                  'series={"scratch": {"first": "e0", "action": "stop"}}', "--",
                  "results/smoke/e0_scratch/results.json")
    )  # fmt: skip
    stopped = code != 0 and "series scratch: stopped: e0 has an MAE of" in said
    trained = any((ROOT / name).exists() for name in ("e0_scratch", "models/scratch"))
    return {"gate: a hopeless first experiment stops its series": stopped and not trained}
