"""What Snakemake's own log says about the jobs of one call: which failed, which never ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BLOCK = re.compile(r"^(?:local)?rule (?P<rule>\w+):\n(?P<body>(?:    .*\n?)*)", re.MULTILINE)
_ERROR = re.compile(r"^Error in rule (?P<rule>\w+)[^\n]*:\n(?P<body>(?:    .*\n?)*)", re.MULTILINE)
_KEY = re.compile(r"^    ([\w-]+): (.*)$", re.MULTILINE)
_SHELL = re.compile(r"^    shell:\n((?: {8}.*\n?)*)", re.MULTILINE)
_FINISHED = re.compile(r"^Finished jobid: (\d+)", re.MULTILINE)
_STATUS = re.compile(
    r"Command '(.*?)' (?:returned non-zero exit status (\d+)|died with <Signals\.\w+: (\d+)>)",
    re.DOTALL,
)
_HOST = re.compile(r"^\s*[Hh]ost: (\S+)", re.MULTILINE)
_USER_STOP = re.compile(r"Terminating processes on user request|Will exit after finishing")


@dataclass(frozen=True)
class Job:
    """A job as the log shows it.

    Attributes:
        rule: Name of the rule.
        jobid: Snakemake's number of it.
        outputs: Its output files.
        logs: Its log files, those of a cluster's queue included.
        message: What an executor says about its end.
        exit_status: Exit status of its shell; above 128 it was ended by signal `exit_status - 128`.
        shell: Its command.
    """

    rule: str
    jobid: str
    outputs: tuple[str, ...]
    logs: tuple[str, ...]
    message: str = ""
    exit_status: int | None = None
    shell: str = ""


@dataclass(frozen=True)
class CallLog:
    """One call of Snakemake.

    Attributes:
        host: Where Snakemake itself ran.
        failed: Jobs that failed, in order.
        unfinished: Jobs that began and neither finished nor failed.
        interrupted: Whether the user stopped it.
    """

    host: str | None
    failed: list[Job] = field(default_factory=list)
    unfinished: list[Job] = field(default_factory=list)
    interrupted: bool = False


def parse_log(text: str) -> CallLog:
    """Read the log of one call of Snakemake 9."""
    statuses = exit_statuses(text)
    failed = [_failed_job(match, statuses) for match in _ERROR.finditer(text)]
    ended = {match[1] for match in _FINISHED.finditer(text)} | {job.jobid for job in failed}
    begun = [_job(match["rule"], match["body"]) for match in _BLOCK.finditer(text)]
    unfinished = {job.jobid: job for job in begun if job.jobid and job.jobid not in ended}
    host = _HOST.search(text)
    return CallLog(
        host=host[1] if host else None,
        failed=failed,
        unfinished=list(unfinished.values()),
        interrupted=bool(_USER_STOP.search(text)),
    )


def exit_statuses(text: str) -> list[tuple[str, int]]:
    """Command and exit status of every shell that a log reports as failed; signal n gives 128 + n."""
    return [
        (command, int(status) if status else 128 + int(signal))
        for command, status, signal in _STATUS.findall(text)
    ]


def host_of(text: str) -> str | None:
    """The host that a log was written on, where it says so."""
    match = _HOST.search(text)
    return match[1] if match else None


def _failed_job(match: re.Match[str], statuses: list[tuple[str, int]]) -> Job:
    shell = _SHELL.search(match["body"])
    lines = shell[1].splitlines() if shell else []
    # The last line is Snakemake's remark on the exit code.
    command = "\n".join(line[8:] for line in lines[:-1])
    own = [status for called, status in statuses if command and command in called]
    return _job(match["rule"], match["body"], command, own[-1] if own else None)


def _job(rule: str, body: str, shell: str = "", exit_status: int | None = None) -> Job:
    values = dict(_KEY.findall(body))
    logs = values.get("log", "").replace("(check log file(s) for error details)", "")
    return Job(
        rule=rule,
        jobid=values.get("jobid", ""),
        outputs=tuple(part.strip() for part in values.get("output", "").split(",") if part.strip()),
        logs=tuple(part.strip() for part in logs.split(",") if part.strip()),
        message="" if values.get("message") == "None" else values.get("message", ""),
        exit_status=exit_status,
        shell=shell,
    )
