"""Mixed members: rules against independent arithmetic, and no test label in them."""

import numpy as np
import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet, write_json, write_parquet
from foldwise.prediction.mixed import MemberFiles, Rule, combine_mixed, left_out
from foldwise.submissions.settings import BoosterOptions

ROWS, TEST = 120, 40
OPTIONS = BoosterOptions(iterations=20, rows_per_leaf=5)


def write_members(root, seeds, scales=(0.1, 0.3, 0.2)):
    """Three recipes with errors of these sizes; recipe 0 has `seeds`, the others seed 0 and 1."""
    generator = np.random.default_rng(3)
    ids = [f"c{number}" for number in range(ROWS + TEST)]
    target = generator.normal(size=len(ids))
    formulas = [f"F{number // 2}" for number in range(len(ids))]
    write_parquet(
        root / "targets.parquet", pd.DataFrame({"id": ids, "formula": formulas, "target": target})
    )
    members = []
    for number, scale in enumerate(scales):
        for seed in seeds if number == 0 else (0, 1):
            answers = target + generator.normal(size=len(ids)) * scale
            place = root / f"r{number}" / str(seed)
            table = pd.DataFrame({"id": ids, "prediction": answers})
            held = table.iloc[:ROWS].assign(held_out=np.arange(ROWS) % 3 == seed % 3)
            write_parquet(place / "test.parquet", table.iloc[ROWS:].reset_index(drop=True))
            write_parquet(place / "train.parquet", held)
            members.append(
                MemberFiles(f"r{number}", seed, place / "test.parquet", place / "train.parquet")
            )
    return members


@pytest.fixture
def members(tmp_path):
    return write_members(tmp_path, (0, 1, 2))


def combined(members, rule, failed=None):
    root = members[0].asked.parents[2]
    return combine_mixed(members, root / "targets.parquet", Rule(rule, OPTIONS), failed or {})


def recipe_means(members):
    """By hand: mean answer of each recipe for the test rows."""
    columns = {}
    for member in members:
        columns.setdefault(member.recipe, []).append(
            pd.read_parquet(member.asked).set_index("id")["prediction"]
        )
    return pd.DataFrame({name: sum(found) / len(found) for name, found in columns.items()})


@pytest.mark.parametrize("rule", ["mean", "median"])
def test_mean_and_median_are_those_of_the_recipes(members, rule):
    tables, done = combined(members, rule)
    means = recipe_means(members)
    found = tables["combined"].set_index("id")
    np.testing.assert_allclose(found["mean"], getattr(means, rule)(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found["std"], means.std(axis=1, ddof=0), rtol=1e-12)
    np.testing.assert_allclose(
        tables["without"].set_index("id")["r1"], getattr(means[["r0", "r2"]], rule)(axis=1)
    )
    assert done["fitted_on_rows"] == 0
    # Rows that a model of every recipe held out: those of the hold-outs 0 and 1.
    assert set(tables["held_out"]["id"]) == {f"c{n}" for n in range(ROWS) if n % 3 < 2}


def test_weights_are_the_best_on_held_out_rows(members):
    """Against a search of the whole simplex."""
    tables, done = combined(members, "stacked")
    assert done["fitted_on_rows"] == 80
    weights = np.array(list(done["weights"].values()))
    assert weights.sum() == pytest.approx(1)
    target = pd.read_parquet(members[0].asked.parents[2] / "targets.parquet").set_index("id")
    ids = tables["held_out"]["id"].tolist()
    columns = {}
    for member in members:
        table = read_parquet(member.held_out, ("id", "prediction", "held_out"))
        own = table[table["held_out"]].set_index("id")["prediction"]
        columns[member.recipe] = own.combine_first(columns.get(member.recipe, own))
    # Hold-outs of different seeds share no row, so that one model of a recipe answers each.
    values = np.stack([columns[name].loc[ids].to_numpy() for name in done["recipes"]], axis=1)
    truth = target.loc[ids, "target"].to_numpy()

    def mae(trial):
        return np.abs(values @ trial - truth).mean()

    grid = [np.array([a, b, 100 - a - b]) / 100 for a in range(101) for b in range(101 - a)]
    assert mae(weights) <= min(mae(trial) for trial in grid) + 1e-12
    np.testing.assert_allclose(
        tables["combined"]["mean"], recipe_means(members).to_numpy() @ weights, rtol=1e-9
    )


@pytest.mark.parametrize("rule", ["stacked", "boosted"])
def test_no_test_label_and_no_fitted_label_enters(members, rule):
    before, _ = combined(members, rule)
    path = members[0].asked.parents[2] / "targets.parquet"
    table = pd.read_parquet(path)
    fitted = table["id"].isin({f"c{number}" for number in range(ROWS) if number % 3 == 2})
    table.loc[fitted | table["id"].isin(before["combined"]["id"]), "target"] = 1e6
    write_parquet(path, table)
    after, _ = combined(members, rule)
    pd.testing.assert_frame_equal(after["combined"], before["combined"], check_exact=True)
    pd.testing.assert_frame_equal(after["held_out"], before["held_out"], check_exact=True)


def test_held_out_answers_come_from_rules_fitted_without_their_formula(members):
    """A poisoned label moves the answers of other formulas' rows, never those of its own."""
    before, _ = combined(members, "boosted")
    path = members[0].asked.parents[2] / "targets.parquet"
    table = pd.read_parquet(path)
    row = before["held_out"]["id"].iloc[0]
    formula = table.set_index("id").loc[row, "formula"]
    table.loc[table["formula"] == formula, "target"] = 50.0
    write_parquet(path, table)
    after, _ = combined(members, "boosted")
    own = before["held_out"]["id"].isin(table.loc[table["formula"] == formula, "id"]).to_numpy()
    moved = (after["held_out"]["mean"] != before["held_out"]["mean"]).to_numpy()
    assert not moved[own].any()
    assert moved[~own].any()


def test_a_failed_member_is_left_out_and_named(members, tmp_path):
    tables, done = combined(members, "mean", {("r2", 0): "it died", ("r2", 1): "it died"})
    means = recipe_means([member for member in members if member.recipe != "r2"])
    np.testing.assert_allclose(tables["combined"]["mean"], means.mean(axis=1))
    assert done["left_out"][0] == {"recipe": "r2", "seed": 0, "reason": "it died"}
    assert done["recipes"] == ["r0", "r1"]
    for number, reason in enumerate([None, "it died"]):
        fit = {"recipe": "r2", "seed": number, "failed": reason}
        write_json(tmp_path / f"fit_{number}.json", fit)
    found = left_out([tmp_path / "fit_0.json", tmp_path / "fit_1.json"])
    assert found == {("r2", 1): "it died"}
    with pytest.raises(FoldwiseError, match="every member failed"):
        combined(members[:1], "mean", {("r0", 0): "it died"})


def test_a_fitted_rule_without_common_rows_says_so(tmp_path):
    members = write_members(tmp_path, (2,))
    with pytest.raises(FoldwiseError, match="0 rows were held out by a model of every recipe"):
        combined(members, "stacked")
    assert combined(members, "median")[0]["held_out"].empty


def test_copies_have_the_formulas_of_their_crystals(members):
    for member in members:
        table = pd.read_parquet(member.asked)
        write_parquet(member.asked, table.assign(id=[f"c0#{at}" for at in range(len(table))]))
    options = Rule("boosted", BoosterOptions(iterations=5, rows_per_leaf=5))
    root = members[0].asked.parents[2]
    tables, _ = combine_mixed(members, root / "targets.parquet", options, {})
    assert np.isfinite(tables["combined"]["mean"]).all()
