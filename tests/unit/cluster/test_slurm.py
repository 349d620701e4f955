"""What Slurm's commands say, requests that no node can meet, questions that outlast a restart."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from functools import partial

import pytest

from foldwise.cluster import checks, orphans, slurm
from foldwise.cluster.checks import Request, check_requests, request_of
from foldwise.cluster.orphans import cancel_orphans, name_prefix
from foldwise.cluster.polling import last_error, patient, remembered, steady
from foldwise.cluster.slurm import NoAnswer, Node, Partition, check_slurm, minutes_of, partitions
from foldwise.common.errors import FoldwiseError
from foldwise.tracking.calls.queue_endings import queue_endings

# `sinfo --noheader --format=%P|%l|%c|%m|%G` of the cluster of the cluster test.
SINFO = (
    "cpu*|4:00:00|2|6000|gpu:h200:1\ncpu*|4:00:00|2|6000|(null)\ngpu|1:00:00|2|6000|gpu:h200:1\n"
)
KNOWN = {
    "cpu": Partition("cpu", True, 240, (Node(2, 6000, "gpu:h200:1"), Node(2, 6000, ""))),
    "gpu": Partition("gpu", False, 60, (Node(2, 6000, "gpu:h200:1"),)),
}


def test_partitions_are_read_as_sinfo_prints_them(monkeypatch):
    monkeypatch.setattr(slurm, "ask", lambda *command: SINFO)
    assert partitions() == KNOWN


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("30:00", 30),
        ("4:00:00", 240),
        ("1-00:00:00", 1440),
        ("7-12:30:00", 10_830),
        ("infinite", None),
    ],
)
def test_time_limits_are_read_as_slurm_writes_them(written, minutes):
    assert minutes_of(written) == minutes


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (
            Request("train_model", 4, 2000, 60),
            "asks for 4 core(s), 2000 MB; partition cpu has nodes of",
        ),
        (
            Request("train_model", 1, 9000, 60),
            "asks for 1 core(s), 9000 MB; partition cpu has nodes",
        ),
        (Request("predict", 1, 2000, 300), "asks for 300 minutes, partition cpu allows 240"),
        (Request("predict", 1, 2000, 90, gpus=1, partition="gpu"), "partition gpu allows 60"),
        (
            Request("predict", 1, 10, 9, partition="long"),
            "no partition 'long'. Name one of cpu, gpu",
        ),
    ],
)
def test_what_no_node_can_run_is_refused_in_one_line(monkeypatch, request_, line):
    monkeypatch.setattr(checks, "partitions", lambda: KNOWN)
    with pytest.raises(FoldwiseError) as caught:
        check_requests([request_])
    assert line in str(caught.value)
    assert str(caught.value).startswith(f"rule {request_.rule}: ")


def test_what_fits_is_shown_to_sbatch_once_for_each_shape(monkeypatch):
    asked = []
    monkeypatch.setattr(checks, "partitions", lambda: KNOWN)
    monkeypatch.setattr(checks, "ask", lambda *command: asked.append(command) or "")
    check_requests([Request("a", 1, 100, 5), Request("b", 1, 100, 5), Request("c", 2, 100, 5)])
    assert len(asked) == 2
    assert all(command[:2] == ("sbatch", "--test-only") for command in asked)


def test_sbatchs_own_words_name_the_rule(monkeypatch):
    def refuse(*_command):
        raise NoAnswer("sbatch: error: Invalid account or account/partition combination specified")

    monkeypatch.setattr(checks, "partitions", lambda: KNOWN)
    monkeypatch.setattr(checks, "ask", refuse)
    resources = {"mem_mb": 100, "runtime": 5, "slurm_account": "nobody"}
    with pytest.raises(FoldwiseError, match=r"rule predict: .*Invalid account.*--account=nobody"):
        check_requests([request_of("predict", 1, resources)])


def test_without_slurm_the_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FoldwiseError, match="sbatch, squeue, scancel, sinfo not found"):
        check_slurm()


def test_a_controller_that_is_not_there_may_be_that_of_another_machine(monkeypatch):
    def silent(*_command):
        raise NoAnswer("scontrol: error: Unknown host")

    monkeypatch.setattr(slurm.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(slurm, "ask", silent)
    with pytest.raises(FoldwiseError) as caught:
        check_slurm()
    assert str(caught.value) == (
        "Slurm: the controller does not answer (scontrol: error: Unknown host). "
        "Wait for it (scontrol ping), then call again, or call on a login node of the cluster."
    )


def test_a_silent_controller_is_asked_again_and_pre_emption_is_an_end(caplog):
    answers = [
        (None, None),
        (None, None),
        ({"7": "RUNNING", "8": "PREEMPTED", "9": "TIMEOUT"}, 0.1),
    ]

    async def question(_command, _logger):
        return answers.pop(0)

    caplog.set_level(logging.INFO)
    states, _ = asyncio.run(patient(question, pause=0.01)("squeue", logging.getLogger("test")))
    assert states == {"7": "RUNNING", "8": "FAILED", "9": "TIMEOUT"}
    assert [record.message for record in caplog.records] == [
        "Slurm does not answer; its jobs go on, and it is asked again.",
        "Slurm answers again.",
        "Slurm job 8 ended: PREEMPTED",
        "Slurm job 9 ended: TIMEOUT",
    ]


def test_the_end_of_a_job_comes_with_the_last_error_of_its_log(tmp_path, caplog):
    place = tmp_path / "rule_train_model" / "demo_0_0" / "90.log"
    place.parent.mkdir(parents=True)
    place.write_text(
        "Building DAG of jobs...\nError in rule train_model:\n"
        "slurmstepd-n1: error: StepId=90.0 exceeded memory limit (504664064 > 471859200)\n"
        "WorkflowError:\nAt least one job did not complete successfully.\n"
    )
    (place.parent / "91.log").write_text("error: disk: No space left on device. Make room.\n")

    async def question(_command, _logger):
        return {"90": "FAILED", "91": "FAILED", "92": "FAILED"}, 0.1

    caplog.set_level(logging.INFO)
    ask = patient(question, said=partial(last_error, tmp_path))
    asyncio.run(ask("squeue", logging.getLogger("test")))
    lines = [record.message for record in caplog.records]
    assert lines == [
        "Slurm job 90 ended: FAILED (slurmstepd-n1: error: StepId=90.0 exceeded memory limit "
        "(504664064 > 471859200))",
        "Slurm job 91 ended: FAILED (error: disk: No space left on device. Make room.)",
        "Slurm job 92 ended: FAILED",
    ]
    assert queue_endings("\n".join(lines)) == dict.fromkeys(("90", "91", "92"), "FAILED")


def test_questions_come_at_a_steady_rate_whatever_the_plugin_wishes():
    class Executor:
        next_seconds_between_status_checks = 40

    executor = Executor()
    executor.next_seconds_between_status_checks = 180
    executor.__class__ = steady(Executor, 10)
    executor.next_seconds_between_status_checks += 10
    assert executor.next_seconds_between_status_checks == 10


def test_the_clusters_settings_are_remembered_while_it_is_away():
    answers = [300, None]
    ask = remembered(lambda: answers.pop(0))
    assert [ask(), ask()] == [300, 300]


def test_the_names_that_the_plugin_is_wrapped_by_are_there():
    plugin = pytest.importorskip("snakemake_executor_plugin_slurm")
    assert asyncio.iscoroutinefunction(plugin.query_job_status)
    assert callable(plugin.get_min_job_age)


class Queue:
    """A queue of three jobs: this call's, a dead call's, another folder's."""

    def __init__(self, folder, dead):
        self.cancelled = []
        name = name_prefix().replace(f"-{os.getpid()}-", f"-{dead}-")
        self.jobs = [
            slurm.QueuedJob("1", f"{name_prefix()}_x", str(folder)),
            slurm.QueuedJob("2", f"{name}_x", str(folder)),
            slurm.QueuedJob("3", f"{name}_x", str(folder.parent)),
            slurm.QueuedJob("4", "someone-elses", str(folder)),
        ]

    def ask(self, command, *numbers):
        assert command == "scancel"
        self.cancelled += numbers
        self.jobs = [job for job in self.jobs if job.number not in numbers]


def test_only_jobs_of_a_dead_call_in_this_folder_are_cancelled(tmp_path, monkeypatch):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
        queue = Queue(tmp_path, ended.pid)
    monkeypatch.setattr(orphans, "own_jobs", lambda: queue.jobs)
    monkeypatch.setattr(orphans, "ask", queue.ask)
    said = []
    cancel_orphans(tmp_path, said.append)
    assert queue.cancelled == ["2"]
    assert "1 job(s) of a Snakemake that is gone" in said[0]


def test_jobs_of_a_call_on_another_machine_are_left_and_named(tmp_path, monkeypatch):
    job = slurm.QueuedJob("5", "foldwise-login7-12-34_x", str(tmp_path))
    assert socket.gethostname() != "login7"
    monkeypatch.setattr(orphans, "own_jobs", lambda: [job])
    with pytest.raises(FoldwiseError, match=r"job 5 of a call on login7 .process 12. is queued"):
        cancel_orphans(tmp_path, print)
