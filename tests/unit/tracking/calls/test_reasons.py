import pytest

from foldwise.tracking.calls import reasons
from foldwise.tracking.calls.reasons import job_failure
from foldwise.tracking.calls.snakemake_log import CallLog, Job, failed_job, parse_log
from foldwise.tracking.record.decision import rule_decision
from tracking_files import make_record

LOG = """\
  Host: login1
RuleException:
CalledProcessError in file "rules/models.smk", line 37:
Command 'set -euo pipefail; python scripts/jobs/train_model.py --recipe '"'"'{}'"'"' \
2> m/training.log' \
returned non-zero exit status 137.
[Fri Nov 20 04:26:42 2026]
Error in rule train_model:
    message: None
    jobid: 3
    output: m/model.safetensors, m/fit.json
    log: m/training.log (check log file(s) for error details)
    shell:
        python scripts/jobs/train_model.py --recipe '"'"'{}'"'"' 2> m/training.log
        (command exited with non-zero exit code)
MissingOutputException in rule predict in file "rules/models.smk", line 60:
Job 25  completed successfully, but some output files are missing.
p/test.parquet (missing locally, parent dir contents: test_timing.json)
"""
SLURM = """\
Error in rule train_model:
    message: SLURM-job '17' failed, SLURM status is: 'OUT_OF_MEMORY'. For further error details \
see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 3
    output: m/fit.json
    log: m/training.log, slurm/17.log (check log file(s) for error details)
    shell:
        python scripts/jobs/train_model.py
        (command exited with non-zero exit code)
    external_jobid: 17
"""


def failure(log_text, status, tmp_path, kills_before=None, message=""):
    (tmp_path / "job.log").write_text(log_text)
    job = Job("train_model", ("m/fit.json",), ("job.log",), message, status)
    return job_failure(job, CallLog(host="login1"), kills_before, tmp_path)


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_tells_which_planned_jobs_failed(quiet):
    text = LOG.replace("Error in rule", "") if quiet else LOG
    call = parse_log(text)
    assert call.host == "login1"
    outputs = ("m/model.safetensors", "m/fit.json")
    training = failed_job(call, Job("train_model", outputs, ("m/training.log",)))
    assert (training.rule, training.exit_status) == ("train_model", 137)
    prediction = failed_job(call, Job("predict", ("p/test.parquet",), ("p/predict.log",)))
    assert (prediction.rule, prediction.exit_status) == ("predict", 0)
    assert failed_job(call, Job("predict", ("q/test.parquet",), ("q/predict.log",))) is None


@pytest.mark.parametrize(
    ("text", "status", "kind", "reason"),
    [
        ("Traceback\n  x\nValueError: bad shape", 1, "exception", "ValueError: bad shape"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", 1, "out_of_memory", "out of memory"),
        ("step 3/9", 7, "exit_code", "exit code 7: step 3/9"),
        ("step 3/9", 139, "killed", "ended by SIGSEGV"),
        ("error: a.json: it is empty. Delete it.", 2, "error", "a.json: it is empty. Delete it."),
        ("", None, "unknown", "ended early, and Snakemake's log has no exit status"),
    ],
)
def test_the_reason_follows_from_status_and_log(text, status, kind, reason, tmp_path):
    found = failure(text, status, tmp_path)
    assert found["kind"] == kind
    assert found["reason"].startswith(f"train_model: {reason}")


def test_the_kernels_counter_tells_lack_of_memory_from_kill(tmp_path, monkeypatch):
    monkeypatch.setattr(reasons, "oom_kills", lambda: 3)
    assert failure("step 1", 137, tmp_path, kills_before=3)["kind"] == "killed"
    found = failure("step 1", 137, tmp_path, kills_before=2)
    assert found["kind"] == "out_of_memory"
    assert "acted 1 time(s)" in found["reason"]


def test_a_queue_tells_its_own_reason_and_node(tmp_path):
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "17.log").write_text("  Host: node7\n")
    job = failed_job(parse_log(SLURM), Job("train_model", ("m/fit.json",), ("m/training.log",)))
    found = job_failure(job, CallLog(host="login1"), None, tmp_path)
    assert (found["kind"], found["host"]) == ("out_of_memory", "node7")
    assert "OUT_OF_MEMORY" in found["reason"]


