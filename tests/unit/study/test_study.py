import copy
from dataclasses import fields

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.study.checks import missing_files, warnings
from foldwise.study.config import parse_study
from foldwise.study.declaration import StudyFile
from foldwise.training.optimisation import mixed_loss
from paths import REPOSITORY

DEFAULT = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
KEYS = ", ".join(field.name for field in fields(StudyFile))


def changed(path, value):
    """The default config with one value set, or taken out (`...`)."""
    config = copy.deepcopy(DEFAULT)
    *parents, last = path.split(".")
    place = config
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return config


def line_of(config):
    with pytest.raises(FoldwiseError) as caught:
        parse_study(config)
    return str(caught.value)


def test_the_default_study():
    study = parse_study(DEFAULT)
    assert list(study.experiments) == list(DEFAULT["experiments"])
    assert (study.root, study.folds) == ("results", [0, 1, 2, 3, 4])
    assert parse_study(changed("run", "mine")).root == "results/mine"
    assert study.teacher_experiment("baseline") is None
    assert study.teacher_experiment("student").name == "e3"


STUDIES = sorted(
    path.name
    for path in (REPOSITORY / "config").glob("*.yaml")
    if "run" in yaml.safe_load(path.read_text())
)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_of_the_repository_is_valid(name):
    config = copy.deepcopy(DEFAULT)
    merge(config, yaml.safe_load((REPOSITORY / "config" / name).read_text()))
    assert parse_study(config).run in ("", name.removesuffix(".yaml"))


