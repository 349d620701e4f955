"""What jobs ask for grows with the task and with the attempt, and covers what was measured."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.estimate.demands import DEMANDS, training_minutes
from foldwise.estimate.sizes import MEAN_ATOMS, TaskSize, task_size
from foldwise.tasks.official import any_official_task
from paths import REPOSITORY

EMBEDDED = {"source": "embedded", "name": "matbench_mp_e_form"}
FULL = TaskSize(132_752, round(132_752 * 29.2))


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.sampled_from(sorted(DEMANDS)),
    st.integers(0, 10**6),
    st.integers(1, 300),
    st.integers(1, 3),
)
def test_more_structures_and_more_attempts_never_ask_for_less(rule, structures, atoms, attempt):
    demand, size = DEMANDS[rule], TaskSize(structures, structures * atoms)
    for ask in (demand.memory_mb, demand.time_minutes):
        assert ask(size, attempt) <= ask(size * 2, attempt)
        assert ask(size, attempt) < ask(size, attempt + 2)


def test_every_rule_has_its_figures():
    """A rule without an entry stops Snakemake at once; an entry without a rule is not missed."""
    named = set()
    for path in (REPOSITORY / "rules").glob("*.smk"):
        named.update(re.findall(r'needs\("(\w+)"', path.read_text()))
    assert named | {"train_model"} == set(DEMANDS)


def test_a_training_takes_as_many_passes_as_it_is_given_and_less_time_on_a_gpu():
    short, long = (training_minutes(FULL, passes, on_gpu=False) for passes in (1, 50))
    assert 10 < short < 90
    assert 30 * (short - 10) < long < 60 * short
    assert training_minutes(FULL, 50, on_gpu=True) < long / 5
    assert training_minutes(FULL, 1, on_gpu=False, attempt=2) >= 2 * short - 1


def test_the_size_is_the_cards_once_there_is_one(tmp_path):
    before = task_size("matbench_mp_e_form", EMBEDDED, tmp_path)
    assert 3_589 <= before.structures <= 132_752
    (tmp_path / "card.json").write_text(json.dumps({"n_source": 3_589, "max_atoms": 25}))
    assert task_size("matbench_mp_e_form", EMBEDDED, tmp_path) == TaskSize(3_589, 3_589 * 25)


def test_an_official_task_is_known_before_its_download(tmp_path):
    size = task_size("matbench_mp_e_form", {"source": "matbench"}, tmp_path)
    assert size.structures == 132_752
    assert size.atoms == pytest.approx(132_752 * 29.2, abs=1)


def test_the_official_tasks_with_structures_are_all_in_the_table():
    assert all(any_official_task(task).input_type == "structure" for task in MEAN_ATOMS)
    assert len(MEAN_ATOMS) == 9


def test_a_file_of_ones_own_is_judged_by_its_bytes(tmp_path):
    file = tmp_path / "mine.json.gz"
    file.write_bytes(bytes(1_666_239))
    size = task_size("mine", {"source": "file", "path": str(file)}, Path("absent"))
    assert size.structures >= 3_589
    assert size.atoms >= 3_589 * 11.8


# Largest `max_rss` (MB) of a rule's jobs in the benchmarks of three studies: the embedded 500
# crystals, the embedded 3,589 of mp_e_form, and the submissions to all of its 132,752 rows; and of
# the programs alone on 132,752 stand-in crystals (make_rehearsal.py), four copies of fold 0's.
MEASURED = [
    ("prepare_dataset", TaskSize(500, 2_000), 139),
    ("build_graphs", TaskSize(500, 2_000), 112),
    ("make_splits", TaskSize(500, 2_000), 209),
    ("report_duplicates", TaskSize(500, 2_000), 220),
    ("train_model", TaskSize(500, 2_000), 536),
    ("predict", TaskSize(500, 2_000), 517),
    ("write_experiment", TaskSize(500, 2_000), 252),
    ("prepare_dataset", TaskSize(3_589, 42_400), 141),
    ("build_graphs", TaskSize(3_589, 42_400), 129),
    ("perturb_structures", TaskSize(4 * 3_589, 4 * 42_400), 218),
    ("make_splits", TaskSize(3_589, 42_400), 394),
    ("train_model", TaskSize(3_589, 42_400), 646),
    ("prepare_dataset", TaskSize(132_752, 3_876_000), 703),
    ("perturb_structures", TaskSize(4 * 132_752, 4 * 3_876_000), 1_424),
    ("prepare_targets", FULL, 309),
    ("make_splits", FULL, 490),
    ("read_submission", FULL, 469),
    ("combine_submissions", FULL, 358),
    ("count_formula_duplicates", FULL, 412),
    ("write_combination", FULL, 638),
]


@pytest.mark.parametrize(("rule", "size", "peak"), MEASURED)
def test_what_is_asked_for_covers_what_was_measured_with_snakemakes_own_processes(rule, size, peak):
    asked = DEMANDS[rule].memory_mb(size)
    assert peak + 380 < asked < 8_000
