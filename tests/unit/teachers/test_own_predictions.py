"""A CSV of ids and predictions as a model of the study."""

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.teachers.own_predictions import OwnModel, read_own_predictions
from teacher_files import write_fold


def read(fold, place, table):
    place.mkdir(exist_ok=True)
    path = place / "own.csv"
    table.to_csv(path, index=False)
    read_own_predictions(
        OwnModel("own", {"model": "predictions", "path": "own.csv"}, 0),
        table=path,
        targets=fold.root / "targets.parquet",
        split=fold.root / "fold_0.json",
        graph_failures=fold.root / "failures.csv",
        model=place,
        predictions=place,
    )


def table_of(fold, **columns):
    ids = [*fold.held, *fold.test]
    return pd.DataFrame({"id": ids, "prediction": [0.1 * at for at in range(len(ids))], **columns})


def test_test_rows_and_held_out_rows_are_taken_and_fitted_ones_are_not(fold, tmp_path):
    known = pd.DataFrame({"id": fold.ids[:2], "prediction": [9.0, 9.0], "held_out": "false"})
    table = pd.concat([table_of(fold, held_out=["true"] * 4 + ["false"] * 4), known])
    other = table_of(fold, held_out="true").assign(fold=1, prediction=77.0)
    read(fold, tmp_path, pd.concat([table.assign(fold=0), other]))
    test = pd.read_parquet(tmp_path / "test.parquet")
    assert test["id"].tolist() == fold.test
    assert test["prediction"].tolist() == pytest.approx([0.4, 0.5, 0.6, 0.7])
    assert pd.read_parquet(tmp_path / "train.parquet")["id"].tolist() == fold.held
    fit = read_json(tmp_path / "fit.json")
    assert (fit["kind"], fit["n_validation"]) == ("predictions", 4)


def test_ids_that_look_like_numbers_are_read_as_they_are_written(numbered, tmp_path):
    read(numbered, tmp_path, table_of(numbered))
    assert pd.read_parquet(tmp_path / "test.parquet")["id"].tolist()[-2:] == ["007", "1001"]


def test_without_held_out_rows_there_is_no_validation_error(fold, tmp_path):
    read(fold, tmp_path, table_of(fold))
    assert pd.read_parquet(tmp_path / "train.parquet").empty
    assert read_json(tmp_path / "fit.json")["val_mae_at_best"] is None


def test_predictions_of_classes_are_probabilities(tmp_path):
    fold = write_fold(tmp_path / "fold")
    table = pd.read_parquet(fold.root / "targets.parquet")
    table["target"] = [float(at % 2) for at in range(len(table))]
    table.to_parquet(fold.root / "targets.parquet")
    read(fold, tmp_path, table_of(fold))
    assert read_json(tmp_path / "fit.json")["target_transform"]["classes"] is True
    with pytest.raises(FoldwiseError) as caught:
        read(fold, tmp_path / "far", table_of(fold).assign(prediction=7.5))
    assert "7.5" in str(caught.value)
    assert not (tmp_path / "far" / "fit.json").exists()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda table: table.iloc[:-1], "1 of 4 test rows are missing, 'tiny-019' among them"),
        (lambda table: pd.concat([table, table.iloc[-1:]]), "id 'tiny-019' stands there twice"),
        (lambda table: table.assign(prediction="x"), "the prediction for 'tiny-016' is no number"),
        (lambda table: table.rename(columns={"id": "ID"}), "column 'id' is missing"),
        (lambda table: table.assign(held_out="maybe"), "held_out is 'maybe'"),
        (lambda table: table.assign(held_out="true"),
         "'tiny-016' is held out, but no training row"),
        (lambda table: pd.concat([table, table.iloc[:1].assign(id="other")]),
         "id 'other' is no row of the task"),
    ],
)  # fmt: skip
def test_mistakes_have_a_line(fold, tmp_path, change, line):
    with pytest.raises(FoldwiseError) as caught:
        read(fold, tmp_path, change(table_of(fold)))
    assert line in str(caught.value)
    assert not (tmp_path / "fit.json").exists()


def test_a_row_with_a_cell_more_is_named(fold, tmp_path):
    (tmp_path / "own.csv").write_text("id,prediction\ntiny-016,0,5\n")
    with pytest.raises(FoldwiseError, match="row 2 has 3 cells, the header 2"):
        read_own_predictions(
            OwnModel("own", {}, 0),
            table=tmp_path / "own.csv",
            targets=fold.root / "targets.parquet",
            split=fold.root / "fold_0.json",
            graph_failures=fold.root / "failures.csv",
            model=tmp_path,
            predictions=tmp_path,
        )
