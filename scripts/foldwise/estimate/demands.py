"""Memory and time that a job asks for, as functions of the task's size and of the attempt.

The coefficients are upper lines through measured peaks: docs/cluster.md says with which commands.
Memory is that of all processes of a job, on a cluster Snakemake's own two among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from foldwise.estimate.sizes import TaskSize

SNAKEMAKE_MB = 500
"""Snakemake's two processes around a job of a cluster: an estimate, twice 190 MB and reserve."""
MARGIN = 1.3
MEMORY_GROWTH, TIME_GROWTH = 1.5, 2.0
"""Factors from one attempt to the next."""
_ROUND_MB = 100
MOST_MAPPED_MB = 1500
"""Most of a graph store that stays resident: it is let go of after every 32 MB that are read
(`foldwise.graphs.batch`), and the system maps up to sixteen times as much around small reads."""


@dataclass(frozen=True)
class Demand:
    """What a rule's program needs.

    Attributes:
        mb: Memory that does not depend on the task, MB.
        kb_per_structure: Memory per structure, kB.
        kb_per_atom: Memory per atom, kB.
        mapped_kb_per_atom: Memory-mapped graphs per atom, kB, of which at most `MOST_MAPPED_MB`
            stay resident.
        minutes: Time that does not depend on the task.
        ms_per_structure: Time per structure, milliseconds.
        ms_per_atom: Time per atom, milliseconds.
    """

    mb: float
    kb_per_structure: float = 0.0
    kb_per_atom: float = 0.0
    minutes: float = 5.0
    ms_per_structure: float = 0.0
    ms_per_atom: float = 0.0
    mapped_kb_per_atom: float = 0.0

    def memory_mb(self, size: TaskSize, attempt: int = 1) -> int:
        """MB to ask for."""
        own = (
            self.mb
            + (self.kb_per_structure * size.structures + self.kb_per_atom * size.atoms) / 1000
            + min(self.mapped_kb_per_atom * size.atoms / 1000, MOST_MAPPED_MB)
        )
        asked = (SNAKEMAKE_MB + own * MARGIN) * MEMORY_GROWTH ** (attempt - 1)
        return math.ceil(asked / _ROUND_MB) * _ROUND_MB

    def time_minutes(self, size: TaskSize, attempt: int = 1) -> int:
        """Minutes to ask for."""
        own = (
            self.minutes
            + (self.ms_per_structure * size.structures + self.ms_per_atom * size.atoms) / 60_000
        )
        return math.ceil(own * TIME_GROWTH ** (attempt - 1))


START_MINUTES = 10
"""For compiling the kernels once, opening the store and writing the result."""
CPU_SECONDS_PER_ATOM = 0.0004
"""One pass of one thread: 212 structures/s of 11.8 atoms (docs/performance.md)."""
GPU_SPEED_UP = 10
"""An older engine's ratio of one H200 to two cores is 36; a quarter of it is counted on."""


def training_minutes(size: TaskSize, passes: int, *, on_gpu: bool, attempt: int = 1) -> int:
    """Minutes of a training: those of one thread, twice over; fewer on a GPU.

    Args:
        size: The task's size.
        passes: How often each of its crystals is fitted, copies and views counted.
        on_gpu: Whether the site trains on GPUs.
        attempt: Number of the attempt, from 1.
    """
    seconds = passes * size.atoms * CPU_SECONDS_PER_ATOM / (GPU_SPEED_UP if on_gpu else 1)
    return math.ceil((START_MINUTES + 2 * seconds / 60) * TIME_GROWTH ** (attempt - 1))


_TABLE = Demand(300, kb_per_structure=2, minutes=5, ms_per_structure=0.2)
_SHORT = Demand(250, kb_per_structure=1, minutes=3, ms_per_structure=0.05)
_PREDICTION = Demand(600, kb_per_structure=2, mapped_kb_per_atom=1.5, minutes=10, ms_per_atom=0.4)

