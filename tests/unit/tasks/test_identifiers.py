import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.identifiers import crystal_ids


def test_ids_of_the_index_are_kept():
    assert crystal_ids(["mp-2", "mp-1"], "own", "f") == ["mp-2", "mp-1"]


def test_ids_from_row_numbers():
    assert crystal_ids([0, 41], "own", "f") == ["own-000001", "own-000042"]
    assert crystal_ids([0, 635], "matbench_jdft2d", "f") == ["mb-jdft2d-001", "mb-jdft2d-636"]
    assert crystal_ids([9], "matbench_mp_e_form", "f") == ["mb-mp-e-form-000010"]


@pytest.mark.parametrize(
    ("index", "task", "line"),
    [
        (
            ["a", 1],
            "own",
            "f: the index is neither all text nor all integers (int, str). "
            "Use ids, or row numbers from 0.",
        ),
        (
            [0.0, 1.0],
            "own",
            "f: the index is neither all text nor all integers (float). "
            "Use ids, or row numbers from 0.",
        ),
        (
            [True, False],
            "own",
            "f: the index is neither all text nor all integers (bool). "
            "Use ids, or row numbers from 0.",
        ),
        ([0, -1], "own", "f: the index holds the negative row number -1. Count rows from 0."),
        (
            ["a", "b", "a"],
            "own",
            "f: 1 duplicate id(s), the first is 'a'. Make every id unique.",
        ),
        ([3, 3], "own", "f: 1 duplicate id(s), the first is 'own-000004'. Make every id unique."),
        (
            ["a/b"],
            "own",
            "f: 'a/b' cannot be an id. "
            "Ids become file names: 1 to 100 characters, no slashes, no #, no dot in front.",
        ),
        (
            ["a", "a#1"],
            "own",
            "f: 'a#1' cannot be an id. "
            "Ids become file names: 1 to 100 characters, no slashes, no #, no dot in front.",
        ),
        (
            ["mp-1"],
            "matbench_jdft2d",
            "f: 1 id(s) are not of matbench_jdft2d, the first is 'mp-1'. "
            "Use the official ids or row numbers, or a task name of your own.",
        ),
        (
            [636],
            "matbench_jdft2d",
            "f: 1 id(s) are not of matbench_jdft2d, the first is 'mb-jdft2d-637'. "
            "Use the official ids or row numbers, or a task name of your own.",
        ),
    ],
)
def test_bad_index(index, task, line):
    with pytest.raises(FoldwiseError) as caught:
        crystal_ids(index, task, "f")
    assert str(caught.value) == line
