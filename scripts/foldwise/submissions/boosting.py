"""A gradient booster on the members' predictions that corrects their median."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from foldwise.statistics.metrics import Floats
from foldwise.submissions.settings import BoosterOptions

_RANDOM_STATE = 18012019


def member_features(members: Floats) -> Floats:
    """What the booster sees of the members' predictions `[n, m]`.

    Median, mean, standard deviation (`ddof=0`) and range; each prediction and each order statistic
    as its distance from the median; the predictions themselves: `[n, 4 + 3 m]`.
    """
    median = np.median(members, axis=1, keepdims=True)
    return np.hstack(
        [
            median,
            members.mean(axis=1, keepdims=True),
            members.std(axis=1, keepdims=True),
            np.ptp(members, axis=1, keepdims=True),
            members - median,
            np.sort(members, axis=1) - median,
            members,
        ]
    )


def composition_features(formulas: Sequence[str]) -> Floats:
    """Mean, spread, lowest and highest of five properties of the elements, and their number.

    The properties are atomic number, Pauling electronegativity (NaN where there is none), group,
    period and atomic radius (pymatgen); means and spreads are weighed by atomic fraction. Shape
    `[n, 21]`.
    """
    distinct = {formula: _formula_features(formula) for formula in dict.fromkeys(formulas)}
    return np.array([distinct[formula] for formula in formulas])


class MedianBooster:
    """The median of the members plus a booster's correction, fitted to the absolute error."""

    def __init__(self, options: BoosterOptions) -> None:
        self.options = options
        self._model = HistGradientBoostingRegressor(
            loss="absolute_error",
            max_iter=options.iterations,
            learning_rate=options.learning_rate,
            max_leaf_nodes=options.leaves,
            min_samples_leaf=options.rows_per_leaf,
            early_stopping=False,  # It would hold out random rows, polymorphs of the others.
            random_state=_RANDOM_STATE,
        )

    def fit(self, members: Floats, formulas: Sequence[str], target: Floats) -> None:
        """Fit on members' predictions `[n, m]`, formulas and true values `[n]`."""
        self._model.fit(self._features(members, formulas), target - np.median(members, axis=1))

    def predict(self, members: Floats, formulas: Sequence[str]) -> Floats:
        """Predictions `[n]`."""
        correction = self._model.predict(self._features(members, formulas))
        return np.asarray(np.median(members, axis=1) + correction, dtype=np.float64)

    def _features(self, members: Floats, formulas: Sequence[str]) -> Floats:
        features = member_features(members)
        if not self.options.composition:
            return features
        return np.hstack([features, composition_features(formulas)])


def _formula_features(formula: str) -> list[float]:
    from pymatgen.core.composition import Composition  # noqa: PLC0415 (seconds to import)

    amounts = Composition(formula).fractional_composition.get_el_amt_dict()
    weights = np.array(list(amounts.values()))
    properties = np.array([_element_properties(symbol) for symbol in amounts])
    mean = weights @ properties
    spread = np.sqrt(weights @ (properties - mean) ** 2)
    parts: Any = (mean, spread, properties.min(axis=0), properties.max(axis=0))
    return [*np.concatenate(parts).tolist(), float(len(amounts))]


@cache
def _element_properties(symbol: str) -> tuple[float, ...]:
    from pymatgen.core.periodic_table import Element  # noqa: PLC0415 (seconds to import)

    element = Element(symbol)
    radius = element.atomic_radius
    electronegativity = element.X if element.Z not in _NO_ELECTRONEGATIVITY else float("nan")
    return (
        float(element.Z),
        float(electronegativity),
        float(element.group),
        float(element.row),
        float("nan") if radius is None else float(radius),
    )


# He, Ne and Ar: pymatgen warns and answers NaN.
_NO_ELECTRONEGATIVITY = frozenset({2, 10, 18})
