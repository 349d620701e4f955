"""Loading a language model, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.text.model import LanguageModel, load_language_model
from text_models import END, PAD, write_tiny_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("pad", [None, END])
def test_a_tokenizer_needs_a_pad_token_of_its_own(tmp_path: Path, pad: str | None) -> None:
    folder = str(write_tiny_model(tmp_path, pad=pad))
    with pytest.raises(FoldwiseError, match=r"pad_token: the tokenizer of .* has .*<pad>"):
        load_language_model(folder, CPU)
    with pytest.raises(FoldwiseError, match="is no token of"):
        load_language_model(folder, CPU, pad_token="<nothing>")
    with pytest.raises(FoldwiseError, match="one token to pad and to end"):
        load_language_model(folder, CPU, pad_token=END)
    assert load_language_model(folder, CPU, pad_token=PAD).tokenizer.pad_token == PAD


def test_no_such_model_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in (str(tmp_path / "nothing"), str(tmp_path)):
        with pytest.raises(FoldwiseError, match="no language model can be loaded") as caught:
            load_language_model(name, CPU)
        assert "\n" not in str(caught.value)


def test_a_model_without_a_template_gets_paragraphs(tmp_path: Path) -> None:
    model = load_language_model(str(write_tiny_model(tmp_path, template=None)), CPU)
    messages = [
        {"role": "system", "content": "Do it."},
        {"role": "user", "content": "A?"},
        {"role": "assistant", "content": "+1.0"},
        {"role": "user", "content": "B?"},
    ]
    assert model.templated(messages) == "Do it.\n\nA?\n\nAnswer:\n+1.0\n\nB?\n\nAnswer:\n"


def test_a_template_without_a_system_turn_gets_the_instructions_with_the_question(
    tmp_path: Path, tiny: LanguageModel
) -> None:
    strict = (
        "{% for message in messages %}{% if message['role'] == 'system' %}"
        "{{ raise_exception('no system turn') }}{% endif %}[{{ message['content'] }}]{% endfor %}"
    )
    model = load_language_model(str(write_tiny_model(tmp_path, template=strict)), CPU)
    messages = [{"role": "system", "content": "Do it."}, {"role": "user", "content": "A?"}]
    assert model.templated(messages) == "[Do it.\n\nA?]"
    assert tiny.templated(messages).endswith("A?<|im_end|>\n<|im_start|>assistant\n")