DEMANDS = {
    "prepare_dataset": Demand(
        250, kb_per_structure=3, kb_per_atom=0.1, minutes=5, ms_per_structure=10
    ),
    "build_graphs": Demand(300, kb_per_structure=3, kb_per_atom=0.2, minutes=5, ms_per_atom=0.1),
    "perturb_structures": Demand(
        250, kb_per_structure=2, kb_per_atom=0.08, minutes=5, ms_per_structure=2
    ),
    "make_splits": Demand(450, kb_per_structure=1, minutes=3),
    "report_duplicates": Demand(
        300, kb_per_structure=15, kb_per_atom=0.5, minutes=5, ms_per_structure=20
    ),
    "group_structures": Demand(
        300, kb_per_structure=15, kb_per_atom=0.5, minutes=10, ms_per_structure=40
    ),
    "train_model": Demand(650, kb_per_structure=4, mapped_kb_per_atom=1.6),
    "pretrain_model": Demand(650, kb_per_structure=4, mapped_kb_per_atom=1.6),
    "predict": _PREDICTION,
    "predict_views": Demand(
        600, kb_per_structure=2, mapped_kb_per_atom=1.5, minutes=10, ms_per_atom=1.6
    ),
    # A program's memory and time are its user's: `minutes` of its recipe ends it earlier.
    "make_environment": Demand(1000, minutes=60),
    "prepare_teacher": Demand(
        400, kb_per_structure=60, kb_per_atom=2, minutes=5, ms_per_structure=10
    ),
    "run_teacher": Demand(2000, kb_per_structure=20, kb_per_atom=2, minutes=720),
    "collect_teacher": _SHORT,
    # A language model of 135 million numbers; larger ones need a larger machine by their user.
    "run_text_model": Demand(4000, kb_per_structure=40, minutes=240, ms_per_structure=2000),
    "average_predictions": _SHORT,
    "choose_soft_weight": _SHORT,
    "check_series": _SHORT,
    "resolve_experiment": Demand(10, minutes=1),
    "write_experiment": Demand(700, kb_per_structure=10.5, minutes=10, ms_per_structure=2),
    "summarise": _SHORT,
    "write_ablation": Demand(400, minutes=5),
    "write_site": Demand(400, kb_per_structure=10, minutes=10, ms_per_structure=2),
    "export_mlflow": Demand(600, minutes=10),
    "fetch_submission": Demand(200, minutes=30),
    "prepare_targets": _TABLE,
    "count_formula_duplicates": _TABLE,
    "read_submission": Demand(300, kb_per_structure=3, minutes=5, ms_per_structure=0.2),
    "combine_submissions": Demand(300, kb_per_structure=4, minutes=10, ms_per_structure=2),
    "write_combination": Demand(350, kb_per_structure=4, minutes=10, ms_per_structure=2),
    "read_board_members": Demand(700, minutes=20),
    "describe_structures": Demand(
        400, kb_per_structure=15, kb_per_atom=0.5, minutes=5, ms_per_structure=20
    ),
    "combine_board_task": Demand(400, kb_per_structure=10, minutes=20, ms_per_structure=40),
    "write_board_task": Demand(350, kb_per_structure=4, minutes=10, ms_per_structure=2),
    "write_board": Demand(400, minutes=20),
    # The size of a language model and of its texts is its user's: fixed, with reserve.
    "prepare_mlm_texts": Demand(1500, minutes=60),
    "build_mlm_samples": Demand(1500, minutes=60),
    "build_ko_lambada": Demand(1500, minutes=60),
    "train_mlm": Demand(4000, minutes=720),
    "finetune_mlm_entities": Demand(4000, minutes=720),
    "evaluate_mlm_checkpoint": Demand(2500, minutes=240),
    "summarise_mlm": Demand(600, minutes=20),
}
"""By the rule's name; where a rule is another one with other files, by the first one's."""
