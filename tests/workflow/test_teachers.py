"""Programs, own predictions and a mixed ensemble through Snakemake: one fold of the tiny study."""

import json
import re
import zipfile

import pandas as pd
import pytest

from small_study import TASK

MEAN = """
import pandas as pd
rows = pd.read_csv("rows.csv")
mean = rows.loc[rows["part"] == "fit", "target"].mean()
rows.loc[rows["part"] != "fit", ["id"]].assign(prediction=mean).to_parquet("predictions.parquet")
"""
# In an environment of a package that is nowhere else, and without any other.
ALONE = """
import csv, handmade
rows = list(csv.DictReader(open("rows.csv")))
asked = [row["id"] for row in rows if row["part"] != "fit"]
open("predictions.csv", "w").write(
    "id,prediction\\n" + "".join(f"{name},{handmade.ANSWER}\\n" for name in asked)
)
"""
# What its rule does not know of decides how it ends.
OUTSIDE = """
import json, pathlib
import pandas as pd
answer = json.loads((pathlib.Path(__file__).parent / "luck.json").read_text())
rows = pd.read_csv("rows.csv")
rows.loc[rows["part"] != "fit", ["id"]].assign(prediction=answer).to_parquet("predictions.parquet")
"""
WORDS = {"title": "Something", "purpose": "What is it worth?"}


def program(name, **changes):
    return {"model": "program", "command": f"python {name}", **changes}


