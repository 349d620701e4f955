"""Words of several tokens: the masked noun among the nouns of its text, by pseudo-log-likelihood.

A word is scored by the sum of its tokens' log-probabilities. While a token is scored, it and the
later tokens of the word are masked, and the earlier ones are seen (PLL-word-l2r; Kauf and Ivanova
2023, A Better Way to Do Masked Language Model Scoring, ACL). A word of one token has the
log-probability that the exact matching ranks by, so a vocabulary gains nothing by its size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from foldwise.mlm.evaluation.engine import Answer
from foldwise.mlm.evaluation.questions import Question, QuestionMaker
from foldwise.mlm.samples.building import Sample
from foldwise.mlm.texts.tagging import noun_places, tag_texts

# The masks of a word and the tokens of it that are seen: what one sequence depends on.
_Step = tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class WordPlan:
    """The sequences that score the candidates of all samples.

    Attributes:
        questions: The samples' own questions with the targets of one-token words, and more.
        steps: For each sample and candidate, the question and the target of each of its tokens.
    """

    questions: list[Question]
    steps: dict[str, dict[str, list[tuple[str, int]]]]

    def scores(self, answers: Mapping[str, Answer]) -> dict[str, dict[str, float]]:
        """Pseudo-log-likelihood of each candidate of each sample, in nats."""
        place = {one.id: {entry: at for at, entry in enumerate(one.targets)}
                 for one in self.questions}  # fmt: skip
        return {
            sample: {
                word: sum(answers[name].scores[place[name][entry]] for name, entry in steps)
                for word, steps in words.items()
            }
            for sample, words in self.steps.items()
        }


def candidate_words(samples: Sequence[Sample], workers: int) -> dict[str, list[str]]:
    """The masked noun of each sample, then the other nouns of its text, each once."""
    texts = list(dict.fromkeys(sample.text for sample in samples))
    nouns = {
        text: [text[start:end] for start, end in noun_places(text, morphemes)]
        for text, morphemes in zip(texts, tag_texts(texts, workers), strict=True)
    }
    return {one.id: list(dict.fromkeys([one.noun, *nouns[one.text]])) for one in samples}


def plan_words(
    maker: QuestionMaker, questions: Sequence[Question], candidates: Mapping[str, Sequence[str]]
) -> WordPlan:
    """The sequences that score every candidate; one that several candidates need is asked once.

    Args:
        maker: The maker of the questions.
        questions: The questions of the samples.
        candidates: Words to compare, by sample; those with an unknown token are left out.
    """
    tokens = {word: maker.word(word) for words in candidates.values() for word in words}
    planned: list[Question] = []
    steps: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for question in questions:
        targets: defaultdict[_Step, set[int]] = defaultdict(set)
        names: dict[_Step, str] = {(1, ()): question.id}
        steps[question.id] = {}
        for word in candidates[question.id]:
            pieces = tokens[word]
            own = [(len(pieces), pieces[:at]) for at in range(len(pieces))]
            for step, entry in zip(own, pieces, strict=True):
                targets[step].add(entry)
                names.setdefault(step, f"{question.id}/word/{len(names)}")
            if pieces:
                steps[question.id][word] = [
                    (names[step], entry) for step, entry in zip(own, pieces, strict=True)
                ]
        single = tuple(sorted(targets.pop((1, ()), ())))
        planned.append(replace(question, targets=single))
        planned += [
            maker.partly_masked(question, names[step], *step, tuple(sorted(entries)))
            for step, entries in targets.items()
        ]
    return WordPlan(planned, steps)
