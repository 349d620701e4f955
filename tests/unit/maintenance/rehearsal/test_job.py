"""A rehearsal removes an earlier one, and nothing else."""

import pytest

from foldwise.common.errors import FoldwiseError
from maintenance.rehearsal.job import remove_rehearsal


def test_only_a_rehearsal_is_removed(tmp_path):
    root = tmp_path / "rehearsal_matbench_phonons"
    dataset = root / "rehearsal_matbench_phonons.json.gz"
    remove_rehearsal(root, dataset)
    root.mkdir()
    (root / "notes.txt").write_text("mine")
    with pytest.raises(FoldwiseError) as caught:
        remove_rehearsal(root, dataset)
    assert caught.value.where == str(root)
    assert caught.value.hint
    assert (root / "notes.txt").read_text() == "mine"
    dataset.touch()
    remove_rehearsal(root, dataset)
    assert not root.exists()
