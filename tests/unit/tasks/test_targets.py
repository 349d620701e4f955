import gzip

import numpy as np
import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.duplicates.nearness import count_formula_duplicates
from foldwise.tasks.splits import make_fold
from foldwise.tasks.targets import TargetSpec, prepare_targets, structure_composition
from recorded_files import TASK, target_table

SPEC = TargetSpec(TASK, None, "meV/atom", True, "exfoliation energy")
OWN = TargetSpec("my_gap", None, "eV", True, "band gap")


def prepared(tmp_path, text, spec=OWN):
    path = tmp_path / "table.csv"
    path.write_text(text)
    card = prepare_targets(spec, path, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "targets.parquet")
    return card, table, pd.read_csv(tmp_path / "out" / "failures.csv", dtype=str)


def test_an_official_table(tmp_path):
    path = tmp_path / f"{TASK}.csv.gz"
    target_table().to_csv(path, index=False)
    card = prepare_targets(SPEC, path, tmp_path)
    table = pd.read_parquet(tmp_path / "targets.parquet")
    assert card["official"]
    assert (card["n_source"], card["n_accepted"], card["n_failed"]) == (636, 636, 0)
    assert table["id"].tolist() == target_table()["mbid"].tolist()
    first = table.iloc[0]
    assert first["formula"] == "MoS2"
    assert (first["n_atoms"], first["n_elements"], first["spacegroup"]) == (3, 2, 0)
    assert (first["anion_family"], first["crystal_system"]) == ("chalcogenide", "unknown")
    assert table["target"].to_numpy() == pytest.approx(target_table()["exfoliation_en"])


def test_bad_rows_are_failures_with_a_reason(tmp_path):
    text = "id,composition,gap\na,Na1 Cl1,1.5\nb,Xx3,1\nc,,1\nd,Na1 Cl1,nan\ne,NaCl,2\nf,K1,x\n"
    card, table, failures = prepared(tmp_path, text)
    assert table["id"].tolist() == ["a"]
    assert failures["id"].tolist() == ["b", "c", "d", "e", "f"]
    assert set(failures["reason"]) == {
        "composition cannot be read",
        "target is not a finite number",
    }
    assert card["n_source"] == card["n_accepted"] + card["n_failed"] == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,composition\na,K1\n", "the columns are id, composition"),
        ("id,formula,gap\na,K1,1\n", "the columns are id, formula, gap"),
        ("id,composition,gap\na,K1,1\na,K1,1\n", "duplicate id"),
        ("id,composition,gap\n", "none of 0 rows"),
        ("id,composition,gap\na,,1\n", "none of 1 rows"),
        ("", "the table is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, text, message):
    with pytest.raises(FoldwiseError, match=message):
        prepared(tmp_path, text)


def test_missing_truncated_and_foreign_tables(tmp_path):
    with pytest.raises(FoldwiseError, match="the file does not exist"):
        prepare_targets(OWN, tmp_path / "none.csv.gz", tmp_path)
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(b"id,composition,gap\n" + bytes(5000))[:-20])
    with pytest.raises(FoldwiseError, match=r"broken\.csv\.gz"):
        prepare_targets(OWN, broken, tmp_path)
    with pytest.raises(FoldwiseError, match="are not of matbench_jdft2d"):
        prepared(tmp_path, "id,composition,t\nmb-x,K1,1\n", SPEC)


def test_compositions_of_structures():
    site = {"species": [{"element": "K", "occu": 1}]}
    other = {"species": [{"element": "O", "occu": 1}]}
    assert structure_composition({"sites": [site, other, site]}) == "K2 O1"
    disordered = {"species": [{"element": "K", "occu": 0.5}]}
    assert structure_composition({"sites": [site, disordered]}) == ""
    assert structure_composition({}) == ""


def test_without_the_official_file_the_error_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(FoldwiseError, match="could not be downloaded"):
        prepare_targets(SPEC, None, tmp_path)


def test_formula_duplicates_are_counted_and_structures_left_open():
    targets = pd.DataFrame({"id": [f"r{k}" for k in range(40)], "formula": ["A", "B"] * 20})
    targets.loc[3, "formula"] = "only once"
    splits = [make_fold(targets, "mine", fold, n_holdouts=2) for fold in range(5)]
    report = count_formula_duplicates(targets, splits)
    assert report["all_folds"]["n_test"] == 40
    assert report["all_folds"]["n_test_same_formula"] == 39
    assert report["all_folds"]["n_test_same_structure"] is None
    assert sum(fold["n_test_same_formula"] for fold in report["folds"]) == 39
    assert np.isclose(report["all_folds"]["fraction_same_formula"], 39 / 40)
