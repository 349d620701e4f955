import numpy as np
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.study.recipe import Recipe, Teacher
from foldwise.training.samples import make_samples
from foldwise.training.soft_targets import SoftTargets
from graph_files import salt_store

NAMES = ["a", "b", "c", "d", "a#0", "a#1", "d#0"]
TARGETS = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
STUDENT = Recipe(teacher=Teacher("e3"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return salt_store(tmp_path_factory.mktemp("samples"), NAMES)


def samples(store, fit_ids, soft=None, recipe=STUDENT, seed=0):
    return make_samples(
        store, targets=TARGETS, fit_ids=fit_ids, soft=soft, recipe=recipe, seed=seed
    )


def soft_targets(*ids):
    values = np.arange(len(ids)) + 10.0
    return SoftTargets(list(ids), values, values / 10)


def line_of(*arguments, **options):
    with pytest.raises(FoldwiseError) as caught:
        samples(*arguments, **options)
    return str(caught.value)


def test_hard_targets_alone(store):
    found = samples(store, ["c", "a"], recipe=Recipe())
    assert found.rows.tolist() == [2, 0]
    assert found.hard.tolist() == [3.0, 1.0]
    assert (found.n_soft, found.labelled.all()) == (0, True)


def test_soft_targets_of_other_rows_are_left_out(store):
    found = samples(store, ["c", "a"], soft_targets("d", "a", "b"))
    assert found.rows.tolist() == [2, 0]
    np.testing.assert_array_equal(found.soft, [np.nan, 11.0])
    assert found.weights.tolist() == [1.0, 1.1]
    assert found.n_soft == 1


def test_copies_come_after_the_rows_they_are_made_from(store):
    found = samples(store, ["b", "a"], soft_targets("a#0", "d#0", "a#1"))
    assert found.rows.tolist() == [1, 0, 4, 5]
    np.testing.assert_array_equal(found.hard, [2.0, 1.0, np.nan, np.nan])
    np.testing.assert_array_equal(found.soft, [np.nan, np.nan, 10.0, 12.0])
    assert found.labelled.tolist() == [True, True, False, False]
    assert found.n_soft == 2


def test_copies_of_a_crystal_with_a_mark_in_its_id_are_not_another_crystals(tmp_path):
    """Crystal `a#1` is a test row: none of its copies is fitted as a copy of `a`."""
    store = salt_store(tmp_path, ["a", "b", "a#0", "a#1#0"])
    found = samples(store, ["a"], soft_targets("a#0", "a#1#0"))
    assert found.rows.tolist() == [0, 2]


def test_bootstrap_draws_by_seed(store):
    recipe = Recipe(bootstrap=True)
    fit_ids = ["a", "b", "c", "d"]
    drawn = [samples(store, fit_ids, recipe=recipe, seed=seed).rows.tolist() for seed in range(5)]
    assert drawn[1] == samples(store, fit_ids, recipe=recipe, seed=1).rows.tolist()
    assert len({tuple(rows) for rows in drawn}) > 1
    for rows in drawn:
        assert len(rows) == 4
        assert set(rows) <= {0, 1, 2, 3}


def test_soft_targets_of_another_fold(store):
    assert line_of(store, ["b", "a"], soft_targets("c", "d#0")) == (
        "soft targets: no soft target concerns a row to fit. "
        "Make the ensemble from the same fold as the student."
    )


def test_crystals_without_graph(store):
    soft = soft_targets("a", "b#7")
    assert line_of(store, ["b", "a"], soft) == (
        "graph store: 1 id(s) have no graph, the first is 'b#7'. "
        "Build the graphs and the splits from the same dataset."
    )
