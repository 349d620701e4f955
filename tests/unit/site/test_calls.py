"""Calls of language models: every prompt comes back from its shard, beside its own line."""

import base64
import gzip
import json

import numpy as np
import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_parquet
from foldwise.site.pages.calls import CALL_SHARD, read_calls, write_calls

IDS = [f"mp-{number}" for number in range(CALL_SHARD + 7)]


def raw(ids):
    generator = np.random.default_rng(3)
    truth = generator.normal(size=len(ids))
    value = truth + generator.normal(size=len(ids))
    read = np.arange(len(ids)) % 9 > 0
    return pd.DataFrame(
        {
            "id": ids,
            "fold": np.int32(0),
            "seed": np.int32(0),
            "input_text": [f"What of {name}? </script>" for name in ids],
            "output_text": [f"{each:+.2f}" for each in value],
            "parse_status": np.where(read, "ok", "empty"),
            "value": np.where(read, value, np.nan),
            "prediction": np.where(read, value, 0.0),
            "ground_truth": truth,
            "finish_reason": "format",
        }
    )


def columns_of(path):
    text = path.read_text(encoding="ascii")
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])["columns"]


def texts(column):
    return json.loads(gzip.decompress(base64.b64decode(column["bytes"])))


def test_no_file_is_no_calls(tmp_path):
    assert read_calls(tmp_path) is None


def test_largest_errors_come_first_with_the_median_for_what_was_not_read(tmp_path):
    table = raw(IDS[:30])
    write_parquet(tmp_path / "raw_outputs.parquet", table)
    calls = read_calls(tmp_path)
    error = (table["prediction"] - table["ground_truth"]).abs()
    assert calls["abs_error"].tolist() == sorted(error, reverse=True)
    assert set(calls["id"]) == set(table["id"])


def test_a_file_without_prompts_is_refused(tmp_path):
    write_parquet(tmp_path / "raw_outputs.parquet", raw(IDS[:3]).drop(columns="input_text"))
    with pytest.raises(FoldwiseError, match="input_text"):
        read_calls(tmp_path)


def test_prompts_are_in_the_shard_of_their_line(tmp_path):
    calls = raw(IDS)
    write_calls(tmp_path, "asked", calls, list(reversed(IDS)))
    lines = columns_of(tmp_path / "data" / "calls_asked.js")
    assert texts(lines["output_text"]) == calls["output_text"].tolist()
    assert lines["status"]["levels"] == ["empty", "ok"]
    shards = [columns_of(tmp_path / "data" / f"prompts_asked_{number}.js") for number in (0, 1)]
    prompts = [texts(shard["input_text"]) for shard in shards]
    assert [len(part) for part in prompts] == [CALL_SHARD, 7]
    assert [*prompts[0], *prompts[1]] == calls["input_text"].tolist()
    assert not (tmp_path / "data" / "prompts_asked_2.js").exists()
