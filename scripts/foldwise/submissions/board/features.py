"""The columns that a booster sees."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import numpy as np
import numpy.typing as npt

from foldwise.statistics.metrics import Floats
from foldwise.submissions.board.neighbours import neighbour_features
from foldwise.submissions.board.rows import Rows
from foldwise.submissions.boosting import composition_features, member_features

Matrix = npt.NDArray[np.float32]


class Features:
    """Columns of all rows of a task; what does not depend on the fold is computed once, if needed.

    Attributes:
        rows: The rows.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._members = member_features(rows.values)

    @cached_property
    def _composition(self) -> Floats:
        formulas = self.rows.formulas.tolist()
        return np.hstack([composition_features(formulas), element_fractions(formulas)])

    def matrix(self, groups: Collection[str], known: Collection[int], base: Floats) -> Matrix:
        """The columns of `groups` for all rows `[n, p]`, single precision.

        Args:
            groups: Of "neighbours", "composition", "beside" and "structure"; the members' columns
                are always there.
            known: Folds whose labels may be used.
            base: The prediction that is corrected `[n]`.
        """
        rows = self.rows
        parts = [self._members, base[:, None]]
        if "neighbours" in groups:
            parts += [
                neighbour_features(codes, rows.fold, known, rows.target, base)
                for codes in (rows.formula_codes, rows.system_codes)
            ]
        if "composition" in groups:
            parts.append(self._composition)
        if "beside" in groups:
            parts.append(rows.beside)
        if "structure" in groups:
            parts.append(rows.structure)
        return np.hstack(parts, dtype=np.float32, casting="same_kind")


def element_fractions(formulas: list[str]) -> Floats:
    """Atomic fraction of each element that occurs, in the order of their symbols `[n, e]`."""
    from pymatgen.core.composition import Composition  # noqa: PLC0415 (seconds to import)

    known = {
        formula: Composition(formula).fractional_composition.get_el_amt_dict()
        for formula in dict.fromkeys(formulas)
    }
    symbols = sorted({symbol for amounts in known.values() for symbol in amounts})
    column = {symbol: index for index, symbol in enumerate(symbols)}
    row = {formula: index for index, formula in enumerate(known)}
    table = np.zeros((len(known), len(symbols)))
    for formula, amounts in known.items():
        for symbol, fraction in amounts.items():
            table[row[formula], column[symbol]] = fraction
    return np.asarray(table[[row[formula] for formula in formulas]], dtype=np.float64)
