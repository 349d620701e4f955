import io
import re

import pytest

from foldwise.common.progress import ProgressLog, duration


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


def test_first_and_last_steps_speak_and_the_others_wait():
    stream = io.StringIO()
    log = ProgressLog(stream, total=50, interval=1000.0)
    for step in range(1, 51):
        log.step(step, f"loss {step}")
    lines = stream.getvalue().splitlines()
    assert [re.search(r"step (\d+)/50  loss (\d+) ", line).groups() for line in lines] == [
        ("1", "1"),
        ("50", "50"),
    ]
    assert re.fullmatch(
        r"\[\d\d:\d\d:\d\d\] step 1/50  loss 1  \d\.\d{3} s/step  elapsed 0:00  ETA \d+:\d\d",
        lines[0],
    )
    assert lines[1].endswith("ETA 0:00")


def test_every_step_speaks_without_an_interval():
    stream = io.StringIO()
    log = ProgressLog(stream, total=5, interval=0.0)
    for step in range(1, 6):
        log.step(step, "x")
    assert len(stream.getvalue().splitlines()) == 5


def test_a_resumed_log_starts_where_the_work_does():
    stream = io.StringIO()
    log = ProgressLog(stream, total=50, done=20, interval=1000.0)
    log.step(21, "x")
    log.step(22, "x")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_log_resumed_later_does_so_too():
    stream = io.StringIO()
    log = ProgressLog(stream, total=50, interval=1000.0)
    log.resume(20)
    log.step(21, "x")
    log.step(22, "x")
    assert [line[11:21] for line in stream.getvalue().splitlines()] == ["step 21/50"]


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
    assert text.count("\n") == 2


def test_lines_also_reach_the_terminal_under_snakemake_with_the_works_name(monkeypatch):
    terminal, stream = Terminal(), io.StringIO()
    monkeypatch.setattr("sys.stdout", terminal)
    log = ProgressLog(stream, total=1, name="baseline fold 0 seed 1")
    log.step(1, "loss 0.5")
    assert terminal.getvalue() == f"baseline fold 0 seed 1  {stream.getvalue()}"
