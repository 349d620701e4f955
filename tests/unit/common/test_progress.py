import io
import re

import pytest

from foldwise.common.progress import LoggedStream, ProgressLog, duration, step_lines


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (36061, "10:01:01"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


STEP = r"\[\d\d:\d\d:\d\d\] step (\d+)/50  loss (\d+)  \d\.\d{3} s/step  elapsed 0:00  ETA \d+:\d\d"
MEMORY = (
    r"\[\d\d:\d\d:\d\d\] memory: this process takes \d+\.\d GB, \d+\.\d of \d+\.\d GB are free.*"
)


def steps_of(text):
    return [match.groups() for line in text.splitlines() if (match := re.fullmatch(STEP, line))]


def fifty_steps(stream, **options):
    log = ProgressLog(stream, total=50, interval=1000.0, **options)
    for step in range(1, 51):
        log.step(step, f"loss {step}")


def test_a_file_gets_every_step_and_the_memory_after_the_first():
    stream = io.StringIO()
    fifty_steps(stream)
    lines = stream.getvalue().splitlines()
    assert steps_of(stream.getvalue()) == [(str(step), str(step)) for step in range(1, 51)]
    assert [bool(re.fullmatch(MEMORY, line)) for line in lines] == [False, True] + 49 * [False]
    assert lines[-1].endswith("ETA 0:00")


def test_what_a_log_says_of_its_steps_is_read_back():
    stream = io.StringIO()
    log = ProgressLog(stream, total=50)
    log.line("2 folds in 3 parts, step by step")
    for step in (1, 37, 50):
        log.step(step, f"epoch {step}  loss 0.12/3.4 s")
    found = step_lines(stream.getvalue())
    assert [(step.done, step.total) for step in found] == [(1, 50), (37, 50), (50, 50)]
    assert all(0 <= step.seconds < 1 for step in found)
    assert step_lines("no steps here") == []


def test_work_in_large_portions_says_its_memory_after_the_first_too():
    stream = io.StringIO()
    log = ProgressLog(stream, total=50)
    for step in (37, 50):
        log.step(step, "loss 1")
    lines = stream.getvalue().splitlines()
    assert [bool(re.fullmatch(MEMORY, line)) for line in lines] == [False, True, False]


def test_the_terminal_of_snakemake_gets_the_first_and_the_last_step(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    fifty_steps(io.StringIO())
    assert steps_of(terminal.getvalue()) == [("1", "1"), ("50", "50")]


def test_a_recorded_program_has_every_step_in_its_log_and_a_bar_on_its_terminal():
    terminal, file = Terminal(), io.StringIO()
    fifty_steps(LoggedStream(terminal, file))
    assert len(steps_of(file.getvalue())) == 50
    assert "[####################] step 50/50" in terminal.getvalue()
    assert not steps_of(terminal.getvalue())
    redirected, file = io.StringIO(), io.StringIO()
    fifty_steps(LoggedStream(redirected, file))
    assert file.getvalue() == redirected.getvalue()
    assert len(steps_of(file.getvalue())) == 50


def test_a_resumed_log_starts_where_the_work_does(monkeypatch):
    for resumed in (False, True):
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        log = ProgressLog(io.StringIO(), total=50, done=0 if resumed else 20, interval=1000.0)
        if resumed:
            log.resume(20)
        log.step(21, "loss 1")
        log.step(22, "loss 1")
        assert steps_of(terminal.getvalue()) == [("21", "1")]


def test_a_line_bears_the_time_of_day():
    stream = io.StringIO()
    ProgressLog(stream, total=1).line("hello")
    assert re.fullmatch(r"\[\d\d:\d\d:\d\d\] hello\n", stream.getvalue())


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_a_bar_on_one_line():
    stream = Terminal()
    log = ProgressLog(stream, total=4)
    for step in range(1, 5):
        log.step(step, "x")
    log.line("done")
    text = stream.getvalue()
    assert "[#####...............] step 1/4" in text
    assert "[####################] step 4/4" in text
    assert text.count("\n") == 3


def test_lines_also_reach_the_terminal_under_snakemake_with_the_works_name(monkeypatch):
    terminal, stream = Terminal(), io.StringIO()
    monkeypatch.setattr("sys.stdout", terminal)
    log = ProgressLog(stream, total=1, name="baseline fold 0 seed 1")
    log.step(1, "loss 0.5")
    named = [f"baseline fold 0 seed 1  {line}" for line in stream.getvalue().splitlines()]
    assert terminal.getvalue().splitlines() == named
