import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from foldwise.common.files import read_json
from foldwise.study.config import SCHEMA
from small_study import CONFIG, ISOLATED, N_CRYSTALS, TASK, UNREADABLE

FIGURES = ("parity", "error_distribution", "error_by_target", "learning_curves")
MODELS = [("baseline", 0), ("baseline", 1), ("student", 0)]
FOLDS = (0, 1)


def per_model(*patterns):
    return {
        pattern.format(recipe=recipe, fold=fold, seed=seed, task=TASK)
        for pattern in patterns
        for recipe, seed in MODELS
        for fold in FOLDS
    }


STUDENT_MODELS = {f"models/student/{TASK}/fold_{fold}/seed_0/model.safetensors" for fold in FOLDS}
STUDENT_ANSWERS = {f"predictions/student/{TASK}/fold_{fold}/seed_0/test.parquet" for fold in FOLDS}


def altered(study, tmp_path, name, **changes):
    """A copy of the finished study and a config of it with changed recipes."""
    house = study.copy(tmp_path / "house")
    return house, house.write_config(name, **changes)


def test_every_artifact_is_made(study):
    expected = {f"data/{TASK}/{name}" for name in ("targets.parquet", "card.json", "failures.csv")}
    expected |= {f"data/{TASK}/graphs/{name}" for name in ("meta.json", "failures.csv")}
    expected |= {f"splits/{TASK}/fold_{fold}.json" for fold in FOLDS}
    expected |= {f"splits/{TASK}/duplicates.{kind}" for kind in ("json", "csv")}
    model = "models/{recipe}/{task}/fold_{fold}/seed_{seed}/"
    answers = "predictions/{recipe}/{task}/fold_{fold}/seed_{seed}/"
    expected |= per_model(
        *(model + name for name in ("model.safetensors", "fit.json", "history.csv")),
        model + "training.log",
        *(answers + name for name in ("test.parquet", "train.parquet", "test_timing.json")),
    )
    expected |= {
        f"ensembles/e3/{TASK}/fold_{fold}/{subset}.parquet"
        for fold in FOLDS
        for subset in ("test", "crossfit")
    }
    expected |= {"RESULTS.md", "leaderboard.csv", "gates/pretrained.json"}
    expected |= {f"ablation.{kind}" for kind in ("md", "csv", "png", "svg")}
    assert {name for name in expected if not (study.results / name).is_file()} == set()
    assert not list(study.root.rglob("*.part"))
    assert not list(study.results.rglob(".resume"))


@pytest.mark.parametrize("experiment", ["e0", "e3", "e4"])
def test_the_folder_of_an_experiment_is_complete(study, experiment):
    folder = study.results / experiment
    names = ["results.json", "README.txt", "config.json", "metrics.json", "predictions.parquet"]
    names += ["groups/_index.csv"]
    names += [f"figures/{figure}.{kind}" for figure in FIGURES for kind in ("png", "svg")]
    names += [
        f"diagnostics/{name}"
        for name in (
            "failures.csv",
            "outliers.csv",
            "value_ranges.json",
            "actual_vs_predicted.csv",
            "review.json",
        )
    ]
    assert [name for name in names if not (folder / name).stat().st_size] == []
    groups = [path for path in (folder / "groups").iterdir() if path.is_dir()]
    assert groups
    for group in groups:
        for name in ("metrics.json", "predictions.csv", "per_sample.csv"):
            assert (group / name).stat().st_size
        assert list(group.glob("samples/*/summary.txt"))


@pytest.mark.parametrize("experiment", ["e0", "e3", "e4"])
def test_metrics_are_those_of_scikit_learn_on_the_predictions(study, experiment):
    table = pd.read_parquet(study.results / experiment / "predictions.parquet")
    record = json.loads((study.results / experiment / "results.json").read_text())
    for fold in record["metrics"]["folds"]:
        rows = table[table["fold"] == fold["fold"]]
        target, prediction = rows["target"], rows["prediction"]
        assert fold["n"] == len(rows)
        assert fold["mae"] == pytest.approx(mean_absolute_error(target, prediction), abs=1e-9)
        assert fold["rmse"] == pytest.approx(root_mean_squared_error(target, prediction), abs=1e-9)
    maes = [fold["mae"] for fold in record["metrics"]["folds"]]
    aggregate = record["metrics"]["aggregate"]
    assert aggregate["mae_mean"] == pytest.approx(np.mean(maes), abs=1e-9)
    assert aggregate["mae_std"] == pytest.approx(np.std(maes), abs=1e-9)