def write_package(folder):
    """A wheel of one module, and an environment file that asks for it."""
    wheel = folder / "handmade-1.0-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: handmade\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("handmade.py", "ANSWER = 0.25\n")
        archive.writestr("handmade-1.0.dist-info/METADATA", about)
        archive.writestr("handmade-1.0.dist-info/WHEEL", kind)
        archive.writestr("handmade-1.0.dist-info/RECORD", "")
    content = {"dependencies": ["python=3.11", "pip", {"pip": [str(wheel)]}]}
    (folder / "handmade.yaml").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def mixed(study, tmp_path_factory):
    house = study.copy(tmp_path_factory.mktemp("teachers") / "house")
    (house.root / "mean.py").write_text(MEAN)
    (house.root / "alone.py").write_text(ALONE)
    (house.root / "outside.py").write_text(OUTSIDE)
    write_package(house.root)
    (house.root / "dies.py").write_text("print('no luck today')\nraise SystemExit(3)\n")
    content = json.loads((house.root / "tiny.json").read_text())
    split = json.loads(next((house.results / "splits").glob("*/fold_0.json")).read_text())
    known = pd.read_parquet(next((house.results / "data").glob("*/targets.parquet")))
    ids = [*split["test"], *split["validation"][0]]
    own = known.set_index("id").loc[ids, "target"].add(0.1).rename("prediction").reset_index()
    own["held_out"] = own["id"].isin(split["validation"][0])
    own.to_csv(house.root / "own.csv", index=False)
    content["recipes"] |= {
        "mean": program("mean.py"),
        "dies": program("dies.py", on_failure="leave_out"),
        "dies_for_all": program("dies.py"),
        "mended": program("outside.py"),
        "alone": program("alone.py", environment="handmade.yaml"),
        "own": {"model": "predictions", "path": "own.csv"},
    }
    members = [{"recipe": name, "seeds": [0]} for name in ("mean", "own", "dies")]
    content["experiments"] = {
        "mean": {"recipe": "mean", "seeds": [0], **WORDS},
        "dies_for_all": {"recipe": "dies_for_all", "seeds": [0], **WORDS},
        "mended": {"recipe": "mended", "seeds": [0], **WORDS},
        "alone": {"recipe": "alone", "seeds": [0], **WORDS},
        "cross": {"members": members, "combine": "mean", "compare_with": ["mean"], **WORDS},
    }
    content |= {"only": list(content["experiments"]), "splits": {**content["splits"], "only": [0]}}
    (house.root / "mixed.json").write_text(json.dumps(content))
    done = house.snakemake(
        "results/tiny/cross/results.json", answers_of("alone"), config="mixed.json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return house


def answers_of(recipe):
    return f"results/tiny/predictions/{recipe}/{TASK}/fold_0/seed_0/test.parquet"


def test_a_program_s_experiment_has_a_folder_like_any_other(mixed):
    record = json.loads((mixed.results / "mean" / "results.json").read_text())
    assert record["metrics"]["pooled"]["mae"] == pytest.approx(
        record["metrics"]["baselines"]["train_mean_mae"], rel=0.3
    )
    model = record["outside"]["models"][0]
    assert (model["kind"], model["fold"], model["seed"]) == ("program", 0, 0)
    assert (mixed.results / model["log"]).is_file()
    assert record["outside"]["packages"]["mean"]["pandas"] == pd.__version__
    assert record["prediction_intervals"]["scale"] == "constant"
    assert not (mixed.results / "mean" / "model").exists()
    assert "a program trained" in (mixed.results / "mean" / "README.txt").read_text()


def test_the_mixed_ensemble_is_the_mean_of_its_members_and_names_who_is_missing(mixed):
    record = json.loads((mixed.results / "cross" / "results.json").read_text())
    assert [one["recipe"] for one in record["mixed"]["recipes"]] == ["mean", "own"]
    gone = record["mixed"]["left_out"]
    assert gone == [
        {"recipe": "dies", "seed": 0,
         "reason": "it ended with exit code 3; it last said: no luck today"}
    ]  # fmt: skip
    rows = pd.read_parquet(mixed.results / "cross" / "predictions.parquet").set_index("id")
    alone = pd.read_parquet(mixed.results / "mean" / "predictions.parquet").set_index("id")
    wanted = (alone["prediction"] + alone["target"] + 0.1).loc[rows.index] / 2
    pd.testing.assert_series_equal(rows["prediction"], wanted, check_names=False)
    # The other recipe errs by 0.1 everywhere: without the mean that is the error.
    costs = {one["recipe"]: one for one in record["mixed"]["without"]}
    assert costs["mean"]["mae"] == pytest.approx(0.1)
    assert costs["mean"]["costs"] == pytest.approx(0.1 - record["metrics"]["pooled"]["mae"])
    for name in ("members.png", "error_correlation.svg", "parity.png"):
        assert (mixed.results / "cross" / "figures" / name).stat().st_size
    readme = " ".join((mixed.results / "cross" / "README.txt").read_text().split())
    assert "dies, seed 0, is missing: it ended with exit code 3" in readme


def test_nothing_is_promised_about_answers_that_were_made_elsewhere(mixed):
    folder = mixed.results / "cross"
    text = (folder / "README.txt").read_text()
    assert re.search(r"^  CROSS +[0-9.]+ +[0-9.]+ +unknown ", text, re.MULTILINE)
    readme = " ".join(text.split())
    assert "members that did not train on it (of own only their maker knows)" in readme
    assert "the answers of own were made elsewhere, and what it has seen only its maker" in readme
    assert "[look] leakage: what own has seen only its maker knows" in readme
    assert "The kept epoch" not in readme  # no member has epochs
    assert "A program may have chosen by these rows" in readme
    record = json.loads((folder / "results.json").read_text())
    assert record["compute"]["mixed_precision"] is None


def test_a_program_runs_in_the_environment_that_is_made_of_its_file(mixed):
    rows = pd.read_parquet(mixed.root / answers_of("alone"))
    assert set(rows["prediction"]) == {0.25}
    fit = json.loads(next((mixed.results / "models" / "alone").rglob("fit.json")).read_text())
    assert fit["packages"]["handmade"] == "1.0"
    assert "pandas" not in fit["packages"]


def test_a_program_that_dies_ends_the_call_unless_the_config_goes_on_without_it(mixed):
    done = mixed.snakemake(answers_of("dies_for_all"), config="mixed.json")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    # Snakemake says the line again, as it shows the log of a failed job.
    assert {line.split(" Its log is ")[0] for line in lines} == {
        "error: recipes.dies_for_all, fold 0, seed 0: it ended with exit code 3; it last said: no "
        "luck today."
    }
    assert not (mixed.root / answers_of("dies_for_all")).exists()


def test_a_program_that_failed_runs_again_though_none_of_its_files_has_changed(mixed):
    """First it dies, then its answers are refused, then it is mended: each call tries it anew."""
    luck, asked = mixed.root / "luck.json", answers_of("mended")
    luck.write_text("gone")
    done = mixed.snakemake(asked, config="mixed.json")
    assert "it ended with exit code 1" in done.stderr
    luck.write_text("NaN")
    assert mixed.snakemake(asked, "-n", config="mixed.json").returncode == 0
    outcome = next((mixed.results / "models" / "mended").rglob("outcome.json"))
    assert json.loads(outcome.read_text())["failed"] is not None  # a dry run changes nothing
    done = mixed.snakemake(asked, config="mixed.json")
    assert "of its answers are not finite" in done.stderr
    luck.write_text("0.5")
    done = mixed.snakemake(asked, config="mixed.json")
    assert done.returncode == 0, done.stderr
    assert set(pd.read_parquet(mixed.root / asked)["prediction"]) == {0.5}


def test_a_member_that_was_left_out_runs_again_where_it_is_forced(mixed):
    outcome = next((mixed.results / "models" / "dies").rglob("outcome.json"))
    before = outcome.stat().st_mtime_ns
    done = mixed.snakemake(answers_of("dies"), config="mixed.json")
    assert outcome.stat().st_mtime_ns == before, done.stderr
    done = mixed.snakemake(answers_of("dies"), "--forcerun", "run_dies", config="mixed.json")
    assert done.returncode == 0, done.stderr
    assert outcome.stat().st_mtime_ns > before
    assert "Once it is mended, add --forcerun run_dies" in done.stderr