def merge(config, changes):
    """As Snakemake lays one config over another."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(config.get(key), dict):
            merge(config[key], value)
        else:
            config[key] = value


def test_a_recipe_is_laid_over_the_one_it_extends():
    study = parse_study(changed("recipes.student.lr", 1e-4))
    base, student = study.recipes["baseline"], study.recipes["student"]
    assert (student.epochs, student.init) == (base.epochs, base.init)
    assert (base.lr, student.lr) == (3e-4, 1e-4)


def test_null_takes_out_and_an_empty_recipe_is_all_defaults():
    config = changed("recipes.plain", {})
    for name in set(config["experiments"]) - {"e0", "e3", "e4"}:
        config["experiments"][name] = None
    for name in set(config["recipes"]) - {"baseline", "student", "plain"}:
        config["recipes"][name] = None
    config["datasets"]["demo_e_hull"] = None
    config["datasets"]["matbench_mp_gap"] = None
    study = parse_study(config)
    assert list(study.experiments) == ["e0", "e3", "e4"]
    assert list(study.recipes) == ["baseline", "student", "plain"]
    assert list(study.datasets) == ["demo_e_form"]
    assert list(study.decisions) == ["e3"]
    assert list(study.series) == ["pretrained"]


@given(
    seeds=st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True),
    more=st.integers(1, 4),
    student=st.integers(0, 9),
)
def test_a_student_validates_on_rows_that_no_teacher_held_out(seeds, more, student):
    config = changed("experiments.e3.seeds", seeds)
    config["splits"]["holdouts"] = len(seeds) + more
    config["experiments"]["e3_scratch"]["seeds"] = [0]
    study = parse_study(config)
    teachers = {study.holdout("baseline", seed) for seed in seeds}
    assert study.holdout("student", student) not in teachers
    assert 0 <= study.holdout("student", student) < len(seeds) + more


def test_resolved_parameters_name_the_teachers():
    resolved = parse_study(DEFAULT).resolved("e4")
    assert resolved["recipe"]["teacher"] == {
        "ensemble": "e3",
        "targets": "crossfit",
        "soft_weight": 0.5,
        "weighting": "uniform",
        "recipe": "baseline",
        "seeds": [0, 1, 2],
    }
    assert (resolved["recipe_name"], resolved["parents"]) == ("student", ["e0", "e3"])
    assert resolved["dataset"] == DEFAULT["datasets"]["demo_e_form"]


def test_labels_only_trains_as_long_as_the_student_and_its_teachers():
    study = parse_study(DEFAULT)
    control, student = study.recipes["labels_only"], study.recipes["student"]
    assert control.epochs == student.epochs * (len(study.experiments["e3"].seeds) + 1)
    seed = study.experiments["labels_only"].seeds[0]
    assert study.holdout("labels_only", seed) == study.holdout("student", 0)


def test_a_series_holds_what_starts_like_its_first_experiment():
    study = parse_study(DEFAULT)
    scratch = ["e0_scratch", "e3_scratch", "e4_scratch", "labels_only_scratch"]
    assert study.members_of("scratch") == scratch
    assert set(study.members_of("pretrained")) == set(study.experiments) - set(scratch)


def test_what_waits_for_the_first_experiment_of_a_series():
    study = parse_study(DEFAULT)
    assert study.gate("baseline") is None
    assert study.gate("scratch") is None
    assert study.gate("student") == study.gate("multitask") == "pretrained"
    assert study.gate("scratch_student") == "scratch"
    assert study.series_of("e0") is None
    assert study.series_of("e3") == "pretrained"
    assert not study.force
    assert parse_study(changed("force", "true")).force
    alone = parse_study(changed("series", {}))
    assert alone.gate("student") is None
    assert alone.series_of("e3") is None


def test_views_at_test_time_are_those_of_the_training():
    study = parse_study(changed("recipes.ssa.augment.displacement", 0.01))
    assert study.resolved("e2")["views"] == {"displacement": 0.01, "strain": 0.005}
    assert study.resolved("e6")["views"] == DEFAULT["views"]
    assert study.resolved("e1")["views"] is None


RECIPES = ", ".join(DEFAULT["recipes"])
EXPERIMENTS = ", ".join(DEFAULT["experiments"])


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("fold", 1, f"config: unknown key 'fold'. Allowed: {KEYS}."),
        ("splits.n", 1, "splits: unknown key 'n'. "
         "Allowed: kind, table, column, folds, seed, only, holdouts."),
        ("splits.kind", "column", "splits: kind 'column' needs a table and a column. "
         "Add table: a CSV or Parquet file with id, and column: one of its columns."),
        ("splits.table", "t.csv", "splits.table: the default kind takes no table. "
         "Leave it out, or take one of the kinds column, time, file."),
        ("task", ..., "config: key 'task' is missing. Add task: text."),
        ("splits.folds", 1,
         "splits.folds: one fold alone. Use at least 2; 1 is for `kind: file`."),
        ("splits.folds", 2.0,
         "splits.folds: 2.0 is not accepted. Allowed: a whole number from 1 to 20."),
        ("experiments.e0.seeds", [1.0],
         "experiments.e0.seeds.0: 1.0 is not accepted. Allowed: a whole number of at least 0."),
        ("experiments.e0.seeds", ["a"],
         "experiments.e0.seeds.0: 'a' is not accepted. Allowed: a whole number of at least 0."),
        ("experiments.e0.seeds", [True],
         "experiments.e0.seeds.0: True is not accepted. Allowed: a whole number of at least 0."),
        ("experiments.e0.seeds", [-1],
         "experiments.e0.seeds.0: -1 is not accepted. Allowed: a whole number of at least 0."),
        ("experiments.e0.seeds", [0, 0],
         "experiments.e0.seeds: 0 is named twice. Name each once."),
        ("experiments.e0.seed", 0, "experiments.e0: unknown key 'seed'. "
         "Allowed: recipe, seeds, tta, replicates, title, purpose, compare_with."),
        ("experiments.e0.tta", 0,
         "experiments.e0.tta: 0 is not accepted. Allowed: a whole number from 1 to 64."),
        ("views.strain", 0.3,
         "views.strain: 0.3 is not accepted. Allowed: a number from 0 to 0.02."),
        ("recipes.multitask.pretrain.tasks", ["demo_e_form", "gap"],
         "recipes.multitask.pretrain.tasks: unknown name 'gap'. "
         "Allowed: demo_e_form, demo_e_hull, matbench_mp_gap."),
        ("datasets.demo_e_form.unit", "eV", "recipes.ssa_shifted.labels: an energy in eV/atom "
         "cannot shift a target in eV. Set it to unchanged."),
        ("decisions.e9", {"rule": "adopt", "against": "e0"},
         f"decisions.e9: unknown name 'e9'. Allowed: {EXPERIMENTS}."),
        ("decisions.e1.against", "e3", "decisions.e1.against: e1 is not compared with e3. "
         "Add it to experiments.e1.compare_with."),
        ("decisions.e1.rule", "keep",
         "decisions.e1.rule: 'keep' is not accepted. Allowed: adopt, drop."),
        ("decisions.e3.against", "e0",
         "decisions.e3: unknown key 'against'. Allowed: rule, makes, reach."),
        ("series.pretrained.first", "e9",
         f"series.pretrained.first: unknown name 'e9'. Allowed: {EXPERIMENTS}."),
        ("series.pretrained.action", "halt",
         "series.pretrained.action: 'halt' is not accepted. Allowed: stop, warn."),
        ("force", "yes",
         "force: 'yes' is not accepted. Allowed: true, false."),
        ("experiments.e0.recipe", "base",
         f"experiments.e0.recipe: unknown name 'base'. Allowed: {RECIPES}."),
        ("experiments.e4.compare_with", ["e9"],
         f"experiments.e4.compare_with: unknown name 'e9'. Allowed: {EXPERIMENTS}."),
        ("datasets.demo_e_form.transform", "square",
         "datasets.demo_e_form.transform: 'square' is not accepted. Allowed: "
         "auto, element_reference, standardize, log, logistic."),
        ("datasets.demo_e_form.path", "x.json.gz", "datasets.demo_e_form.path: a path belongs to "
         "source: file, and to no other. Give the path of a Matbench-format json.gz, or change "
         "the source."),
        ("datasets.demo_e_form.source", "file", "datasets.demo_e_form.path: a path belongs to "
         "source: file, and to no other. Give the path of a Matbench-format json.gz, or change "
         "the source."),
        ("task", "mp_gap", "task: unknown name 'mp_gap'. "
         "Allowed: demo_e_form, demo_e_hull, matbench_mp_gap."),
        ("recipes.student.extends", "base",
         f"recipes.student.extends: unknown recipe 'base'. Allowed: {RECIPES}."),
        ("recipes.student.extends", ["baseline"],
         "recipes.student.extends: ['baseline'] is not accepted. Allowed: text."),
        ("recipes.baseline.extends", "student",
         f"recipes.student.extends: extends itself. Allowed: {RECIPES}."),
        ("recipes.student.teacher.ensemble", "e9",
         f"recipes.student.teacher.ensemble: unknown name 'e9'. Allowed: {EXPERIMENTS}."),
        ("recipes.student.teacher.ensemble", "e4", "recipes.student.teacher.ensemble: its teachers "
         "(e4) are students themselves. Name an experiment whose recipe has no teacher."),
        ("splits.holdouts", 3, "splits.holdouts: 3 teachers leave no hold-out to the student. "
         "Set it to at least 4."),
    ],
)  # fmt: skip
def test_mistakes(path, value, line):
    assert line_of(changed(path, value)) == line


def test_a_removed_key_says_what_to_do():
    line = line_of(changed("engine.seeds_together", True))
    assert line.startswith("engine.seeds_together: ")
    assert line.endswith("Delete it from the study file.")


def test_a_class_is_no_sum_over_atoms():
    config = changed("datasets.demo_e_form.intensive", False)
    assert not parse_study(config).datasets["demo_e_form"]["intensive"]
    config["datasets"]["demo_e_form"]["transform"] = "logistic"
    assert line_of(config) == (
        "datasets.demo_e_form.intensive: a class is no sum over the atoms of the cell. Set it to "
        "true."
    )


def test_files_that_are_not_there_are_named():
    config = copy.deepcopy(DEFAULT)
    config["task"] = "mine"
    own = {"source": "file", "path": "my.json.gz"}
    config["datasets"]["mine"] = {**config["datasets"]["demo_e_form"], **own}
    config["splits"] |= {"kind": "file", "table": "folds.csv", "column": "fold"}
    assert missing_files(parse_study({**config, "only": ["e0"]})) == (
        "datasets.mine.path: there is no file my.json.gz. Give the path of a Matbench-format "
        "json.gz, seen from the repository."
    )
    config["datasets"]["mine"]["path"] = str(REPOSITORY / "data" / "demo.json.gz")
    assert missing_files(parse_study({**config, "only": ["e0"]})) == (
        "splits.table: there is no file folds.csv. Give the path of a CSV or Parquet file, seen "
        "from the repository."
    )


@pytest.mark.parametrize(("given", "read"), [(True, "yes"), (False, "no"), ("auto", "auto")])
def test_a_bare_yes_or_no_is_understood(given, read):
    assert parse_study(changed("engine.compiled", given)).engine.compiled == read


scalars = st.none() | st.booleans() | st.integers(-3, 9) | st.floats(-2, 2) | st.text(max_size=5)
wild = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=5), scalars)
PLACES = [
    *DEFAULT,
    *(f"{top}.{key}" for top in DEFAULT if isinstance(DEFAULT[top], dict) for key in DEFAULT[top]),
    *(f"recipes.baseline.{key}" for key in ("model", "epochs", "lr", "extends", "teacher")),
    *(f"experiments.e3.{key}" for key in DEFAULT["experiments"]["e3"]),
    *(f"datasets.demo_e_form.{key}" for key in DEFAULT["datasets"]["demo_e_form"]),
]


@pytest.mark.slow  # buys: hundreds of wild configs, each a study or one line
@given(st.sampled_from(PLACES), wild)
@settings(max_examples=200, deadline=None)
def test_any_value_anywhere_is_a_study_or_one_line(place, value):
    try:
        study = parse_study(changed(place, value))
    except FoldwiseError as error:
        line = str(error)
    else:
        assert all(isinstance(seed, int) for e in study.experiments.values() for seed in e.seeds)
        return
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize(
    ("teacher", "loss", "warned"),
    [
        ({"soft_weight": 0.5}, "l1", True),
        ({"targets": "in_sample"}, "l1", True),
        ({"soft_weight": 0.4}, "l1", False),
        ({"soft_weight": 0.5}, "huber", False),
        ({"targets": "augmented"}, "l1", False),
        ({"weighting": "disagreement"}, "l1", False),
    ],
)
def test_a_student_that_learns_nothing_between_its_targets_is_warned_of(teacher, loss, warned):
    config = changed("recipes.student.teacher", {"ensemble": "e3", **teacher})
    config["recipes"]["student"]["loss"] = loss
    study = parse_study(config)
    assert [line.split(":")[0] for line in warnings(study)] == ["recipes.student"] * warned
    # What the warning says, of the loss itself: an answer between label and soft target.
    answer = torch.tensor([0.02], requires_grad=True)
    label, soft = torch.tensor([0.0]), torch.tensor([0.09])
    mixed_loss(answer, label, soft, torch.ones(1), study.recipes["student"]).backward()
    assert (answer.grad.item() == 0) == (loss == "l1" and teacher.get("soft_weight", 0.5) == 0.5)


def test_replicates_move_every_seed_on_and_leave_the_first_as_it_was():
    once, study = parse_study(DEFAULT), parse_study({**DEFAULT, "replicates": 3})
    assert study.experiments["e0"].replicate_seeds == [[0], [1], [2]]
    assert study.experiments["e3"].replicate_seeds == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert study.experiments["labels_only"].replicate_seeds == [[0], [1], [2]]
    for name in ("e0", "e3", "e4"):
        resolved = study.resolved(name)
        assert resolved.pop("replicates") == study.experiments[name].replicate_seeds
        # Without the key, so that a study without replicates keeps its identities.
        assert resolved == once.resolved(name)
    assert ("baseline", 8) in study.models_of("e4")
    config = copy.deepcopy(DEFAULT)
    config["replicates"] = 2
    config["experiments"]["e0"]["replicates"] = 4
    own = parse_study(config)
    counts = {name: len(entry.replicate_seeds) for name, entry in own.experiments.items()}
    assert (counts["e0"], counts["e3"]) == (4, 2)
    assert "replicates" in line_of({**DEFAULT, "replicates": 0})


def test_embedded_datasets_are_named_and_known():
    named = "datasets.matbench_mp_gap.name"
    assert line_of(changed(named, "mp_gap")) == (
        f"{named}: there is no embedded dataset 'mp_gap'. "
        "Allowed: demo, matbench_mp_e_form, matbench_mp_gap."
    )
    assert line_of(changed("datasets.matbench_mp_gap.source", "matbench")) == (
        f"{named}: a name belongs to source: embedded, and to no other. "
        "Take it out, or change the source."
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("experiments.data", {"recipe": "baseline", "seeds": [0], "title": "t", "purpose": "p"}),
        ("experiments.runs", {"recipe": "baseline", "seeds": [0], "title": "t", "purpose": "p"}),
        ("run", "mlm"),
        ("datasets.demo_e_form.path", "a{b}c.json.gz"),
    ],
)
def test_names_and_paths_that_would_meet_others_are_refused(path, value):
    assert line_of(changed(path, value)).startswith(path.rsplit(".", 1)[0])
