"""One tiny model for a file of tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from foldwise.study.outside.text import TextRecipe
from foldwise.text.model import LanguageModel, load_language_model
from foldwise.text.prompts import PromptMaker
from text_models import FORMAT, write_tiny_model


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Threads of a tiny network only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> LanguageModel:
    return load_language_model(str(tiny_folder), torch.device("cpu"))


@pytest.fixture(scope="module")
def maker(tiny: LanguageModel) -> PromptMaker:
    settings = TextRecipe(model="text", method="zero_shot")
    return PromptMaker(tiny, settings, FORMAT, "formation energy", "eV/atom")
