"""Hours of a study from a rehearsal's figures, recomputed by hand."""

import subprocess
import sys

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from maintenance.bench.rehearsed import Rates, experiment_hours, longest_chain, read_rates
from paths import REPOSITORY

HOUR = 3600
# 1,000 crystals in five folds: 800 training rows, of which 600 are fitted and 200 validate.
RATES = Rates(structures=1000, fit=0.1, answer=0.03, data=36.0, folder=72.0)
OFFICIAL = [REPOSITORY / "config" / name for name in ("config.yaml", "matbench_mp_e_form.yaml")]

MAKE = (
    ". Run python scripts/maintenance/make_rehearsal.py --task matbench_mp_e_form --model chgnet "
    "--fit 2000, then give --rehearsal results/rehearsal_matbench_mp_e_form."
)


@pytest.fixture(scope="module")
def study():
    return parse_study(load_config(OFFICIAL))


def test_each_experiment_adds_its_own_trainings_and_answers(study):
    table = experiment_hours(study, RATES).set_index("experiment")
    training = 50 * (600 * 0.1 + 200 * 0.03) / HOUR
    answers = 1200 * 0.03 / HOUR
    assert table.loc["e0", "training_hours"] == pytest.approx(5 * training)
    assert table.loc["e0", "other_hours"] == pytest.approx(5 * answers + 72 / HOUR)
    # Of its three models the first is that of e0.
    assert table.loc["e3", "trainings"] == 10
    assert table.loc["e3", "training_hours"] == pytest.approx(10 * training)
    assert table.loc["e3", "other_hours"] == pytest.approx(10 * answers + 72 / HOUR)
    # The models are those of e1, asked four times about each test row, twice for the time.
    assert table.loc["e2", "trainings"] == 0
    assert table.loc["e2", "other_hours"] == pytest.approx((5 * 2 * 4 * 200 * 0.03 + 72) / HOUR)
    assert "e5" not in table.index


def test_a_student_waits_for_its_teachers(study):
    one = 50 * (600 * 0.1 + 200 * 0.03) / HOUR
    # The control fits as often as three teachers and a student: it is longer than both.
    assert longest_chain(study, RATES) >= 4 * one
    recipes = {"baseline": study.recipes["baseline"], "student": study.recipes["student"]}
    assert {recipe.epochs for recipe in recipes.values()} == {50}


def write_rehearsal(folder):
    folder.mkdir()
    columns = ["training", "model", "batch_size", "cpu_seconds_per_step"]
    rows = [("teacher", "chgnet", 32, 3.2), ("student", "chgnet", 32, 4.0)]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "trainings.csv", index=False)
    stages = {
        "prepare_dataset": 10, "build_graphs": 20, "report_duplicates": 30, "make_splits": 2,
        "predict": 36, "write_experiment": 72,
    }  # fmt: skip
    pd.DataFrame({"stage": stages.keys(), "cpu_seconds": stages.values()}).to_csv(
        folder / "stages.csv", index=False
    )
    card = folder / "data" / "matbench_mp_e_form" / "card.json"
    card.parent.mkdir(parents=True)
    write_json(card, {"n_accepted": 1000})


def test_rates_are_read_from_a_rehearsal(study, tmp_path):
    write_rehearsal(tmp_path / "made")
    assert read_rates(tmp_path / "made", study) == Rates(1000, 0.1, 0.03, 70.0, 72.0)


@pytest.mark.parametrize("name", ["trainings.csv", "stages.csv"])
def test_a_missing_table_is_named_with_the_command_that_makes_it(study, tmp_path, name):
    write_rehearsal(tmp_path / "made")
    (tmp_path / "made" / name).unlink()
    assert refused(tmp_path / "made", study) == f"{tmp_path}/made/{name}: the file is missing{MAKE}"
    first = f"{tmp_path}/none/trainings.csv: the file is missing{MAKE}"
    assert refused(tmp_path / "none", study) == first


def test_a_rehearsal_of_another_task_network_or_stage_says_what_is_not_in_it(study, tmp_path):
    made = tmp_path / "made"
    write_rehearsal(made)
    table = (made / "trainings.csv").read_text()
    (made / "trainings.csv").write_text(table.replace("chgnet", "chgnet_lite"))
    assert refused(made, study) == f"{made}/trainings.csv: no training of chgnet in it{MAKE}"
    (made / "trainings.csv").write_text(table)
    stages = (made / "stages.csv").read_text()
    (made / "stages.csv").write_text(stages.replace("predict", "other"))
    assert refused(made, study) == f"{made}: its tables hold no 'predict'{MAKE}"
    card = made / "data" / "matbench_mp_e_form" / "card.json"
    card.unlink()
    assert refused(made, study) == f"{card}: the file is missing{MAKE}"


def refused(folder, study):
    with pytest.raises(FoldwiseError) as caught:
        read_rates(folder, study)
    return str(caught.value)


@pytest.mark.slow  # buys: the program itself, with its page
def test_the_program_writes_a_page_and_asks_for_what_is_missing(tmp_path):
    write_rehearsal(tmp_path / "made")
    command = [
        sys.executable, "scripts/maintenance/project_study.py", "--rehearsal",
        str(tmp_path / "made"), "--nodes", "4", "--price", "0.5", "--out",
        str(tmp_path / "out.json"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: --config: it is missing. Give it too.\n")
    subprocess.run([*command, "--config", str(OFFICIAL[1])], cwd=REPOSITORY, check=True)
    record = read_json(tmp_path / "out.json")
    assert record["cost"] == pytest.approx(0.5 * record["core_hours"] / 2)
    assert record["hours_on_nodes_at_least"] >= record["core_hours"] / 8
    page = (tmp_path / "out.md").read_text()
    assert page.startswith("# A projection, not a measurement")
    assert "4 node(s) of 2 cores" in page
