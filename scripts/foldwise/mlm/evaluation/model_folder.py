"""A masked language model's folder: loaded from disk only, and checked before it answers."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModelForMaskedLM,
    AutoTokenizer,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256, read_json
from foldwise.common.progress import ProgressLog
from foldwise.mlm.evaluation.positions import (
    max_positions,
    only_relative,
    surplus_note,
    surplus_rows,
)

logging.set_verbosity_error()  # type: ignore[no-untyped-call]
logging.disable_progress_bar()  # type: ignore[no-untyped-call]

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model",
                    "vocab.json", "merges.txt", "tokenizer.model")  # fmt: skip
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# They say where a model was or which library wrote it, not what it is.
_UNTELLING = frozenset(
    {"_name_or_path", "name_or_path", "transformers_version", "torch_dtype", "dtype"}
)


@dataclass(frozen=True)
class MaskedModel:
    """A model that is ready to answer.

    Attributes:
        model: The network, in evaluation mode, on the CPU, in float32.
        tokenizer: Its tokenizer.
        max_length: Its own sequence length; `None` if the config names none.
        limit: Longest sequence that it takes; `None` for any.
        identity: Hash of its weights, config and tokenizer; never of its path.
        notes: What was changed while loading, a sentence each.
    """

    model: Any
    tokenizer: Any
    max_length: int | None
    limit: int | None
    identity: str
    notes: tuple[str, ...] = ()


def load_masked_model(folder: str | Path) -> MaskedModel:
    """Load a checkpoint folder in the Hugging Face layout, weights as safetensors.

    Every program that needs a model loads it here. Rows of position matrices that the model does
    not read are left out, with a line on stderr; nothing is ever drawn at random.

    Raises:
        FoldwiseError: The folder, its config, tokenizer or weights are missing or broken; it is no
            masked language model; a weight is not finite; weights and config do not fit.
    """
    place = Path(folder)
    config = _config(place)
    tokenizer = load_tokenizer(place)
    weights = _weight_files(place)
    rows: dict[str, int] = {}
    for path in weights:
        rows |= _check_weights(path)
    surplus = surplus_rows(config, rows, str(place))
    model = _network(place, config, weights, surplus)
    notes = tuple(surplus_note(config, name, rows[name], kept) for name, kept in surplus.items())
    _check_vocabulary(model, tokenizer, str(place))
    for note in notes:
        ProgressLog(sys.stderr, 1).line(f"{place}: {note}")
    identity = canonical_sha256(
        {
            "weights": [file_sha256(path) for path in weights],
            "config": _telling(place / "config.json"),
            "tokenizer": tokenizer_sha256(place),
        }
    )
    own, limit = max_positions(config), max_positions(config)
    if only_relative(config):
        lengthened = [rows[name] for name in surplus]
        own, limit = max([own or 0, *lengthened]) or None, None
    return MaskedModel(model.eval(), tokenizer, own, limit, identity, notes)


def _network(folder: Path, config: Any, weights: list[Path], surplus: dict[str, int]) -> Any:
    options = {"config": config, "output_loading_info": True, "dtype": torch.float32}
    try:
        if surplus:
            state = {name: tensor for path in weights for name, tensor in _tensors(path)}
            state |= {name: state[name][:kept].clone() for name, kept in surplus.items()}
            kind: Any = MODEL_FOR_MASKED_LM_MAPPING[type(config)]
            model, loading = kind.from_pretrained(None, state_dict=state, **options)
        else:
            model, loading = AutoModelForMaskedLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                **options,
            )
    except (ImportError, OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise FoldwiseError(
            f"the weights do not fit the config ({_first_line(error)})",
            where=str(folder),
            hint="Save the model again with save_pretrained.",
        ) from error
    missing = sorted(loading["missing_keys"])
    if missing:
        raise FoldwiseError(
            f"{len(missing)} weights are missing, the first is {missing[0]}",
            where=str(folder),
            hint="Save the whole masked language model, with its head.",
        )
    return model


def known_entries(tokenizer: Any) -> int:
    """Entries that a tokenizer can name; a model's vocabulary may be padded beyond them."""
    return 1 + max(map(int, tokenizer.get_vocab().values()))


