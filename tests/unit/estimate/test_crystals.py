import json
import signal

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.estimate.crystals import load_check, longest_hours
from foldwise.estimate.plan import PlannedJob, by_rule, makespan, parse_plan
from foldwise.estimate.report import Check, report
from foldwise.estimate.trial import Trial, run_programs, trial_recipe
from foldwise.estimate.work import Workload
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from foldwise.study.order import experiment_order, experiment_priorities, model_priorities

PLAN = """\
Building DAG of jobs...
[Fri Nov 20 04:26:40 2026]
rule make_splits:
    input: d/targets.parquet, scripts/jobs/make_splits.py
    output: s/fold_0.json
    wildcards: task=toy, fold=0
    priority: 70
    resources: mem_mb=2000

[Fri Nov 20 04:26:40 2026]
localrule train_model:
    input: s/fold_0.json
    output: m/model.safetensors, m/fit.json
    wildcards: recipe=baseline, task=toy, fold=0, seed=1
    threads: 2
    resources: mem_mb=8000, gpu=1
    benchmark: b/train.tsv
rule all:
    input: e0/results.json
    jobid: 0
"""


def job(name, inputs=(), threads=1, priority=0, *, gpu=False):
    return PlannedJob(name, frozenset(inputs), frozenset({name}), {}, priority, threads, gpu)


def test_a_dry_run_is_read_without_its_target():
    splits, training = parse_plan(PLAN)
    assert (splits.rule, splits.priority, splits.gpu) == ("make_splits", 70, False)
    assert training.wildcards == {"recipe": "baseline", "task": "toy", "fold": "0", "seed": "1"}
    assert (training.threads, training.gpu) == (2, True)
    assert (splits.benchmark, training.benchmark) == ("", "b/train.tsv")
    assert training.inputs == splits.outputs


def test_the_makespan_respects_inputs_cores_and_gpu():
    free = [job("a"), job("b"), job("c")]
    assert makespan(free, [4, 4, 4], cores=2, gpus=0) == 8
    assert makespan(free, [4, 4, 4], cores=3, gpus=0) == 4
    chain = [job("a"), job("b", ["a"]), job("c", ["b"])]
    assert makespan(chain, [4, 4, 4], cores=3, gpus=0) == 12
    on_gpu = [job("a", gpu=True), job("b", gpu=True), job("c")]
    assert makespan(on_gpu, [4, 4, 4], cores=8, gpus=1) == 8
    wide = [job("a", threads=4), job("b", threads=4)]
    assert makespan(wide, [1, 1], cores=2, gpus=0) == 2
    assert by_rule(free, [4, 4, 4])[0] == ("a", 1, 4)


def planned(rule, recipe, **wildcards):
    return PlannedJob(rule, frozenset(), frozenset(), {"recipe": recipe, **wildcards}, 0, 1, False)


def test_each_kind_of_job_is_reckoned_by_the_work_it_does():
    """In epochs of the recipe's plain training: 300 units of edges and angles are fitted."""
    study = parse_study(load_config(["config/config.yaml"]))
    work = Workload(study, 300.0, 100.0, 100.0, 10_000_000, 300)

    def epochs(rule, recipe, **wildcards):
        return work.epochs(planned(rule, recipe, **wildcards))

    assert epochs("train_model", "baseline") == 8
    assert epochs("train_model", "student") == 8  # of the training rows' own answers
    assert epochs("train_model", "scratch_student") == 15 * 5  # four copies of every crystal
    assert epochs("pretrain_model", "multitask") is None  # it has a trial of its own
    assert epochs("predict", "baseline") == pytest.approx((2 * 100 + 400) / 300 / 3)
    assert epochs("predict_copies", "scratch") == pytest.approx(4 * 400 / 300 / 3)
    assert epochs("predict_views", "ssa", tta="4") == pytest.approx((400 + 500) / 300 / 3)
    assert epochs("make_splits", "") is None
    assert work.extra_bytes("scratch_student") == 40_000_000
    assert work.extra_bytes("baseline") == 0


def test_study_files_are_laid_over_each_other(tmp_path):
    (tmp_path / "a.yaml").write_text("run: ''\nrecipes: {x: {lr: 1.0e-3, epochs: 2}}\n")
    (tmp_path / "b.json").write_text(json.dumps({"run": "b", "recipes": {"x": {"epochs": 5}}}))
    config = load_config([tmp_path / "a.yaml", tmp_path / "b.json"])
    assert config == {"run": "b", "recipes": {"x": {"lr": 0.001, "epochs": 5}}}
    for text in ("- 1", "a: ["):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(FoldwiseError, match=r"c\.yaml"):
            load_config([tmp_path / "c.yaml"])
    with pytest.raises(FoldwiseError, match="the file does not exist"):
        load_config([tmp_path / "absent.yaml"])


def test_the_smoke_study_orders_its_experiments_by_their_training():
    study = parse_study(load_config(["config/config.yaml", "config/smoke.yaml"]))
    assert study.root == "results/smoke"
    order = experiment_order(study)
    assert [name for name in order if name in ("e0", "e3", "e4")] == ["e0", "e3", "e4"]
    assert order.index("e0") < order.index("e5")
    assert order.index("e1_consistency") < order.index("e2")  # the models are those of E1
    priorities, models = experiment_priorities(study), model_priorities(study)
    assert models["baseline", 0] == priorities["e0"]
    assert models["baseline", 1] == priorities["e3"]
    assert models["student", 0] == priorities["e4"]
    assert priorities["e0"] > priorities["e3"] > priorities["e4"] > 0


def test_a_trial_leaves_out_what_it_cannot_have():
    recipe = {"epochs": 50, "patience": 2, "teacher": {"ensemble": "e3"}, "batch_size": 8}
    assert trial_recipe(recipe) == {"epochs": 3, "patience": 3, "batch_size": 8}


def test_the_report_counts_what_needs_a_look():
    checks = [Check("disk", True, "9 GB free"), Check("memory", False, "9 of 10 GB")]
    assert report(checks).splitlines() == [
        "ok   disk    9 GB free",
        "LOOK memory  9 of 10 GB",
        "1 point(s) to look at first",
    ]
    assert report(checks[:1]).endswith("ready")


def test_a_trial_beside_other_work_is_said():
    def trial(busy, device="cpu"):
        return Trial(3, 0.1, 1.0, 4.0, 10**9, device, None, busy)

    assert load_check([trial(0.9), trial(1.0)], 1).ok
    slow = load_check([trial(0.9), trial(0.06)], 1)
    assert not slow.ok
    assert slow.found.startswith("the trials had 6% of their cores: other work runs")
    assert not load_check([trial(1.0)], 2).ok
    assert load_check([trial(0.2, "cuda")], 1).ok


def test_the_longest_time_stands_in_the_config():
    assert longest_hours({}) == 24
    assert longest_hours({"preflight": {"max_hours": 0.5}}) == 0.5


def test_programs_run_side_by_side_and_are_stopped_in_time():
    quick = ["-c", "import sys; block = bytearray(150_000_000); sys.stderr.write('done')"]
    endless = ["-c", "import time; time.sleep(60)"]
    ended, stopped = run_programs([quick, endless], threads=1, limit=4)
    assert (ended.code, ended.log) == (0, "done")
    assert ended.cpu > 0
    assert (stopped.code, stopped.log) == (-signal.SIGTERM, "")
    assert stopped.wall < 30
