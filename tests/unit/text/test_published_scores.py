"""The published score format of Jia et al. 2019."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from robench._base.errors import UsageError
from robench.protocol import PROTOCOLS
from robench.tasks.example import Example
from robench.text.language_model import build_scorer
from robench.text.published_scores import PublishedScorer
from robench.text.scorer import ScoringRequest
from robench.text.substitutions import SubstitutionSet
from robench.text.surface_building import SurfaceRequest, load_or_build

LINES = (
    "0\tA good Film .",
    "0\t1\tgood\t-10.5",
    "0\t1\tnice\t-15.5",
    "0\t1\tdecent\t-15.50001",
    "0\t1\tgreat\t-2.0",
    "7\tOOV here",
    "7\t0\tOOV\t-inf",
    "7\t0\tword\t-40.25",
    "7\t0\tother\t-inf",
    "8\tNothing scored",
    "9\tlast one",
    "9\t1\tone\t-1",
    "9\t1\tsingle\t-2",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scores.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


def ask(path: Path, text: str, position: int, *substitutes: str) -> list[float]:
    request = ScoringRequest(tuple(text.split()), position, substitutes)
    return [float(ratio) for ratio in PublishedScorer(path).log_ratios([request])[0]]


def test_ratios_are_relative_to_the_original(path: Path) -> None:
    assert ask(path, "A good Film .", 1, "nice", "great") == [-5.0, 8.5]


def test_a_ratio_of_exactly_the_threshold_is_allowed(path: Path) -> None:
    scores = np.array(ask(path, "A good Film .", 1, "nice", "decent"), dtype=np.float32)
    assert (scores >= -5.0).tolist() == [True, False]


def test_a_sentence_is_found_by_its_lower_cased_text(path: Path) -> None:
    assert ask(path, "a good film .", 1, "nice") == [-5.0]
    with pytest.raises(UsageError, match="no scores for 1 of 1 texts"):
        ask(path, "a good", 1, "nice")


def test_a_candidate_missing_as_written_is_found_lower_cased(path: Path) -> None:
    assert ask(path, "a Good film .", 1, "Nice", "nice", "GREAT", "Swell") == [
        -5.0,
        -5.0,
        8.5,
        -np.inf,
    ]


def test_a_candidate_as_written_has_precedence(tmp_path: Path) -> None:
    path = tmp_path / "scores.txt"
    path.write_text(
        "0\tGood\n0\t0\tGood\t-1\n0\t0\tgood\t-9\n0\t0\tNice\t-2\n0\t0\tnice\t-8\n",
        encoding="utf-8",
    )
    assert ask(path, "Good", 0, "Nice", "nice") == [-1.0, -7.0]


def test_a_capitalised_word_without_a_score_is_refused(path: Path) -> None:
    sentence = (
        r"no score for the capitalised word 'Film' in 'A good Film \.…': "
        r"its words were looked up as they are written\. Use .* rift2021"
    )
    with pytest.raises(UsageError, match=sentence):
        ask(path, "A good Film .", 2, "Movie")


def test_a_missing_position_or_candidate_is_rejected(path: Path) -> None:
    assert ask(path, "A good film .", 2, "movie") == [-np.inf]
    assert ask(path, "A good Film .", 1, "swell") == [-np.inf]
    assert ask(path, "nothing scored", 0, "anything") == [-np.inf]


def test_impossible_words_give_infinite_ratios(path: Path) -> None:
    assert ask(path, "OOV here", 0, "word", "other") == [np.inf, -np.inf]


def test_the_last_block_ends_with_the_file(path: Path) -> None:
    assert ask(path, "last one", 1, "single") == [-1.0]


def test_missing_sentences_are_counted(path: Path) -> None:
    scorer = PublishedScorer(path)
    scorer.check([["a", "good", "film", "."], ["last", "one"]])
    with pytest.raises(UsageError, match=r"no scores for 2 of 3 texts, the first is 'not there…'"):
        scorer.check([["not", "there"], ["last", "one"], ["nor", "this"]])
    with pytest.raises(UsageError, match="no scores for 1 of 1"):
        scorer.log_ratios([ScoringRequest(("nor", "this"), 0, ("that",))])


def test_the_identity_is_the_hash_of_the_file(path: Path) -> None:
    import hashlib

    assert PublishedScorer(path).identity == f"file:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_windows_line_ends_are_read(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert ask(path, "a good film .", 1, "nice") == [-5.0]


def test_build_scorer_reads_a_score_file(path: Path) -> None:
    assert isinstance(build_scorer(f"file:{path}"), PublishedScorer)


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["0\t1\tgood\t-1"], "Line 1 of .* is neither"),
        (["0\tgood", "nonsense"], "Line 2 of .* is neither"),
        (["0\tgood", "0\t1\tgood\t-1\tmore"], "Line 2 of .* is neither"),
    ],
)
def test_a_file_of_another_format_is_refused_at_once(
    tmp_path: Path, lines: list[str], sentence: str
) -> None:
    path = tmp_path / "scores.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UsageError, match=sentence):
        PublishedScorer(path)


@pytest.mark.parametrize(
    "line", ["0\tone\tgood\t-1", "0\t0\tgood\tlow", "0\t0\tgood\tnan", "0\t0\tgood\tinf"]
)
def test_a_malformed_score_is_named_when_it_is_read(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scores.txt"
    path.write_text(f"5\tother text\n5\t0\tother\t-1\n0\tgood\n{line}\n", encoding="utf-8")
    assert ask(path, "other text", 0, "other") == [0.0]
    with pytest.raises(UsageError, match=r"Line 4 of .* must be"):
        ask(path, "good", 0, "fine")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: it does not exist"):
        PublishedScorer(tmp_path / "absent.txt")


# Under a protocol whose lookup is lower-cased

LOWER_KEYED = (
    "0\tGood film",
    "0\t0\tgood\t-10",
    "0\t0\tfine\t-12",
    "0\t0\tnice\t-15.5",
    "0\t1\tfilm\t-3",
    "0\t1\tmovie\t-4",
)
AS_WRITTEN = ("0\tGood film", "0\t1\tfilm\t-3", "0\t1\tmovie\t-4")


def attackable(
    tmp_path: Path, lines: tuple[str, ...], protocol: str
) -> tuple[tuple[str, ...], ...]:
    """Return the options that the constraint leaves in "Good film"."""
    path = tmp_path / "scores.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    substitutions = SubstitutionSet(
        "test", "5" * 64, {"good": ("fine", "nice"), "film": ("movie",)}
    )
    example = Example("t/1", {"text": "Good film"}, 1)
    request = SurfaceRequest(
        [example], "text", "t", "d", substitutions, PROTOCOLS[protocol], PublishedScorer(path), 300
    )
    return load_or_build(tmp_path / "surfaces", request).space("t/1", 2, True, 5.0).options


def test_a_file_with_lower_cased_candidates_serves_capitalised_words(tmp_path: Path) -> None:
    assert attackable(tmp_path, LOWER_KEYED, "subword") == (("Good", "Fine"), ("film", "movie"))


def test_a_file_scored_as_written_needs_a_protocol_with_the_same_lookup(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="capitalised word 'Good'"):
        attackable(tmp_path, AS_WRITTEN, "subword")
    assert attackable(tmp_path, AS_WRITTEN, "rift2021") == (("Good",), ("film", "movie"))


# Files of strangers


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"0\tg\xff\n", "Line 1 of .* is not UTF-8 text"),
        (b"0\t" + b"x" * 1_000_001 + b"\n", "Line 1 of .* has more than 1,000,000 bytes"),
        (b"\0" * 3_000_000, "Line 1 of .* has more than 1,000,000 bytes"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "scores.txt").write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        PublishedScorer(tmp_path / "scores.txt")


def test_a_bad_byte_in_a_line_of_scores_is_named(tmp_path: Path) -> None:
    (tmp_path / "scores.txt").write_bytes(b"0\tgood\n0\t0\tg\xff\t-1\n")
    with pytest.raises(UsageError, match=r"Line 2 of .* is not UTF-8 text"):
        ask(tmp_path / "scores.txt", "good", 0, "fine")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scores.txt")
    with pytest.raises(UsageError, match="cannot be read: it is a pipe"):
        PublishedScorer(tmp_path / "scores.txt")


def test_the_identity_is_the_hash_of_the_bytes(tmp_path: Path) -> None:
    for content in (b"0\tgood\n0\t0\tgood\t-1", b"0\tgood\r\n0\t0\tgood\t-1\r\n"):
        (tmp_path / "scores.txt").write_bytes(content)
        identity = PublishedScorer(tmp_path / "scores.txt").identity
        assert identity == f"file:{hashlib.sha256(content).hexdigest()}"