def comparison(delta, *, clear, passes=(1, 1)):
    cost = {"passes_per_prediction": passes[0], "passes_against": passes[1]}
    reach = 0.001 if clear else 0.1
    interval = [delta - reach, delta + reach]
    return {"against": "e0", "delta_mae": delta, "interval": interval, "cost": cost}


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        (comparison(-0.01, clear=True, passes=(3, 1)), "keep"),
        (comparison(-0.01, clear=False, passes=(3, 1)), "discard"),
        (comparison(0.01, clear=True), "discard"),
        (comparison(0.01, clear=False), "keep"),
        (comparison(0.01, clear=True, passes=(1, 3)), "keep"),
        ({**comparison(0.01, clear=False), "cost": None}, "keep"),
    ],
)
def test_the_rule_keeps_what_is_worth_its_cost(entry, verdict):
    decided = rule_decision(make_record(comparisons=(entry,)))
    assert (decided["verdict"], decided["by"]) == (verdict, "rule")
    assert "e0" in decided["reason"]


def test_the_studys_own_rule_goes_before():
    record = make_record(comparisons=(comparison(-0.01, clear=True),))
    rule = {"rule": "adopt", "outcome": "not adopted", "reason": "On 3 of 5 folds."}
    record["decision"]["rule"] = rule
    assert rule_decision(record)["verdict"] == "discard"
    record["decision"]["rule"] = {**rule, "outcome": "not applicable"}
    assert rule_decision(record)["verdict"] == "keep"


QUEUE = """\
Slurm job 18 ended: PREEMPTED
Error in rule train_model:
    message: SLURM-job '{number}' failed, SLURM status is: '{state}'. Detailed failure reason \
unavailable (status command is not 'sacct').
    jobid: 3
    output: m/fit.json
    log: m/training.log (check log file(s) for error details)
"""
PLANNED = Job("train_model", ("m/fit.json",), ("m/training.log",))


@pytest.mark.parametrize(
    ("number", "state", "kind"),
    [
        (17, "TIMEOUT", "timeout"),
        (17, "NODE_FAIL", "node_failed"),
        (17, "CANCELLED", "cancelled"),
        (17, "OUT_OF_MEMORY", "out_of_memory"),
        (18, "FAILED", "preempted"),
    ],
)
def test_each_end_by_the_queue_has_its_own_name(number, state, kind, tmp_path):
    call = parse_log(QUEUE.format(number=number, state=state))
    found = job_failure(failed_job(call, PLANNED), call, None, tmp_path)
    assert found["kind"] == kind
    assert found["reason"].startswith(f"train_model: Slurm job {number}: ")


def test_what_a_jobs_own_snakemake_says_is_not_the_queues_word(tmp_path):
    """A failed job's log is quoted, in which its own Snakemake tells the same end without cause."""
    inside = QUEUE.partition("\n")[2].splitlines()
    inside[1] = "    message: None"
    quoted = "\n".join(["Logfile slurm/17.log:", "=" * 80, *inside, *inside, "=" * 80, ""])
    call = parse_log(QUEUE.format(number=17, state="CANCELLED") + quoted)
    assert len(call.errors) == 1
    assert job_failure(failed_job(call, PLANNED), call, None, tmp_path)["kind"] == "cancelled"


def test_a_job_that_outgrew_its_memory_is_not_called_failed(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "training.log").write_text(
        "slurmstepd-n1: error: StepId=17.0 exceeded memory limit (223444992 > 209715200), being "
        "killed\n"
    )
    call = parse_log(QUEUE.format(number=17, state="FAILED"))
    assert job_failure(failed_job(call, PLANNED), call, None, tmp_path)["kind"] == "out_of_memory"


def test_a_program_that_saved_its_state_before_the_limit_says_so(tmp_path):
    line = "[12:00:00] time limit near: state saved at step 3 of 9; called again, it goes on there"
    found = failure(line, 75, tmp_path)
    assert found["kind"] == "timeout"
    assert "state saved at step 3 of 9" in found["reason"]


def test_what_sbatch_refuses_is_told_in_its_own_words(tmp_path):
    text = QUEUE.replace(
        QUEUE.split("message: ")[1].partition("\n")[0],
        "SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: "
        "Requested node configuration is not available'.\n    sbatch call:\n        sbatch -n 1",
    )
    call = parse_log(text)
    found = job_failure(failed_job(call, PLANNED), call, None, tmp_path)
    assert found["kind"] == "refused"
    assert "Requested node configuration is not available" in found["reason"]
