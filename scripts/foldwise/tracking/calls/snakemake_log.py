"""What Snakemake's own log says about the jobs of one call: which failed, and with which status."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from foldwise.tracking.calls.queue_endings import queue_endings

_ERROR = re.compile(r"^Error in rule (?P<rule>\w+)[^\n]*:\n(?P<body>(?:    .*\n?)*)", re.MULTILINE)
_KEY = re.compile(r"^    ([\w-]+): (.*)$", re.MULTILINE)
_MISSING = re.compile(r"^(\S+) \(missing locally", re.MULTILINE)
_STATUS = re.compile(
    r"Command '(.*?)' (?:returned non-zero exit status (\d+)|died with <Signals\.\w+: (\d+)>)",
    re.DOTALL,
)
_HOST = re.compile(r"^\s*[Hh]ost: (\S+)", re.MULTILINE)
_USER_STOP = re.compile(r"Terminating processes on user request|Will exit after finishing")


@dataclass(frozen=True)
class Job:
    """A job, and how it ended as far as that is known.

    Attributes:
        rule: Name of the rule.
        outputs: Its output files.
        logs: Its log files, those of a cluster's queue included.
        message: What an executor says about its end.
        exit_status: Exit status of its shell; above 128 it was ended by signal `exit_status - 128`;
            0 where it wrote less than it should.
    """

    rule: str
    outputs: tuple[str, ...]
    logs: tuple[str, ...]
    message: str = ""
    exit_status: int | None = None


@dataclass(frozen=True)
class CallLog:
    """One call of Snakemake.

    Attributes:
        host: Where Snakemake itself ran.
        statuses: Command and exit status of each shell that failed.
        missing: Outputs that a job should have written and did not.
        errors: Jobs whose failure is told at length; none under `--quiet`.
        interrupted: Whether the user stopped it.
        endings: Slurm's state of each of its jobs that did not end well, by number.
    """

    host: str | None
    statuses: list[tuple[str, int]] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    errors: list[Job] = field(default_factory=list)
    interrupted: bool = False
    endings: dict[str, str] = field(default_factory=dict)

    @property
    def any_failed(self) -> bool:
        """Whether any job failed."""
        return bool(self.statuses or self.missing or self.errors)


def parse_log(text: str) -> CallLog:
    """Read the log of one call of Snakemake 9."""
    return CallLog(
        host=host_of(text),
        statuses=exit_statuses(text),
        missing=frozenset(_MISSING.findall(text)),
        errors=_errors(text),
        interrupted=bool(_USER_STOP.search(text)),
        endings=queue_endings(text),
    )


def failed_job(call: CallLog, planned: Job) -> Job | None:
    """The planned job with all that the log says about its failure; `None` if it did not fail."""
    told = [job for job in call.errors if set(job.outputs) & set(planned.outputs)]
    own = [
        status
        for command, status in call.statuses
        # A command names its log; its outputs may be another one's inputs.
        if set(planned.logs) & set(command.split())
    ]
    if not told and not own and not call.missing & set(planned.outputs):
        return None
    status = own[-1] if own else (None if told else 0)
    if not told:
        return replace(planned, exit_status=status)
    return replace(planned, exit_status=status, logs=told[-1].logs, message=told[-1].message)


def exit_statuses(text: str) -> list[tuple[str, int]]:
    """Command and exit status of every shell that a log calls failed; signal n gives 128 + n."""
    return [
        (command, int(status) if status else 128 + int(signal))
        for command, status, signal in _STATUS.findall(text)
    ]


def host_of(text: str) -> str | None:
    """The host that a log was written on, where it says so."""
    match = _HOST.search(text)
    return match[1] if match else None


def _errors(text: str) -> list[Job]:
    """Jobs whose failure is told; of a job on a cluster what its queue says, not its own Snakemake.

    The log of such a job is quoted after the error, and with it what a Snakemake inside says of it.
    """
    told = [_told(match["rule"], match["body"]) for match in _ERROR.finditer(text)]
    by_queue = {job.outputs for job in told if job.message}
    return [job for job in told if job.message or job.outputs not in by_queue]


def _told(rule: str, body: str) -> Job:
    values = dict(_KEY.findall(body))
    logs = values.get("log", "").replace("(check log file(s) for error details)", "")
    return Job(
        rule=rule,
        outputs=tuple(part.strip() for part in values.get("output", "").split(",") if part.strip()),
        logs=tuple(part.strip() for part in logs.split(",") if part.strip()),
        message="" if values.get("message") == "None" else values.get("message", ""),
    )
