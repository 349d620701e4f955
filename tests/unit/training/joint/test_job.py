"""A joint pretraining fits no row that is, or matches, a test row of any of its tasks."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_parquet
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.graphs.sources import ResidentStore, open_batches
from foldwise.graphs.store import GraphStore
from foldwise.network.checkpoint import load_model
from foldwise.network.chgnet import MODELS, FlatCHGNet
from foldwise.network.machine import Machine
from foldwise.network.output import predict
from foldwise.network.transform import compositions
from foldwise.study.recipe import Recipe, parse_recipe
from foldwise.tasks.duplicates.groups import structure_groups
from foldwise.tasks.splits import FoldSplit
from foldwise.training.joint.job import TaskFiles, pretrain
from foldwise.training.joint.network import MultiTaskNetwork, masked_loss
from foldwise.training.joint.rows import joint_rows
from foldwise.training.optimisation import MovingAverage
from joint_files import COUNT, TEST, make_house

RECIPE = {
    "model": "chgnet_lite", "init": "scratch", "batch_size": 8, "lr": 3e-3,
    "pretrain": {"tasks": ["form", "gap"], "epochs": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint")
    return (folder, *make_house(folder))


def run(house, out, targets=None, recipe=RECIPE):
    folder, files, _ = house
    tasks = [
        TaskFiles(
            task, (targets or {}).get(task, place / "targets.parquet"), place / "graphs",
            place / "split.json", "standardize" if task == "gap" else "element_reference",
            intensive=True,
        )
        for task, place in files.items()
    ]  # fmt: skip
    pretrain(
        tasks, folder / "groups.parquet", recipe=parse_recipe(recipe, "recipe"), seed=0, holdout=0,
        machine=Machine("cpu"), out=out,
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def pretrained(house):
    return run(house, house[0] / "out")


def longer(epochs, **options):
    return {**RECIPE, "pretrain": {"tasks": ["form", "gap"], "epochs": epochs}, **options}


def test_a_killed_pretraining_goes_on_after_its_last_epoch_to_the_same_bytes(
    house, tmp_path, monkeypatch
):
    whole = run(house, tmp_path / "whole", recipe=longer(3))
    update, steps = MovingAverage.update, []

    def killed_in_the_second_epoch(self, module):
        update(self, module)
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MovingAverage, "update", killed_in_the_second_epoch)
        with pytest.raises(KeyboardInterrupt):
            run(house, tmp_path / "killed", recipe=longer(3))
    assert not (tmp_path / "killed" / "backbone.safetensors").exists()
    again = run(house, tmp_path / "killed", recipe=longer(3))
    for name in ("backbone.safetensors", "pretrain_rows.parquet", "pretrain_history.csv"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    record = json.loads((again / "pretrain.json").read_text())
    assert (record["resumed_from_epoch"], record["epochs_run"]) == (1, 3)
    assert not (again / ".resume").exists()


def test_a_pretraining_stops_early_and_keeps_its_best_epoch(house, tmp_path):
    """A rate so high that the hold-out's error rises again."""
    out = run(house, tmp_path / "out", recipe=longer(12, lr=0.3, patience=1))
    record = json.loads((out / "pretrain.json").read_text())
    history = pd.read_csv(out / "pretrain_history.csv")
    assert record["early_stopped"]
    assert record["epochs_run"] == len(history) == record["best_epoch"] + 1 < 12
    assert history["val_mae_form"].idxmin() + 1 == record["best_epoch"]
    assert history["val_mae_gap"].notna().all()


def test_the_validation_error_is_that_of_the_backbone_on_the_hold_out(pretrained, house):
    """Predictions of the written checkpoint, by the code that answers for finished models."""
    files = house[1]
    model = load_model(pretrained / "backbone.safetensors")
    store = GraphStore.open(files["form"] / "graphs")
    held = json.loads((files["form"] / "split.json").read_text())["validation"][0]
    free = [name for name in held if int(name.split("-")[1]) not in {*TEST["form"], *TEST["gap"]}]
    table = pd.read_parquet(files["form"] / "targets.parquet").set_index("id")["target"]
    answers = predict(
        model.network, model.transform, open_batches(store, torch.device("cpu")),
        compositions(store), store.rows_of(free),
    )  # fmt: skip
    record = json.loads((pretrained / "pretrain.json").read_text())
    # One of the two was relaxed again in the other task: a structure without this task's label.
    assert (record["structures_validated"], len(free)) == (3, 2)
    history = pd.read_csv(pretrained / "pretrain_history.csv")
    error = np.abs(answers - table[free].to_numpy()).mean()
    assert history["val_mae_form"].iloc[0] == pytest.approx(error, rel=1e-5)


def numbers(names):
    return {int(name.split("-")[1]) for name in names}


def test_no_test_row_of_any_task_is_fitted_under_whatever_id(pretrained, house):
    rows = pd.read_parquet(pretrained / "pretrain_rows.parquet")
    forbidden = set(TEST["form"]) | set(TEST["gap"])
    held_out = numbers(json.loads((house[1]["form"] / "split.json").read_text())["validation"][0])
    assert numbers(rows["id"]) == set(range(COUNT)) - forbidden - held_out
    record = json.loads((pretrained / "pretrain.json").read_text())
    assert record["test_rows"] == 9
    assert record["left_out_as_test"] == 8 + 6  # 0 and 1 are no crystals of task `gap`
    fitted = numbers(rows["id"])
    assert record["tasks"] == {"form": len(fitted), "gap": len(fitted)}
    # One row for both tasks where they hold the same cell, one each where one was relaxed again.
    assert len(rows) == sum(1 + number % 2 for number in fitted)


