"""One fold that is trained and asked for all, and a program that is asked to end."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_json, write_parquet
from foldwise.tasks.splits import FoldSplit
from maintenance.bench.rehearsal.bounded import FirstFold, few_rows, measured

IDS = [f"c{number}" for number in range(20)]
TASK = "demo_e_form"


def split_of(fold):
    test = IDS[fold * 4 : fold * 4 + 4]
    train = [name for name in IDS if name not in test]
    parts = tuple(tuple(train[start::4]) for start in range(4))
    return FoldSplit(TASK, fold, 5, "five folds", False, True, tuple(train), parts, tuple(test))


def test_few_rows_are_a_split_with_the_same_test():
    split = split_of(0)
    few = few_rows(split, 8)
    few.check("few")
    assert few.test == split.test
    assert len(few.train) == 8
    assert [len(part) for part in few.validation] == [2, 2, 2, 2]
    assert list(few.train) == [name for name in split.train if name in few.train]
    # Evenly among all, not the first ones.
    wide = replace(split, train=tuple(f"d{at}" for at in range(80)),
                   validation=tuple(tuple(f"d{at}" for at in range(part, 80, 4))
                                    for part in range(4)))  # fmt: skip
    assert few_rows(wide, 8).validation[1] == ("d1", "d41")
    few_rows(split, 1).check("one of each")
    assert few_rows(split, 10_000) == split


def test_every_fold_takes_the_first_ones_answers(tmp_path):
    study = SimpleNamespace(task=TASK, folds=[0, 1, 2], holdout=lambda _recipe, _seed: 1)
    for fold in study.folds:
        write_json(tmp_path / "splits" / TASK / f"fold_{fold}.json", split_of(fold).as_json())
    first = tmp_path / "predictions" / "baseline" / TASK / "fold_0" / "seed_0"
    for subset in ("test", "train"):
        ids = [name for name in getattr(split_of(0), subset) if name != "c7"]  # has no graph
        table = pd.DataFrame({"id": ids, "prediction": [float(name[1:]) for name in ids]})
        write_parquet(first / f"{subset}.parquet", table)
    write_json(first / "test_timing.json", {"structures": 4})
    FirstFold(study, tmp_path, threads=1).share_answers()
    other = first.parents[1] / "fold_1" / "seed_0"
    test, train = (pd.read_parquet(other / f"{name}.parquet") for name in ("test", "train"))
    assert test["id"].tolist() == ["c4", "c5", "c6"]
    assert test["prediction"].tolist() == [4.0, 5.0, 6.0]
    assert set(train["id"]) == set(split_of(1).train)
    assert set(train["id"][train["held_out"]]) == set(split_of(1).validation[1])


def test_a_program_is_measured_and_asked_to_end(tmp_path):
    log = tmp_path / "log.txt"
    waits = "import signal, sys, time\nsignal.signal(signal.SIGURG, lambda *_: sys.exit(75))\n"
    mine = b"x" * 400_000_000
    taken = measured([sys.executable, "-c", f"{waits}time.sleep(60)"], log, end_after=3)
    assert taken.peak_bytes < len(mine)
    assert 2.9 < taken.seconds < 30
    assert 0 < taken.cpu_seconds < taken.seconds
    assert taken.peak_bytes > 2e6
    with pytest.raises(FoldwiseError, match="exit code 75"):
        measured([sys.executable, "-c", "raise SystemExit(75)"], log)
