"""The data card: a text with figures that are computed from the composed reviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import mean, median

from .compose import DEV_ONLY, FRESH, SEED, TEST_ONLY, Review
from .measure import accuracy, bags, few_words, fit
from .reading import Pattern, read_patterns, read_synonyms
from .render import words_of

FEW = (5, 20, 50)

TEMPLATE = """# mini-reviews

**Synthetic.** Nobody wrote these reviews about a film: a program composed them from sentence \
patterns, word lists and synonyms
written by hand for this project (`scripts/compose_mini_reviews/material/`). No text of another \
data set went into them. They exist
so that everything in `robench` can be run, without a download and in minutes, on a task that a \
bag of words does not solve.
An accuracy on `mini-reviews` says nothing about real reviews.

Files: `train.jsonl`, `dev.jsonl`, `test.jsonl`, one object a line, \
`{{"text": "...", "label": 0}}`, 0 = negative, 1 = positive;
`substitutions.json`, head -> substitutes, lower case. Licence: that of the project.
To make them again, byte for byte: `python -m scripts.compose_mini_reviews` (seed {seed}).

## How it is made

A pattern is a line such as `the {{part}} may be {{-craft}}, but the {{work}} as a whole is \
{{deg}} {{+adj}}`; `{{+…}}` is filled with a word that
speaks for the verdict, `{{-…}}` with one that speaks against it. So most patterns serve both \
labels and nearly every polar word occurs under
both: denials ("not one of the jokes is weak"), reversed expectations, concessions, comparisons, \
what would have been, opinions of
others that the reviewer does not hold. The patterns that serve one label only come mostly in \
pairs built of nearly the same words.
A review is one or two sentences. A draft is thrown away when it repeats itself, is shorter than \
8 or longer than 20 words, has too few
or too many words with substitutes, or has a sentence that another split has.

## How it is split

Every section of the patterns is divided by chance: {test_only:.0%} are kept for test, \
{dev_only:.0%} for dev, and train never sees them.
A pattern of a test or dev review is drawn from those kept with probability {fresh}, otherwise \
from the rest.
No sentence is in two splits.

## Figures

| | train | dev | test |
|---|---|---|---|
{splits}

| | |
|---|---|
{figures}

Accuracy by words alone: L2-penalised logistic regression (C = 1) on the presence of the training \
vocabulary's words, fitted on train, measured on
test; "k words" leaves it the k words of train with the largest mutual information with the \
label. Heads and search spaces are counted
with words looked up in lower case; the space of a review is the product of (1 + substitutes) \
over its words.

## What it is not good for

Ranking defenses or attacks for real use, claims about English, about film reviews or about \
people, pre-training, and anything that needs
long texts: {longest} words are the longest. The language is one writer's and repeats itself: \
patterns come back with other
words. Substitutes are meant to keep the verdict and the part of speech, not the article before \
them ("a stale" may become "a unoriginal"),
and some are closer in verdict than in meaning. They were chosen among the words in the embedded \
encoder's vocabulary, so that an attack
on it swaps words it knows, not unknown ones.
"""


@dataclass(frozen=True)
class Figures:
    """All figures of the card as text: the rows of its two tables."""

    splits: dict[str, dict[str, str]]
    single: dict[str, str]


def _patterns(reviews: Sequence[Review]) -> set[Pattern]:
    return {pattern for review in reviews for pattern in review.patterns}


def _split_rows(splits: Mapping[str, Sequence[Review]]) -> dict[str, dict[str, str]]:
    trained = _patterns(splits["train"])
    synonyms = read_synonyms()
    rows: dict[str, dict[str, str]] = {}
    for name, reviews in splits.items():
        lengths = [len(words_of(review.text)) for review in reviews]
        heads = [sum(word in synonyms for word in words_of(review.text)) for review in reviews]
        labels = Counter(review.label for review in reviews)
        fresh = sum(not trained.issuperset(review.patterns) for review in reviews) / len(reviews)
        rows[name] = {
            "reviews (negative + positive)": f"{len(reviews)} ({labels[0]} + {labels[1]})",
            "words a review, without punctuation: least, median, mean, most": (
                f"{min(lengths)}, {median(lengths):g}, {mean(lengths):.1f}, {max(lengths)}"
            ),
            "different words": str(len(_different_words(reviews))),
            "patterns used, of them not in train": (
                f"{len(_patterns(reviews))}, {len(_patterns(reviews) - trained)}"
            ),
            "reviews with a pattern not in train": f"{fresh:.1%}",
            "words with substitutes a review: least, median, most": (
                f"{min(heads)}, {median(heads):g}, {max(heads)}"
            ),
            "texts in the search space of a review: least, median, most": _spaces(reviews),
        }
    return rows


def _different_words(reviews: Sequence[Review]) -> set[str]:
    return set().union(*(words_of(review.text) for review in reviews))


def _spaces(reviews: Sequence[Review]) -> str:
    """Return the least, the median and the largest size of a review's search space."""
    synonyms = read_synonyms()
    sizes = []
    for review in reviews:
        size = 1
        for word in words_of(review.text):
            size *= 1 + len(synonyms.get(word, ()))
        sizes.append(size)
    return f"{min(sizes)}, {median(sizes):g}, {max(sizes)}"


def accuracies(splits: Mapping[str, Sequence[Review]]) -> dict[str, float]:
    """Return the test accuracy, in [0, 1], of all words and of few words."""
    _, bag = bags(splits)
    found = {"all words": accuracy(bag["test"], fit(bag["train"]))}
    return found | {f"{count} words": few_words(bag["train"], bag["test"], count) for count in FEW}


def figures(splits: Mapping[str, Sequence[Review]]) -> Figures:
    """Compute every number that the card states."""
    synonyms = read_synonyms()
    written = Counter(pattern.labels for pattern in read_patterns())
    in_train = _different_words(splits["train"])
    substitutes = list(chain.from_iterable(synonyms.values()))
    counts = [len(found) for found in synonyms.values()]
    single = {}
    for name, value in accuracies(splits).items():
        single[f"test accuracy by {name} alone"] = f"{value:.1%}"
    single |= {
        "patterns written for both labels, for positive, for negative, neutral first sentences": (
            ", ".join(str(written[labels]) for labels in ((0, 1), (1,), (0,), ()))
        ),
        "heads in the dictionary": str(len(synonyms)),
        "substitutes a head: least, mean, most": (
            f"{min(counts)}, {len(substitutes) / len(synonyms):.2f}, {max(counts)}"
        ),
        "different substitutes, of them not in train": (
            f"{len(set(substitutes))}, {len(set(substitutes) - in_train)}"
        ),
    }
    return Figures(_split_rows(splits), single)


def render(splits: Mapping[str, Sequence[Review]], seed: int = SEED) -> str:
    """Return the card as Markdown."""
    found = figures(splits)
    names = next(iter(found.splits.values()))
    rows = []
    for name in names:
        cells = " | ".join(found.splits[split][name] for split in found.splits)
        rows.append(f"| {name} | {cells} |")
    single = [f"| {name} | {value} |" for name, value in found.single.items()]
    everything = chain.from_iterable(splits.values())
    longest = max(len(words_of(review.text)) for review in everything)
    return TEMPLATE.format(
        seed=seed,
        test_only=TEST_ONLY,
        dev_only=DEV_ONLY,
        fresh=FRESH,
        splits="\n".join(rows),
        figures="\n".join(single),
        longest=longest,
    )