def test_only_the_matcher_finds_the_crystals_that_were_relaxed_again(house):
    _, _, groups = house
    of = groups.assign(number=[int(name.split("-")[1]) for name in groups["id"]])
    for number, rows in of[of["number"] >= 2].groupby("number"):
        assert len(rows) == 2
        assert rows["group"].nunique() == 1
        assert rows["structure"].nunique() == 1 + number % 2


@pytest.mark.parametrize("poisoned", ["test", "fitted"])
def test_poisoned_test_labels_of_both_tasks_change_nothing(pretrained, house, tmp_path, poisoned):
    """The labels of every crystal that is a test row of either task, in both tasks' files."""
    forbidden = set(TEST["form"]) | set(TEST["gap"])
    targets = {}
    for task, place in house[1].items():
        table = pd.read_parquet(place / "targets.parquet")
        rows = [int(name.split("-")[1]) in forbidden for name in table["id"]]
        if poisoned == "fitted":
            rows = [int(name.split("-")[1]) == COUNT - 1 for name in table["id"]]
        table.loc[rows, "target"] = -50.0
        targets[task] = tmp_path / f"{task}.parquet"
        write_parquet(targets[task], table)
    run(house, tmp_path / "out", targets)
    same = (pretrained / "backbone.safetensors").read_bytes() == (
        tmp_path / "out" / "backbone.safetensors"
    ).read_bytes()
    assert same == (poisoned == "test")


def caesium_chloride(a, numbers=(11, 17)):
    frac = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    return CrystalArrays(np.array(numbers, dtype=np.int32), frac, np.eye(3) * a)


def rock_salt(a, numbers=(11, 17)):
    lattice = a / 2 * (np.ones((3, 3)) - np.eye(3))
    frac = np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]])
    return CrystalArrays(np.array(numbers, dtype=np.int32), frac, lattice)


def test_a_match_in_structure_is_left_out_and_a_polymorph_is_not():
    """A slightly larger cell matches; another formula or another structure does not."""
    crystals = {
        "a": {"a-test": caesium_chloride(4.0), "a-train": rock_salt(5.6)},
        "b": {
            "b-near": caesium_chloride(4.02),
            "b-test": caesium_chloride(4.2, (19, 35)),
            "b-train": rock_salt(5.7),
        },
    }
    formulas = {
        "a": {"a-test": "NaCl", "a-train": "NaCl"},
        "b": {"b-near": "NaCl", "b-test": "KBr", "b-train": "NaCl"},
    }
    groups = structure_groups(formulas, crystals)
    of = dict(zip(groups["id"], groups["group"], strict=True))
    assert of["a-test"] == of["b-near"] != of["a-train"] == of["b-train"]
    assert groups["structure"].nunique() == 5

    def split(task, train, test):
        return FoldSplit(task, 0, 2, "", False, True, train, ((), train), test)

    splits = {
        "a": split("a", ("a-train",), ("a-test",)),
        "b": split("b", ("b-near", "b-train"), ("b-test",)),
    }
    labels = {task: dict.fromkeys(names, 1.0) for task, names in formulas.items()}
    kept = joint_rows(groups.assign(usable=True), labels, splits, task="a", holdout=0)
    assert set(kept.table["id"]) == {"a-train", "b-train"}
    held = joint_rows(groups.assign(usable=True), labels, splits, task="a", holdout=1)
    assert len(held.table) == 0


def test_absent_labels_add_nothing_to_the_loss_and_no_gradient():
    output = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    target = torch.tensor([[0.0, torch.nan], [torch.nan, torch.nan]])
    loss = masked_loss(output, target, torch.tensor([2.0, 1.0]), Recipe(loss="mse"))
    loss.backward()
    assert float(loss.detach()) == pytest.approx((1.0 / 2.0) ** 2 / 2)
    assert output.grad.tolist() == [[pytest.approx(0.25), 0.0], [0.0, 0.0]]


def test_every_task_has_a_head_of_its_own(house):
    torch.manual_seed(0)
    backbone = FlatCHGNet(MODELS["chgnet_lite"])
    network = MultiTaskNetwork(backbone, 2, fresh=[1])
    store = GraphStore.open(house[1]["form"] / "graphs")
    batch = ResidentStore(store, torch.device("cpu")).batch(torch.arange(5))
    with torch.no_grad():
        output = network(batch)
        assert torch.equal(output[:, 0], backbone(batch))
    assert output[:, 1].abs().max() == 0


def test_a_recipe_without_pretrain_is_refused(house, tmp_path):
    with pytest.raises(FoldwiseError, match="the recipe has no pretrain"):
        pretrain(
            [], tmp_path, recipe=Recipe(), seed=0, holdout=0, machine=Machine("cpu"),
            out=tmp_path,
        )  # fmt: skip
