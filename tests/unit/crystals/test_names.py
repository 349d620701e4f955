import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.names import fraction_table


def test_fractions_have_a_column_per_element_and_keep_rows_that_repeat():
    formulas = pd.Series(["Mg3(PO4)2", "NaCl", "Fe0.5Ni1.5", "NaCl"], index=list("abcd"))
    table = fraction_table(formulas)
    assert list(table.index) == list("abcd")
    assert list(table.columns) == ["Cl", "Fe", "Mg", "Na", "Ni", "O", "P"]
    assert table.loc["a", ["Mg", "P", "O"]].tolist() == [3 / 13, 2 / 13, 8 / 13]
    assert table.loc["c", ["Fe", "Ni"]].tolist() == [0.25, 0.75]
    assert table.loc["b"].equals(table.loc["d"].rename("b"))
    assert table.sum(axis=1).tolist() == pytest.approx([1, 1, 1, 1])


@pytest.mark.parametrize("formula", ["", "water", "(NaCl", "NaCl)", "Na-Cl", "2"])
def test_a_text_that_is_not_a_formula_is_named(formula):
    with pytest.raises(FoldwiseError) as refused:
        fraction_table(pd.Series([formula]))
    assert repr(formula) in str(refused.value)