def _check_vocabulary(model: Any, tokenizer: Any, where: str) -> None:
    """Every token that a text may become has a row of the model's embedding."""
    rows, entries = int(model.get_input_embeddings().num_embeddings), known_entries(tokenizer)
    if entries > rows:
        raise FoldwiseError(
            f"the tokenizer has {entries} entries, the model's embedding {rows} rows",
            where=where,
            hint="Call model.resize_token_embeddings and train, or take the model's own tokenizer.",
        )


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, with a mask token.

    Raises:
        FoldwiseError: There is none, it cannot be loaded, or it has no mask token.
    """
    if not any((folder / name).exists() for name in _TOKENIZER_FILES):
        raise FoldwiseError(
            "the folder has no tokenizer",
            where=str(folder),
            hint="Copy tokenizer.json and tokenizer_config.json of the model into it.",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        # The Rust library raises bare exceptions.
        raise FoldwiseError(
            f"the tokenizer cannot be loaded ({_first_line(error)})",
            where=str(folder),
            hint="Save it again with save_pretrained.",
        ) from error
    if tokenizer.mask_token_id is None:
        raise FoldwiseError(
            "the tokenizer has no mask token",
            where=str(folder),
            hint="Give a masked language model; set mask_token in tokenizer_config.json.",
        )
    # Texts are longer than the model and are cut by this library, so no warning about it.
    tokenizer.model_max_length = int(1e30)
    return tokenizer


def tokenizer_sha256(folder: Path) -> str:
    """Hash of everything that decides how a tokenizer cuts a text."""
    files = {
        name: file_sha256(folder / name) for name in _TOKENIZER_FILES if (folder / name).exists()
    }
    settings = {
        name: _telling(folder / name) for name in _TOKENIZER_SETTINGS if (folder / name).exists()
    }
    return canonical_sha256({"files": files, "settings": settings})


def sequence_length(loaded: MaskedModel, asked: int | None, where: str) -> int:
    """The length to evaluate with: the one asked for, or the model's own.

    Raises:
        FoldwiseError: It is longer than the model allows, or neither is known.
    """
    own, limit = loaded.max_length, loaded.limit
    if asked is None and own is None:
        raise FoldwiseError(
            "the config names no sequence length", where=where, hint="Give --seq-len."
        )
    if asked is not None and (asked < 8 or (limit is not None and asked > limit)):
        raise FoldwiseError(
            f"--seq-len {asked} is outside of what the model allows (8 to {limit or 'any'})",
            where=where,
            hint="Leave --seq-len out to take the model's own length.",
        )
    return asked or own or 0


def _config(folder: Path) -> Any:
    if not folder.is_dir():
        raise FoldwiseError("no such folder", where=str(folder), hint="Check --checkpoint.")
    raw = read_json(folder / "config.json")
    kind = raw.get("model_type") if isinstance(raw, dict) else None
    architectures = (raw.get("architectures") or []) if isinstance(raw, dict) else []
    if isinstance(raw, dict) and raw.get("quantization_config"):
        raise FoldwiseError(
            "the weights are quantised",
            where=str(folder / "config.json"),
            hint="Save the model in float32 or bfloat16.",
        )
    causal = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures)
    if causal or kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise FoldwiseError(
            f"{', '.join(architectures) or kind} is no masked language model",
            where=str(folder),
            hint="Give a model that AutoModelForMaskedLM loads, e.g. BertForMaskedLM.",
        )
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        # It says how fast, not what; and it may ask for a package that is not installed.
        config._attn_implementation = None
    except Exception as error:
        # Each architecture validates in its own way.
        raise FoldwiseError(
            f"the config cannot be read ({_first_line(error)})",
            where=str(folder / "config.json"),
            hint="Save the model again with save_pretrained.",
        ) from error
    return config


def _weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads: one file goes before an index next to it."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    paths = [single]
    if index.exists() and not single.exists():
        content = read_json(index)
        named = content.get("weight_map") if isinstance(content, dict) else None
        names = sorted(set(map(str, named.values()))) if isinstance(named, dict) else []
        outside = [name for name in names if Path(name).name != name]
        if outside:
            raise FoldwiseError(
                f"it names {outside[0]}, which is not a file of the folder",
                where=str(index),
                hint="Copy the weights into the folder, and name the files only.",
            )
        paths = [folder / name for name in names]
    missing = [path for path in paths if not path.exists()]
    if missing or not paths:
        raise FoldwiseError(
            f"{(missing or [index])[0].name} is missing",
            where=str(folder),
            hint="Save the weights as safetensors: model.save_pretrained(folder).",
        )
    return paths


def _check_weights(path: Path) -> dict[str, int]:
    """Rows of each weight of a file whose numbers are all finite."""
    rows: dict[str, int] = {}
    try:
        for name, tensor in _tensors(path):
            rows[name] = len(tensor) if tensor.ndim else 1
            if tensor.is_floating_point() and not math.isfinite(
                float(tensor.sum(dtype=torch.float64))
            ):
                raise FoldwiseError(
                    f"the weight {name} holds NaN or infinity",
                    where=str(path),
                    hint="The training diverged; evaluate an earlier checkpoint.",
                )
    except SafetensorError as error:
        raise FoldwiseError(
            f"the file is truncated or no safetensors file ({_first_line(error)})",
            where=str(path),
            hint="Copy it again.",
        ) from error
    return rows


def _tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    with safe_open(path, framework="pt") as handle:
        for name in sorted(handle.keys()):
            yield name, handle.get_tensor(name)


def _telling(path: Path) -> str:
    value = read_json(path)
    plain = {key: entry for key, entry in value.items() if key not in _UNTELLING}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
