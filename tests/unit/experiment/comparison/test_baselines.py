import pytest
from pymatgen.core import Composition

from foldwise.common.errors import FoldwiseError
from foldwise.experiment.comparison.baselines import atomic_fractions


@pytest.mark.parametrize(
    "formula",
    ["Si", "NaCl", "Li2O", "Ca(NO3)2", "Mg3(PO4)2", "K2Al2(SO4)4", "Na(Fe(CO)4)2", "Fe0.5Ni1.5"],
)
def test_fractions_are_those_of_pymatgen(formula):
    expected = Composition(formula).fractional_composition.get_el_amt_dict()
    assert atomic_fractions(formula) == pytest.approx(expected)


@pytest.mark.parametrize("formula", ["", "water", "Na Cl", "(NaCl", "NaCl)", "Na-Cl", "2"])
def test_what_is_no_formula(formula):
    with pytest.raises(FoldwiseError, match="no chemical formula"):
        atomic_fractions(formula)
