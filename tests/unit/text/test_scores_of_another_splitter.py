"""Scores in the published format whose maker split some texts into other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from robench._base.errors import UsageError
from robench.protocol import PROTOCOLS
from robench.tasks.example import Example
from robench.text.published_scores import PublishedScorer
from robench.text.scorer import ScoreCoverage, ScoringRequest
from robench.text.substitutions import SubstitutionSet
from robench.text.surface import Surface
from robench.text.surface_building import SurfaceRequest, build_surface, load_or_build
from robench.text.words import split_words

SWAPS: Mapping[str, tuple[str, ...]] = {
    "good": ("fine", "nice"),
    "film": ("movie",),
    "songs": ("tunes",),
    "left": ("went", "gone"),
    "etc": ("others",),
}
TEXT = "Songs, films etc. Then he left the good film."
SAME = "A good film."
SUBSTITUTIONS = SubstitutionSet("test", "5" * 64, SWAPS)


def score_file(path: Path, texts: Sequence[Sequence[str]], leave_out: Sequence[str] = ()) -> Path:
    """Write scores of ``texts``, given as words, as Jia et al.'s program does."""
    lines = []
    for number, words in enumerate(texts):
        lines.append(f"{number}\t{' '.join(words)}")
        for position, word in enumerate(words):
            if word not in SWAPS:
                continue
            for rank, candidate in enumerate((word, *SWAPS[word])):
                if candidate not in leave_out:
                    lines.append(f"{number}\t{position}\t{candidate}\t{-10.0 - rank}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def as_nltk(text: str) -> list[str]:
    """Split as NLTK's own Punkt does, to which "etc." is an abbreviation."""
    words: list[str] = []
    for word in split_words(text):
        if word == "." and words and words[-1] == "etc":
            words[-1] += word
        else:
            words.append(word)
    return words


def surface(scorer: PublishedScorer, *texts: str, folder: Path | None = None) -> Surface:
    examples = [Example(f"t/{n}", {"text": text}, 0) for n, text in enumerate(texts)]
    request = SurfaceRequest(
        examples, "text", "t", "d", SUBSTITUTIONS, PROTOCOLS["rift2021"], scorer, 300
    )
    return build_surface(request) if folder is None else load_or_build(folder, request)


def test_the_two_ways_to_split_differ() -> None:
    assert split_words(TEXT)[3:5] == ["etc", "."]
    assert as_nltk(TEXT)[3] == "etc."


def test_words_of_a_text_that_is_split_otherwise_have_their_scores(tmp_path: Path) -> None:
    path = score_file(tmp_path / "scores.txt", [as_nltk(TEXT), split_words(SAME)])
    built = surface(PublishedScorer(path), TEXT, SAME)
    space = built.space("t/0", 99, True, 5.0)
    changed = {word: tuple(rest) for word, *rest in space.options if rest}
    # "etc" is no word of the file; every other word has the scores of its partner.
    assert changed == {"left": ("went", "gone"), "good": ("fine", "nice"), "film": ("movie",)}
    assert built.space("t/0", 99, False, 5.0).options[3] == ("etc", "others")
    assert built.meta["scores"] == {
        "texts": 2,
        "split_otherwise": 1,
        "positions": 6,
        "positions_without": 1,
        "substitutes": 9,
        "substitutes_without": 1,
    }


def test_the_scores_are_those_of_the_partner(tmp_path: Path) -> None:
    words = tuple(split_words(TEXT))
    path = tmp_path / "scores.txt"
    theirs = as_nltk(TEXT)
    lines = [f"0\t{' '.join(theirs)}"]
    for position, word in enumerate(theirs):
        lines += [f"0\t{position}\t{word}\t-1", f"0\t{position}\tother\t{-2 - position}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    scorer = PublishedScorer(path)
    # "Songs", the comma and "films" come first; then "etc" and its period, which have no partner.
    partners = [0, 1, 2, None, None, *range(4, len(theirs))]
    for position, partner in enumerate(partners):
        (found,) = scorer.log_ratios([ScoringRequest(words, position, ("other",))])
        assert found.tolist() == [-np.inf if partner is None else -1.0 - partner]


def test_all_scores_there_means_that_nothing_is_left_out(tmp_path: Path) -> None:
    path = score_file(tmp_path / "scores.txt", [split_words(TEXT), split_words(SAME)])
    assert surface(PublishedScorer(path), TEXT, SAME).meta["scores"]["substitutes_without"] == 0


def test_a_substitute_without_a_score_is_counted(tmp_path: Path) -> None:
    path = score_file(tmp_path / "scores.txt", [split_words(SAME)], leave_out=["nice"])
    scores = surface(PublishedScorer(path), SAME).meta["scores"]
    assert (scores["positions_without"], scores["substitutes_without"]) == (0, 1)
    path = score_file(tmp_path / "scores.txt", [split_words(SAME)], leave_out=["good"])
    scores = surface(PublishedScorer(path), SAME).meta["scores"]
    # Without the original word's score there is no ratio.
    assert (scores["positions_without"], scores["substitutes_without"]) == (1, 2)


def test_the_counts_are_kept_with_a_stored_surface(tmp_path: Path) -> None:
    scorer = PublishedScorer(score_file(tmp_path / "scores.txt", [as_nltk(TEXT)]))
    first = surface(scorer, TEXT, folder=tmp_path)
    assert surface(scorer, TEXT, folder=tmp_path).meta == first.meta
    assert first.meta["scores"]["split_otherwise"] == 1


def test_a_text_that_is_missing_altogether_is_named(tmp_path: Path) -> None:
    scorer = PublishedScorer(score_file(tmp_path / "scores.txt", [as_nltk(TEXT)]))
    with pytest.raises(UsageError, match=r"no scores for 1 of 2 texts, the first is 'A good film"):
        surface(scorer, TEXT, SAME)


def test_the_exact_sentence_comes_before_one_that_is_split_otherwise(tmp_path: Path) -> None:
    path = score_file(tmp_path / "scores.txt", [as_nltk(TEXT), split_words(TEXT)])
    scores = surface(PublishedScorer(path), TEXT).meta["scores"]
    assert (scores["split_otherwise"], scores["positions_without"]) == (0, 0)


def test_a_capitalised_word_without_a_partner_is_no_reason_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("0\tEtc. good\n0\t1\tgood\t-1\n0\t1\tfine\t-2\n", encoding="utf-8")
    scorer = PublishedScorer(path)
    words = ("Etc", ".", "good")
    (first,) = scorer.log_ratios([ScoringRequest(words, 0, ("Others",))])
    (last,) = scorer.log_ratios([ScoringRequest(words, 2, ("fine",))])
    assert (first.tolist(), last.tolist()) == ([-np.inf], [-1.0])


def test_coverages_add_up() -> None:
    one = ScoreCoverage(1, 1, 5, 2, 9, 3)
    assert one + one == ScoreCoverage(2, 2, 10, 4, 18, 6)
