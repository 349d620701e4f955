"""What ids and formulas of crystals say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError

UNKNOWN_SYSTEM = "unknown"
"""Crystal system of a row without a space group."""
_MARK = "#"  # between a crystal's id and the number of its copy; no id of a task has one


def copy_id(crystal_id: str, copy: int) -> str:
    """Id of copy number `copy` of a crystal."""
    return f"{crystal_id}{_MARK}{copy}"


def copied_crystal(name: str) -> str | None:
    """Id of the crystal that a copy was made from, `None` if the id is not that of a copy."""
    crystal_id, mark, _ = name.rpartition(_MARK)
    return crystal_id if mark else None


def copy_number(name: str) -> int:
    """Number of a copy."""
    return int(name.rpartition(_MARK)[2])


def fraction_table(formulas: pd.Series[str]) -> pd.DataFrame:
    """Atomic fractions of every formula, one column per element; indexed as `formulas`.

    Raises:
        FoldwiseError: A text is not a formula.
    """
    distinct = {formula: _fractions(formula) for formula in formulas.unique()}
    elements = sorted({element for fractions in distinct.values() for element in fractions})
    column = {element: k for k, element in enumerate(elements)}
    matrix = np.zeros((len(formulas), len(elements)))
    for row, formula in enumerate(formulas):
        for element, fraction in distinct[formula].items():
            matrix[row, column[element]] = fraction
    return pd.DataFrame(matrix, index=formulas.index, columns=elements)


def _fractions(formula: str) -> dict[str, float]:
    from pymatgen.core.composition import Composition  # noqa: PLC0415 (seconds to import)

    try:
        amounts = Composition(formula).fractional_composition.get_el_amt_dict()
    except ValueError:
        amounts = {}
    if not amounts:
        raise FoldwiseError(
            "it is not a chemical formula", where=repr(formula), hint="Correct the targets file."
        )
    return dict(amounts)
