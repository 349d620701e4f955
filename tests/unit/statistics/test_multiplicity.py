import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.statistics.multiplicity import holm


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") in R.
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        # By hand: 3 x 0.005, 2 x 0.011, 1 x 0.02 (raised to its predecessor), in another order.
        ([0.02, 0.005, 0.011], [0.022, 0.015, 0.022]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_adjusted_as_in_the_literature(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_adjusting_never_helps_and_never_reorders(p_values):
    adjusted = holm(p_values)
    assert all(after >= before for after, before in zip(adjusted, p_values, strict=True))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    # Bonferroni's correction, which Holm's is never stricter than.
    for after, before in zip(adjusted, p_values, strict=True):
        assert after <= min(1.0, len(p_values) * before) + 1e-12


def test_no_probability_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.2])
