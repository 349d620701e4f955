import pytest

from experiment_files import make_study
from foldwise.common.files import read_json, write_json
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.record.provenance import provenance_block
from foldwise.tracking.record.code_state import code_state
from foldwise.tracking.record.environment import environment


@pytest.fixture
def study(tmp_path):
    return make_study(tmp_path)


def block(study):
    return provenance_block(load_inputs(study.paths("e0"), "e0"), "snakemake results/e0")


def test_provenance_names_code_data_environment_and_command(study):
    found = block(study)
    assert found["command"] == "snakemake results/e0"
    assert found["dataset_sha256"] == "ab" * 32
    assert found["seeds"] == [0]
    assert {key: found[key] for key in environment()} == environment()
    assert found["packages"]["snakemake"]
    assert found["git_commit"] == code_state().git_commit
    assert (found["dirty_hash"] is None) == (found["git_dirty"] is not True)


def test_the_cost_is_summed_where_every_training_says_it(study):
    assert block(study)["cost"] == {
        "wall_time_sec": 62.5,
        "cpu_time_sec": None,
        "host_peak_memory_bytes": None,
        "device_peak_memory_bytes": None,
    }
    for number, path in enumerate(study.paths("e0").fits):
        cost = {"cpu_time_sec": 10.0, "host_peak_memory_bytes": 100 + number}
        write_json(path, read_json(path) | cost | {"device": "cuda", "peak_memory_bytes": 7})
    assert block(study)["cost"] == {
        "wall_time_sec": 62.5,
        "cpu_time_sec": 50.0,
        "host_peak_memory_bytes": 104,
        "device_peak_memory_bytes": 7,
    }


def test_another_split_has_another_hash(study):
    before = block(study)["splits_sha256"]
    path = study.paths("e0").splits[0]
    split = read_json(path)
    write_json(path, split | {"train": split["train"][1:]})
    assert block(study)["splits_sha256"] != before