def test_an_experiment_answers_with_its_own_models(study):
    """E0 is E3's first seed, E3 is the mean of its seeds, E4 is the student."""
    for fold in FOLDS:
        answers = {
            (recipe, seed): pd.read_parquet(
                study.results / f"predictions/{recipe}/{TASK}/fold_{fold}/seed_{seed}/test.parquet"
            ).set_index("id")["prediction"]
            for recipe, seed in MODELS
        }
        first, second = answers["baseline", 0], answers["baseline", 1]
        expected = {"e0": first, "e3": (first + second) / 2, "e4": answers["student", 0]}
        for experiment, prediction in expected.items():
            table = pd.read_parquet(study.results / experiment / "predictions.parquet")
            shown = table[table["fold"] == fold].set_index("id")["prediction"]
            np.testing.assert_allclose(shown[prediction.index], prediction, rtol=0, atol=1e-12)


def test_every_line_of_a_log_says_what_a_look_at_a_long_run_asks_for(study):
    """Batch size at the start; rate, loss or failures at every step; memory after the first."""
    trainings = [path.read_text() for path in study.results.glob("models/*/*/*/*/training.log")]
    inferences = [path.read_text() for path in study.results.glob("logs/predict/*/*/*.log")]
    assert (len(trainings), len(inferences)) == (6, 6)
    timing = r"  \d+\.\d+ s/step  elapsed \d+:\d\d  ETA \d+:\d\d"
    for said, line, beginnings in (
        *((log, r"epoch \d+  loss \S+  lr \d\.\d\de-\d\d", 1) for log in trainings),
        *((log, r"structures  \d+ failure\(s\)", 2) for log in inferences),  # test and train
    ):
        steps = re.findall(r"^\[[\d:]+\] step .*$", said, re.MULTILINE)
        form = rf"\[[\d:]+\] step \d+/\d+  {line}{timing}"
        assert steps
        assert [step for step in steps if not re.fullmatch(form, step)] == []
        assert len(re.findall(r" memory: .* are free", said)) == beginnings
    for log in trainings:
        assert f", effective batch size {CONFIG['recipes']['baseline']['batch_size']}, " in log


def test_a_rejected_crystal_is_a_row_of_failures_and_the_study_goes_on(study):
    data = study.results / "data" / TASK
    card = json.loads((data / "card.json").read_text())
    assert (card["n_source"], card["n_accepted"], card["n_failed"]) == (
        N_CRYSTALS + 2,
        N_CRYSTALS + 1,
        1,
    )
    assert (data / "failures.csv").read_text() == (
        f"id,stage,reason,detail\n{UNREADABLE},dataset,unreadable structure,no list of sites\n"
    )
    assert (data / "graphs" / "failures.csv").read_text() == (
        f"id,stage,reason,detail\n{ISOLATED},graphs,isolated or unreadable graph,"
        "1 isolated atom(s): no neighbour within 6 Å\n"
    )
    for experiment in ("e0", "e3", "e4"):
        folder = study.results / experiment
        failures = pd.read_csv(folder / "diagnostics" / "failures.csv")
        predictions = pd.read_parquet(folder / "predictions.parquet")
        assert set(failures["id"]) == {ISOLATED, UNREADABLE}
        assert len(predictions) + len(failures) == card["n_source"]
        assert not set(predictions["id"]) & set(failures["id"])


