"""How much work each kind of job is, in epochs of the recipe's own plain training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from foldwise.common.files import REPOSITORY, bytes_of, read_json
from foldwise.estimate.plan import PlannedJob
from foldwise.graphs.store import GraphStore
from foldwise.study.recipe import Recipe
from foldwise.study.study import Study

FORWARD_SHARE = 1 / 3
"""A pass without gradients against one with: a backward pass costs about two forward ones."""


@dataclass(frozen=True)
class Workload:
    """Sizes of a study's data, in edges plus angles, which decide the time of a pass.

    Attributes:
        study: The study.
        fitted: Of the rows that the first fold's first hold-out leaves to fit.
        validated: Of that hold-out.
        tested: Of the first fold's test rows.
        store_bytes: Size of the graph store of the study's task.
        n_fitted: Rows behind `fitted`, by which a bound on steps shortens a training.
    """

    study: Study
    fitted: float
    validated: float
    tested: float
    store_bytes: int
    n_fitted: int

    def epochs(self, job: PlannedJob) -> float | None:
        """Work of a job in epochs; `None` of a job that its recipe's trial says nothing of."""
        name = job.wildcards.get("recipe", "")
        recipe = self.study.recipes.get(name)
        if not isinstance(recipe, Recipe):
            return None
        if job.rule == "train_model":
            return recipe.bounded(self.n_fitted).epochs * self.rows_factor(name)
        asked = self._asked(job)
        return None if asked is None else FORWARD_SHARE * asked / self.fitted

    def _asked(self, job: PlannedJob) -> float | None:
        """What a prediction asks; test rows twice, the second time for the clock."""
        trained_on = self.fitted + self.validated
        if job.rule == "predict_views":
            views = int(job.wildcards["tta"])
            return views * self.tested + (views + 1) * self.validated
        return {
            "predict": 2 * self.tested + trained_on, "predict_copies": self.copies * trained_on
        }.get(job.rule)  # fmt: skip

    @property
    def copies(self) -> int:
        """Copies of each training crystal."""
        return int(self.study.copies["copies"])

    def rows_factor(self, recipe_name: str) -> float:
        """Rows of an epoch against those of a training on labels: a student of copies fits both."""
        teacher = self.study.recipes[recipe_name].teacher
        return 1.0 + self.copies if teacher and teacher.targets == "augmented" else 1.0

    def extra_bytes(self, recipe_name: str) -> int:
        """Memory that a training takes beside what the trial took: the graphs of its copies."""
        return round((self.rows_factor(recipe_name) - 1) * self.store_bytes)


def workload(study: Study, graphs: Path, split: Path) -> Workload:
    """Read the sizes from the graph stores and the split of one fold.

    Args:
        study: The study.
        graphs: Graph store of its task.
        split: Split file of a fold.
    """
    store = GraphStore.open(REPOSITORY / graphs)
    sizes = _sizes(store)
    known = dict(zip(store.ids, sizes.tolist(), strict=True))
    parts = read_json(REPOSITORY / split)

    def total(ids: list[str]) -> float:
        return float(sum(known.get(crystal, 0) for crystal in ids))

    validated = total(parts["validation"][0])
    return Workload(
        study=study,
        fitted=total(parts["train"]) - validated,
        validated=validated,
        tested=total(parts["test"]),
        store_bytes=bytes_of(REPOSITORY / graphs),
        n_fitted=sum(map(len, parts["validation"][1:])),
    )


def _sizes(store: GraphStore) -> NDArray[np.int64]:
    """Edges plus angles of each crystal, [n]."""
    each: NDArray[np.int64] = np.diff(store.offsets, axis=0)[:, 1:].sum(axis=1)
    return each
