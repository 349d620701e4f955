import pytest
from matbench.metadata import mbv01_metadata, mbv01_validation
from matminer.datasets.utils import _get_data_home

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.official import official_folds, official_task


def test_own_names_are_not_official():
    assert official_task("demo_e_form") is None
    assert official_task("mp_e_form") is None


def test_facts_agree_with_the_matbench_package():
    for name in ("matbench_mp_e_form", "matbench_jdft2d", "matbench_log_gvrh"):
        task = official_task(name)
        reference = mbv01_metadata[name]
        assert task.n_samples == reference.n_samples == reference.num_entries
        assert (task.target, task.unit) == (reference.target, reference.unit)
        assert (task.url, task.sha256) == (reference.url, reference.hash)
        folds = official_folds(task)
        assert len(folds) == 5
        for number, fold in enumerate(folds):
            published = mbv01_validation.splits[name][f"fold_{number}"]
            assert fold["train"] == published.train
            assert fold["test"] == published.test


def test_generated_ids_are_those_of_the_published_folds():
    for name in ("matbench_mp_e_form", "matbench_jdft2d", "matbench_phonons"):
        task = official_task(name)
        fold = official_folds(task)[0]
        generated = [task.crystal_id(row) for row in range(task.n_samples)]
        assert sorted(fold["train"] + fold["test"]) == generated


def test_file_path_follows_matminer(monkeypatch, tmp_path):
    task = official_task("matbench_jdft2d")
    monkeypatch.delenv("MATMINER_DATA", raising=False)
    assert str(task.file_path.parent) == _get_data_home()
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    assert task.file_path == tmp_path / "matbench_jdft2d.json.gz"


@pytest.mark.parametrize("name", ["matbench_e_form", "matbench_steels", "matbench_mp_is_metal"])
def test_unknown_official_task(name):
    with pytest.raises(FoldwiseError) as caught:
        official_task(name)
    assert str(caught.value) == (
        f"task: {name!r} is no official Matbench task with structures and a numeric target. "
        "Use one of matbench_dielectric, matbench_jdft2d, matbench_log_gvrh, matbench_log_kvrh, "
        "matbench_mp_e_form, matbench_mp_gap, matbench_perovskites, matbench_phonons, "
        "or a name without 'matbench_'."
    )


def test_package_that_is_not_installed(monkeypatch):
    task = official_task("matbench_jdft2d")
    monkeypatch.setattr("foldwise.tasks.official.find_spec", lambda name: None)
    with pytest.raises(FoldwiseError, match="the package 'matbench' is not installed"):
        official_folds(task)