def test_every_soft_target_is_out_of_fold(study):
    """Each is the answer of the one teacher that held the row out, and of no teacher besides."""
    for fold in FOLDS:
        split = json.loads((study.results / f"splits/{TASK}/fold_{fold}.json").read_text())
        soft = pd.read_parquet(study.results / f"ensembles/e3/{TASK}/fold_{fold}/crossfit.parquet")
        left_out = {ISOLATED}
        answers = [
            pd.read_parquet(
                study.results / f"predictions/baseline/{TASK}/fold_{fold}/seed_{seed}/train.parquet"
            ).set_index("id")["prediction"]
            for seed in (0, 1)
        ]
        for crystal, mean, n in zip(soft["id"], soft["mean"], soft["n"], strict=True):
            holders = [seed for seed in (0, 1) if crystal in split["validation"][seed]]
            assert (len(holders), n) == (1, 1)
            assert mean == answers[holders[0]][crystal] != answers[1 - holders[0]][crystal]
        assert set(soft["id"]) == {*split["validation"][0], *split["validation"][1]} - left_out
        folder = study.results / f"models/student/{TASK}/fold_{fold}/seed_0"
        fit = json.loads((folder / "fit.json").read_text())
        assert fit["n_train"] == fit["n_soft_targets"] == len(soft)
        assert fit["n_validation"] == len(set(split["validation"][2]) - left_out)


def test_a_second_call_has_nothing_to_do(study):
    done = study.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr
    assert study.jobs() == {}


def test_touched_files_rerun_nothing(study, tmp_path):
    house = study.copy(tmp_path / "house")
    for part in ("Snakefile", "rules", "config", "scripts", "reports", "data", "envs", "profiles"):
        path = house.root / part
        for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
            file.touch()
    (house.root / "tiny.json").touch()
    (house.root / "tiny.json.gz").touch()
    assert house.jobs() == {}


def test_an_edited_ensemble_reruns_what_lies_behind_it(study, tmp_path):
    house = study.copy(tmp_path / "house")
    with (house.root / "scripts/foldwise/prediction/averages.py").open("a") as source:
        source.write("# edited\n")
    ensembles = f"ensembles/e3/{TASK}/fold_{{}}/{{}}.parquet"
    assert house.jobs() == {
        "average_predictions": {ensembles.format(fold, "test") for fold in FOLDS},
        "average_held_out_predictions": {ensembles.format(fold, "crossfit") for fold in FOLDS},
        "train_model": STUDENT_MODELS,
        "predict": STUDENT_ANSWERS,
        "write_experiment": {"e3/results.json", "e4/results.json"},
        "summarise": {"RESULTS.md"},
        "write_ablation": {"ablation.md"},
    }


def test_an_edited_neutral_module_reruns_nothing(study, tmp_path):
    house = study.copy(tmp_path / "house")
    with (house.root / "scripts/foldwise/common/progress.py").open("a") as source:
        source.write("# edited\n")
    assert house.jobs() == {}


def test_copied_results_without_snakemakes_record_are_not_stale(study, tmp_path):
    """Newer code says nothing of results that were made elsewhere."""
    house = study.copy(tmp_path / "house")
    shutil.rmtree(house.root / ".snakemake")
    with (house.root / "scripts/foldwise/prediction/averages.py").open("a") as source:
        source.write("# edited\n")
    assert house.jobs() == {}


def test_what_is_printed_names_no_source_file(bare_house):
    done = bare_house.snakemake("-n")
    assert "rule train_model:" in done.stdout + done.stderr
    assert "scripts/foldwise" not in done.stdout + done.stderr


def test_a_changed_soft_weight_retrains_students_only(study, tmp_path):
    student = {"teacher": {"ensemble": "e3", "targets": "crossfit", "soft_weight": 0.25}}
    recipes = {**CONFIG["recipes"], "student": student}
    house, config = altered(study, tmp_path, "softer.json", recipes=recipes)
    assert house.jobs(config) == {
        "train_model": STUDENT_MODELS,
        "predict": STUDENT_ANSWERS,
        "resolve_experiment": {"configs/e4.json"},
        "write_experiment": {"e4/results.json"},
        "summarise": {"RESULTS.md"},
        "write_ablation": {"ablation.md"},
    }


def test_an_edited_report_module_trains_nothing(study, tmp_path):
    house = study.copy(tmp_path / "house")
    with (house.root / "scripts/foldwise/experiment/pages/readme.py").open("a") as source:
        source.write("# edited\n")
    assert house.jobs() == {
        "write_experiment": {f"{name}/results.json" for name in ("e0", "e3", "e4")},
        "summarise": {"RESULTS.md"},
        "write_ablation": {"ablation.md"},
    }


