"""Two nodes of a real Slurm on one machine: written, started, stopped, broken on purpose."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from foldwise.common.errors import FoldwiseError

SETTINGS = Path("/etc/slurm")
"""Not a folder of our own: the plugin strips `SLURM_CONF` from a job's environment."""
MARK = "# written by foldwise's cluster test"
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "munged")
NODES = ("n1", "n2")
NODE_CORES, NODE_MB = 2, 6000
GPU = "gpu:h200:1"
PATIENCE = 60.0
"""Seconds until the two nodes answer."""

_SLURM_CONF = """{mark}
ClusterName=foldwise
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=1,sched_min_interval=500000,default_queue_depth=100
ReturnToService=2
MpiDefault=none
MinJobAge=300
KillWait=15
SlurmdTimeout=30
SlurmctldTimeout=30
InactiveLimit=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmctldPort=16817
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port=16821 {node} Gres={gres}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port=16822 {node}
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=240 State=UP
PartitionName=gpu Nodes=n1 MaxTime=60 State=UP
"""
_GRES_CONF = f"{MARK}\nAutoDetect=off\nNodeName=n1 Name=gpu Type=h200 File=/dev/null\n"


def what_is_missing() -> str | None:
    """Why no cluster can be built here, as one clause; `None` where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return (
            f"{', '.join(absent)} not found (Debian: apt-get install --no-install-recommends "
            "slurm-wlm slurmd slurmctld slurm-client munge)"
        )
    if os.geteuid() != 0:
        return "only root can start the nodes of a test cluster"
    file = SETTINGS / "slurm.conf"
    if file.exists() and not file.read_text(encoding="utf-8").startswith(MARK):
        return f"{file} belongs to a cluster that is there already"
    if any(process.name() in ("slurmctld", "munged") for process in psutil.process_iter()):
        return "a Slurm controller or munged runs here already"
    return None


@dataclass(frozen=True)
class TestCluster:
    """The running cluster; `folder` holds its state, logs and keys."""

    folder: Path

    def start_controller(self) -> None:
        """Start slurmctld, which takes up the jobs of the one before it."""
        _run("slurmctld")

    def stop_controller(self) -> None:
        """End slurmctld as a restart does: by SIGTERM, so that it saves its state."""
        _end(self.folder / "slurmctld.pid", signal.SIGTERM)

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        _run("slurmd", "-N", name)

    def kill_node(self, name: str) -> None:
        """End a node's daemon and all that its steps run by SIGKILL, as a power cut does."""
        daemon = _process(self.folder / f"slurmd-{name}.pid")
        if daemon is not None:
            daemon.kill()
        for step in self.steps(name):
            for process in (*step.children(recursive=True), step):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def steps(self, name: str) -> list[psutil.Process]:
        """The step managers (slurmstepd) of a node's jobs."""
        own = set(self.jobs_on(name))
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                line = " ".join(process.cmdline())
                if process.name() == "slurmstepd" and any(f"[{job}." in line for job in own):
                    found.append(process)
        return found

    def jobs_on(self, name: str) -> list[str]:
        """Slurm's numbers of the jobs that run on a node."""
        return self.ask(
            "squeue", "--noheader", "--states=R,CG", "--nodelist", name, "-o", "%i"
        ).split()

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints."""
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def set_node(self, name: str, state: str) -> None:
        """`scontrol update` of a node: `drain`, `down` or `resume`."""
        self.ask("scontrol", "update", f"NodeName={name}", f"State={state}", "Reason=test")

    def heal(self) -> None:
        """Bring back what a fault has taken away, and wait for both nodes."""
        if _process(self.folder / "slurmctld.pid") is None:
            self.start_controller()
        for name in NODES:
            if _process(self.folder / f"slurmd-{name}.pid") is None:
                self.start_node(name)
        for name in NODES:
            with contextlib.suppress(subprocess.CalledProcessError):
                self.set_node(name, "resume")
        self.wait_until(self._is_up, "both nodes answer")

    def cancel_all(self) -> None:
        """Cancel whatever is queued."""
        subprocess.run(["scancel", "--user", "root"], check=False, capture_output=True)
        self.wait_until(lambda: not self.ask("squeue", "--noheader").strip(), "the queue is empty")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition.

        Raises:
            FoldwiseError: It does not hold within `PATIENCE`.
        """
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(subprocess.SubprocessError):
                if holds():
                    return
            time.sleep(0.3)
        raise FoldwiseError(
            f"not within {PATIENCE:.0f} s: {what}",
            where=str(self.folder),
            hint="Read slurmctld.log and slurmd-*.log there.",
        )

    def _is_up(self) -> bool:
        states = self.ask("sinfo", "--noheader", "-N", "-p", "cpu", "-o", "%T").split()
        return len(states) == len(NODES) and all(
            state in ("idle", "mixed", "allocated") for state in states
        )


@contextmanager
def test_cluster() -> Iterator[TestCluster]:
    """Build and start the cluster; stop it and remove its files afterwards.

    Raises:
        FoldwiseError: Something is missing for it, or its nodes do not answer.
    """
    problem = what_is_missing()
    if problem:
        raise FoldwiseError(
            problem, where="cluster test", hint="It needs Slurm, root and no other cluster."
        )
    folder = Path(tempfile.mkdtemp(prefix="foldwise-slurm-"))
    cluster = TestCluster(folder)
    try:
        _write_settings(folder)
        munge = folder / "munge"
        _run(
            "munged", f"--key-file={munge}/key", f"--socket={munge}/munge.socket",
            f"--pid-file={munge}/munged.pid", f"--log-file={munge}/munged.log",
            f"--seed-file={munge}/seed", "--force",
        )  # fmt: skip
        cluster.start_controller()
        for name in NODES:
            cluster.start_node(name)
        cluster.wait_until(cluster._is_up, "both nodes answer")
        yield cluster
    finally:
        _stop(cluster)


def _write_settings(folder: Path) -> None:
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o700)
    (folder / "munge" / "key").write_bytes(os.urandom(128))
    (folder / "munge" / "key").chmod(0o400)
    SETTINGS.mkdir(exist_ok=True)
    host = socket.gethostname().split(".")[0]
    node = f"CPUs={NODE_CORES} RealMemory={NODE_MB}"
    text = _SLURM_CONF.format(mark=MARK, host=host, folder=folder, node=node, gres=GPU)
    (SETTINGS / "slurm.conf").write_text(text, encoding="utf-8")
    (SETTINGS / "gres.conf").write_text(_GRES_CONF, encoding="utf-8")


def _stop(cluster: TestCluster) -> None:
    with contextlib.suppress(subprocess.SubprocessError, FoldwiseError):
        cluster.cancel_all()
    for name in NODES:
        with contextlib.suppress(subprocess.SubprocessError):
            cluster.kill_node(name)
        _end(cluster.folder / f"slurmd-{name}.pid", signal.SIGTERM)
    cluster.stop_controller()
    _end(cluster.folder / "munge" / "munged.pid", signal.SIGTERM)
    for name in ("slurm.conf", "gres.conf"):
        file = SETTINGS / name
        if file.exists() and file.read_text(encoding="utf-8").startswith(MARK):
            file.unlink()
    shutil.rmtree(cluster.folder, ignore_errors=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise FoldwiseError(
            f"does not start: {done.stderr.strip() or done.stdout.strip()}",
            where=command[0],
            hint="Read its log.",
        )


def _process(pid_file: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(pid_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
    return None if process.status() == psutil.STATUS_ZOMBIE else process


def _end(pid_file: Path, number: int) -> None:
    process = _process(pid_file)
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
    psutil.wait_procs([process], timeout=30)
