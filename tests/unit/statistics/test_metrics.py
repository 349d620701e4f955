import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import max_error, mean_absolute_error, root_mean_squared_error

from foldwise.statistics.metrics import (
    aggregate_folds,
    disagreement_stats,
    fold_metrics,
    mae_by_target_quantile,
    target_bins,
)

VALUES = st.floats(-1e3, 1e3, allow_subnormal=False)
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=60).map(np.array)
EXACT = {"rel": 1e-12, "abs": 1e-12}


@given(PAIRS)
def test_fold_metrics_are_those_of_scikit_learn_and_numpy(pairs):
    target, prediction = pairs.T
    metrics = fold_metrics(target, prediction)
    error = np.abs(prediction - target)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(target, prediction), **EXACT)
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(target, prediction), **EXACT)
    assert metrics["max_abs_error"] == pytest.approx(max_error(target, prediction), **EXACT)
    for rank in (50, 90, 95, 99):
        assert metrics[f"abs_err_p{rank}"] == pytest.approx(np.percentile(error, rank), **EXACT)
    assert metrics["pred_std"] == pytest.approx(np.std(prediction), **EXACT)
    assert metrics["residual_mean"] == pytest.approx(np.mean(prediction - target), **EXACT)
    assert metrics["n"] == len(pairs)


def test_aggregate_uses_the_standard_deviation_of_matbench():
    folds = [fold_metrics([0.0, 0.0], [a, a + 1.0]) for a in (0.0, 1.0, 4.0)]
    aggregate = aggregate_folds(folds)
    maes = [0.5, 1.5, 4.5]
    assert aggregate["mae_mean"] == pytest.approx(np.mean(maes), **EXACT)
    assert aggregate["mae_std"] == pytest.approx(np.std(maes, ddof=0), **EXACT)
    assert aggregate["max_abs_error_max"] == 5.0
    assert aggregate["n"] == 6


@given(st.lists(VALUES, min_size=5, max_size=80))
def test_every_row_is_in_one_bin_and_bins_rise_with_the_target(values):
    target = np.array(values)
    number, edges = target_bins(target)
    assert set(number) <= {1, 2, 3, 4, 5}
    order = np.argsort(target, kind="stable")
    assert np.all(np.diff(number[order]) >= 0)
    for value in np.unique(target):
        assert len(set(number[target == value])) == 1
    assert (edges[0], edges[-1]) == (target.min(), target.max())


def test_bins_of_distinct_targets_are_equal_in_size():
    number, _ = target_bins(np.random.default_rng(0).normal(size=500))
    assert np.bincount(number).tolist() == [0, 100, 100, 100, 100, 100]


def test_bins_of_many_equal_targets_leave_some_empty():
    target = np.array([0.0] * 50 + list(range(1, 51)))
    assert list(mae_by_target_quantile(target, target + 0.5)) == ["q1", "q3", "q4", "q5"]


def test_error_slices_average_to_the_whole():
    generator = np.random.default_rng(1)
    target, prediction = generator.normal(size=(2, 200))
    slices = mae_by_target_quantile(target, prediction)
    assert np.mean(list(slices.values())) == pytest.approx(np.abs(prediction - target).mean())


def test_disagreement_is_that_of_scipy():
    generator = np.random.default_rng(2)
    std = np.round(generator.gamma(2.0, size=300), 1)
    error = std + generator.gamma(2.0, size=300)
    result = disagreement_stats(std, error)
    assert result["correlation_pearson"] == pytest.approx(stats.pearsonr(std, error)[0], **EXACT)
    assert result["correlation_spearman"] == pytest.approx(stats.spearmanr(std, error)[0], **EXACT)
    assert result["disagreement_p90"] == np.percentile(std, 90)


def test_no_correlation_where_the_members_always_agree():
    result = disagreement_stats(np.zeros(4), np.arange(4.0))
    assert result["correlation_pearson"] is None
    assert result["correlation_spearman"] is None


@pytest.mark.parametrize(
    ("target", "prediction", "message"),
    [
        ([], [], "target is empty"),
        ([1.0, 2.0], [1.0], "differ in length: 2 and 1"),
        ([1.0, np.nan], [1.0, 2.0], "target holds 1 value(s) that are not finite"),
        ([1.0], [np.inf], "prediction holds 1 value(s) that are not finite, the first at index 0"),
        ([[1.0]], [[1.0]], "shape (1, 1)"),
    ],
)  # fmt: skip
def test_bad_columns_are_named_with_their_values(target, prediction, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        fold_metrics(target, prediction)
    assert message in str(error.value)


def test_no_folds():
    with pytest.raises(ValueError, match="folds is empty"):
        aggregate_folds([])
