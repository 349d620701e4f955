"""Prompts per second: all ways answer alike, each prompt once."""

from __future__ import annotations

import io

from foldwise.common.progress import ProgressLog
from foldwise.text.batches import Batch
from foldwise.text.decoding import NumberDecoder
from foldwise.text.model import LanguageModel
from foldwise.text.prompts import Prompt, PromptMaker
from maintenance.bench_text import ALONE, COLUMNS, ENGINE, GENERATE, generated, measure
from text_models import FORMAT


def prompts_of(maker: PromptMaker) -> list[Prompt]:
    sets = [[("LiF", -3.1)], [("KBr", -2.0)]]
    words = ["NaCl", "Fe2O3 with words", "K", "a much longer text about CsCl " * 2] * 2
    return [maker.prompt(f"c{row}", word + sets[row % 2][0][0] * (row // 4), sets[row % 2])
            for row, word in enumerate(words)]  # fmt: skip


def test_generate_gives_the_plain_answers(tiny: LanguageModel, maker: PromptMaker) -> None:
    prompts = prompts_of(maker)
    decoder = NumberDecoder(tiny, FORMAT)
    plain = [decoder.answer(Batch((prompt,), ()))[0].plain_text for prompt in prompts]
    assert generated(tiny, prompts, FORMAT) == plain
    assert len(set(plain)) > 1


def test_every_way_answers_its_prompts_and_alike(tiny: LanguageModel, maker: PromptMaker) -> None:
    said = io.StringIO()
    table = measure(
        tiny, prompts_of(maker), FORMAT,
        batch_tokens=4096, rounds=2, beginnings=2, sample=2, log=ProgressLog(said, 2),
    )  # fmt: skip
    assert tuple(table.columns) == COLUMNS
    by_way = table.set_index("way")
    assert by_way.loc[[ENGINE, ALONE], "prompts"].tolist() == [8, 8]
    assert by_way.loc[GENERATE, "prompts"] == 4
    assert by_way.loc[GENERATE, "times"] == 1.0
    assert set(table["same_answers"]) == {"4 of 4"}
    assert (table["times_lowest"] <= table["times"]).all()
    assert "step 2/2" in said.getvalue()