def test_a_new_experiment_of_trained_models_trains_nothing(study, tmp_path):
    new = {"recipe": "baseline", "seeds": [1], "title": "The other seed", "purpose": "A check."}
    experiments = {**CONFIG["experiments"], "e9": new}
    house, config = altered(study, tmp_path, "more.json", experiments=experiments)
    assert house.jobs(config) == {
        "resolve_experiment": {"configs/e9.json"},
        "write_experiment": {"e9/results.json"},
        "summarise": {"RESULTS.md"},
        "write_ablation": {"ablation.md"},
    }


def test_target_and_gpu_cap_on_the_command_line(study, tmp_path):
    house = study.copy(tmp_path / "house")
    folder = f"results/{CONFIG['run']}/predictions/student/{TASK}/fold_0/seed_0"
    before = pd.read_parquet(house.root / folder / "test.parquet")
    shutil.rmtree(house.root / folder)
    target = f"{folder}/test.parquet"
    done = house.call(
        "snakemake", "--cores", 2, target, "--configfile", "tiny.json", "--resources", "gpu=1"
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 1 steps (100%) done" in done.stdout + done.stderr
    pd.testing.assert_frame_equal(pd.read_parquet(house.root / target), before, rtol=1e-5)


KEYS = ", ".join(read_json(SCHEMA)["properties"])
EXPERIMENTS = CONFIG["experiments"]
RECIPES = CONFIG["recipes"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"fold": 3},
            f"config: unknown key 'fold'. Allowed: {KEYS}.",
        ),
        (
            {"experiments": {**EXPERIMENTS, "e0": {"seed": [0]}}},
            "experiments.e0: unknown key 'seed'. "
            "Allowed: recipe, seeds, tta, replicates, title, purpose, compare_with.",
        ),
        (
            {"experiments": {**EXPERIMENTS, "e0": {"seeds": [0.5]}}},
            "experiments.e0.seeds.0: 0.5 is not accepted. Allowed: a whole number of at least 0.",
        ),
        (
            {"experiments": {**EXPERIMENTS, "e0": {"seeds": ["one"]}}},
            "experiments.e0.seeds.0: 'one' is not accepted. Allowed: a whole number of at least 0.",
        ),
        (
            {"recipes": {**RECIPES, "student": {"teacher": {"ensemble": "e8"}}}},
            "recipes.student.teacher.ensemble: unknown name 'e8'. Allowed: e0, e3, e4.",
        ),
        (
            {"experiments": {**EXPERIMENTS, "e3": None}},
            "experiments.e4.compare_with: unknown name 'e3'. Allowed: e0, e4.",
        ),
        (
            {"recipes": {**RECIPES, "baseline": {"epoch": 3}}},
            "recipes.baseline: unknown key 'epoch'. Allowed: model, init, epochs, steps, "
            "batch_size, lr, weight_decay, warmup, loss, huber_delta, ema_decay, clip_norm, "
            "patience, bootstrap, teacher, augment, consistency, labels, pretrain, extends, "
            "passes_of, tuned, soft_weights.",
        ),
        (
            {"splits": {"holdouts": 2}},
            "splits.holdouts: 2 teachers leave no hold-out to the student. Set it to at least 3.",
        ),
    ],
)
def test_a_bad_config_stops_before_the_first_job(bare_house, changes, line):
    config = bare_house.write_config("bad.json", **changes)
    done = bare_house.snakemake(config=config)
    assert done.returncode == 2
    said = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert said == [f"error: config: {line}"]
    assert "Traceback" not in done.stdout + done.stderr
    assert not (bare_house.root / "results").exists()


def test_report_shows_every_figure_with_its_caption(study, tmp_path):
    report = tmp_path / "report.html"
    done = study.snakemake("--report", report)
    assert done.returncode == 0, done.stderr
    html = report.read_text()
    for name in (*FIGURES, "duplicates", "readme", "summary"):
        assert (study.root / "reports" / f"{name}.rst").read_text().strip() in html
    for figure in FIGURES:
        for experiment in ("e0", "e3", "e4"):
            assert f"{experiment}/figures/{figure}.png" in html
