"""Jobs of a dead call: cancelled, and waited for until their last process is gone."""

import os
import subprocess
import sys
import time

from foldwise.cluster import orphans
from foldwise.cluster.slurm import QueuedJob
from foldwise.tracking.calls.process import this_process

NUMBER = "987654321"


def test_a_job_that_still_writes_here_is_waited_for(tmp_path, monkeypatch):
    """Slurm's answers are given; the job's last process is real, and Slurm no longer lists it."""
    me = this_process()
    gone = f"foldwise-{me['host']}-1-{round(me['begun'])}_rule"
    listed = [[QueuedJob(NUMBER, gone, str(tmp_path))], []]
    asked = []
    monkeypatch.setattr(orphans, "own_jobs", lambda: listed.pop(0) if listed else [])
    monkeypatch.setattr(orphans, "ask", lambda *command: asked.append(command))
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1.5)"],
        env={**os.environ, "SLURM_JOB_ID": NUMBER},
    ) as writer:
        orphans.cancel_orphans(tmp_path, lambda _line: None)
        assert asked == [("scancel", NUMBER)]
        # Its memory is gone some moments before it can be waited for.
        assert time.monotonic() - started > 1.5
        assert writer.wait(timeout=10) == 0
