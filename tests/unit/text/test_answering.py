"""Answers are kept as they come: progress, failures, and a killed run that goes on."""

from __future__ import annotations

import io
import math
import multiprocessing
import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.text.answering import answer_prompts
from foldwise.text.batches import Batch
from foldwise.text.decoding import NumberDecoder
from foldwise.text.model import LanguageModel
from foldwise.text.prompts import Prompt, PromptMaker
from foldwise.text.replies import STOP, Reply
from text_models import FORMAT


class Counting:
    """A decoder that counts its batches, and may be killed before one of them."""

    def __init__(self, decoder: NumberDecoder, dies_at: int | None = None) -> None:
        self._decoder, self._dies_at = decoder, dies_at
        self.asked: list[str] = []
        self._batches = 0

    def answer(self, batch: Batch) -> list[Reply]:
        if self._batches == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._batches += 1
        self.asked += [prompt.id for prompt in batch.prompts]
        return self._decoder.answer(batch)


def ask(
    prompts: list[Prompt], engine: object, journal: Path, **identity: object
) -> tuple[pd.DataFrame, str]:
    stream = io.StringIO()
    table = answer_prompts(
        prompts,
        engine,  # type: ignore[arg-type]
        batch_tokens=500,
        unit="eV/atom",
        journal=journal,
        identity=identity,
        log=ProgressLog(stream, len(prompts)),
    )
    return table, stream.getvalue()


@pytest.fixture(scope="module")
def prompts(maker: PromptMaker) -> list[Prompt]:
    return [maker.prompt(f"c{row}", f"Formula: X{row}" + "y" * (row % 4)) for row in range(14)]


def test_a_killed_run_goes_on_with_the_next_prompt_and_ends_alike(
    tiny: LanguageModel, prompts: list[Prompt], tmp_path: Path
) -> None:
    whole, _ = ask(prompts, NumberDecoder(tiny, FORMAT), tmp_path / "whole.jsonl")
    killed = tmp_path / "killed.jsonl"

    def run() -> None:
        ask(prompts, Counting(NumberDecoder(tiny, FORMAT), dies_at=1), killed)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with killed.open("ab") as file:
        file.write(b'{"batch": 1, "rows": [{"id": "c1", "torn')  # what a kill may leave behind
    engine = Counting(NumberDecoder(tiny, FORMAT))
    again, said = ask(prompts, engine, killed)
    pd.testing.assert_frame_equal(again, whole)
    done = len(prompts) - len(engine.asked)
    assert 0 < done < len(prompts)
    assert f"{done} of {len(prompts)} prompts were answered by an earlier call" in said


def test_answers_to_other_prompts_are_not_taken_over(
    tiny: LanguageModel, prompts: list[Prompt], tmp_path: Path
) -> None:
    journal = tmp_path / "journal.jsonl"
    ask(prompts, NumberDecoder(tiny, FORMAT), journal, recipe="one")
    same, other = (Counting(NumberDecoder(tiny, FORMAT)) for _ in range(2))
    ask(prompts, same, journal, recipe="one")
    ask(prompts, other, journal, recipe="two")
    assert (len(same.asked), len(other.asked)) == (0, len(prompts))


def test_progress_says_done_rate_and_failures(prompts: list[Prompt], tmp_path: Path) -> None:
    class Rambling:
        def answer(self, batch: Batch) -> list[Reply]:
            words = {"c0": "+1.00", "c1": "between 1 and 2", "c2": ""}
            texts = [words.get(prompt.id, "-0.50 eV/atom") for prompt in batch.prompts]
            return [Reply(text, text, 3, STOP) for text in texts]

    table, said = ask(prompts, Rambling(), tmp_path / "journal.jsonl")
    assert table["id"].tolist() == [prompt.id for prompt in prompts]
    assert table["input_text"].tolist() == [prompt.text for prompt in prompts]
    status = table.set_index("id")["parse_status"]
    assert status[["c0", "c1", "c2", "c3"]].tolist() == ["ok", "several numbers", "empty", "ok"]
    assert table["value"].tolist()[0] == 1.0
    assert math.isnan(table["value"].tolist()[1])
    last = said.strip().splitlines()[-1]
    assert f"step {len(prompts)}/{len(prompts)}" in last
    assert "prompts/s  2 parse failures" in last
    assert "ETA" in last


def test_an_id_is_asked_about_once(prompts: list[Prompt], tmp_path: Path) -> None:
    with pytest.raises(FoldwiseError, match="asked about twice"):
        ask([prompts[0], prompts[0]], object(), tmp_path / "journal.jsonl")
