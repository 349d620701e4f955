"""Korean statutes and bills that the konlpy package carries, cut into paragraphs.

The texts are the Constitution of the Republic of Korea and ten bills of its National Assembly
(konlpy's corpora `kolaw` and `kobill`). They are read from the installed package's files; konlpy
itself, which needs Java, is never imported.
"""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import version
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.texts.text import Text

SOURCES = ("kolaw", "kobill")
MIN_CHARS = 30
_ARTICLE = re.compile(r"^\s*제\d+조")
_CHAPTER = re.compile(r"^\s*(제\d+[장절관]|펼침|부칙)")
_CIRCLED = re.compile(r"([①-⑳])")
_PAGE = re.compile(r"^\s*-\s*\d+\s*-\s*$")
_NO_PROSE = re.compile(r"-{3,}|\(생\s+략\)|현행과 같음")
_ENDED = re.compile(r"[.:)」”\"]\s*$")


def embedded_texts(source: str) -> list[Text]:
    """Paragraphs of one of `SOURCES`: articles of the Constitution, paragraphs of the bills.

    Raises:
        FoldwiseError: The konlpy package, or its corpus, is not installed.
    """
    folder = _corpus() / source
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise FoldwiseError(
            "the corpus is missing", where=str(folder), hint="Install konlpy as requirements.lock."
        )
    cut = _articles if source == "kolaw" else _paragraphs
    licence = "no copyright (Korean Copyright Act, article 7)"
    return [
        Text(f"{source}/{path.stem}/{number:03d}", source, licence, paragraph)
        for path in files
        for number, paragraph in enumerate(cut(path.read_text(encoding="utf-8")))
    ]


def embedded_version() -> str:
    """The package and version that the texts come from, e.g. `konlpy 0.6.0`."""
    return f"konlpy {version('konlpy')}"


def _corpus() -> Path:
    package = importlib.util.find_spec("konlpy")
    if package is None or package.origin is None:
        raise FoldwiseError(
            "the konlpy package is not installed",
            where="texts: embedded",
            hint="Install it as requirements.lock has it, or name text files of your own.",
        )
    return Path(package.origin).parent / "data" / "corpus"


def _articles(document: str) -> list[str]:
    """Articles, each with its numbered paragraphs, and the preamble."""
    articles: list[list[str]] = [[]]
    for line in document.splitlines():
        if _ARTICLE.match(line) or _CHAPTER.match(line):
            articles.append([])
        if not _CHAPTER.match(line):
            articles[-1].append(line)
    return _prose([" ".join(lines) for lines in articles])


def _paragraphs(document: str) -> list[str]:
    """Paragraphs of a bill, whose lines were broken anywhere, even within words."""
    paragraphs = [""]
    for line in document.splitlines():
        if not line.strip() or _PAGE.match(line):
            continue
        starts = line.startswith("  ") or _ARTICLE.match(line) or _ENDED.search(paragraphs[-1])
        if starts or _NO_PROSE.search(line):
            paragraphs.append("")
        # A line that was broken between words still ends with its space.
        paragraphs[-1] += line
    return _prose(paragraphs)


def _prose(paragraphs: list[str]) -> list[str]:
    """Paragraphs that are sentences, with single spaces, also after a circled number."""
    plain = [" ".join(_CIRCLED.sub(r"\1 ", text).split()) for text in paragraphs]
    return [text for text in plain if len(text) >= MIN_CHARS and not _NO_PROSE.search(text)]
