"""Several processes score the texts of one surface, and the surface is that of one process."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import wait
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from damaged_kinds import EXAMPLES, surface_request
from scorers_of_children import Ending, HashedScorer, OtherScorer, Silent, Unreadable, refuse

from robench._base.child import start_child
from robench.text import scoring_processes, surface_building
from robench.text.language_model import build_scorer
from robench.text.scorer import Ratios, Scorer, ScoringRequest
from robench.text.scoring_processes import QUEUE, score_texts, scoring_in_processes, worthwhile
from robench.text.sources import Substitutes
from robench.text.substitutions import Lookup, SubstitutionSet
from robench.text.surface import Surface
from robench.text.surface_building import SurfaceRequest, build_surface
from robench.text.words import split_words

# Processes are started.
pytestmark = pytest.mark.slow

WAIT_SECONDS = 120


class Parent(HashedScorer):
    """The language model of the parent: it notes its texts, and waits once for the processes."""

    def __init__(self) -> None:
        self.texts: list[tuple[str, ...]] = []
        self.others: Any = None

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        if not self.texts and self.others is not None:
            # The message of one that is ready has been read.
            loading = [child for child in self.others._children if not child.ready]
            connections = [child.connection for child in loading]
            while connections:
                ready = wait(connections, WAIT_SECONDS)
                assert ready, "no process has loaded its language model"
                connections = [each for each in connections if each not in ready]
        self.texts += [request.words for request in requests[:1]]
        return super().log_ratios(requests)


def built(build: Callable[[], Scorer | None], number: int = 3) -> tuple[Surface, Parent, Any]:
    """Return a surface of several processes, the parent's language model, and the other."""
    parent = Parent()
    request = replace(surface_request(), scorer=parent)
    with scoring_in_processes(request, build, number) as several:
        parent.others = several.scorer
        children = [child.process for child in parent.others._children]
        assert len(children) == number - 1
        surface = build_surface(several)
    assert not any(process.is_alive() for process in children)
    return surface, parent, several.scorer


def whole(surface: Surface) -> Any:
    """Return everything that a surface holds."""
    spaces = [surface.space(each.id, 99, True, 1.0).options for each in EXAMPLES]
    return surface.meta, sorted(surface.vocabulary), spaces, surface._ratios.tobytes()


def equal(one: Surface, other: Surface) -> bool:
    return bool(whole(one) == whole(other))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_surface_is_that_of_one_process(number: int) -> None:
    surface, parent, _ = built(HashedScorer, number)
    assert equal(surface, build_surface(surface_request()))
    # Each child had at least the texts that it is given at first, and no text was scored twice.
    assert len(parent.texts) <= len(EXAMPLES) - QUEUE * (number - 1)
    assert len(set(parent.texts)) == len(parent.texts)


def test_the_embedded_language_model_allows_the_same_words() -> None:
    request = replace(surface_request(), scorer=build_scorer("tiny"))
    with scoring_in_processes(request, partial(build_scorer, "tiny"), 2) as several:
        surface = build_surface(several)
    alone = build_surface(request)
    assert surface.meta == alone.meta
    assert np.allclose(surface._ratios, alone._ratios, atol=2e-4, equal_nan=True)
    for threshold in (0.5, 2.0, 5.0):
        for example in EXAMPLES:
            found, wanted = (
                each.space(example.id, 99, True, threshold).options for each in (surface, alone)
            )
            assert found == wanted


def test_a_text_is_split_only_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    split: list[str] = []

    def counted(text: str) -> list[str]:
        split.append(text)
        return split_words(text)

    monkeypatch.setattr(surface_building, "split_words", counted)
    whole_texts: list[int] = []

    class Watching(HashedScorer):
        def check(self, texts: Sequence[Sequence[str]]) -> None:
            whole_texts.append(len(split))
            assert texts[-1] == tuple(split_words(EXAMPLES[-1].fields["text"]))
            assert texts[1:3] == [texts[1], texts[2]]
            with pytest.raises(IndexError):
                texts[len(EXAMPLES)]

    build_surface(replace(surface_request(), scorer=Watching()))
    assert whole_texts == [0]
    # Each text once, and in the order in which they were asked for.
    texts = [each.fields["text"] for each in EXAMPLES]
    assert sorted(split) == sorted(texts)
    assert split[:3] == [texts[-1], texts[1], texts[2]]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (refuse, "(no room)"),
        (OtherScorer, "(its language model is another one)"),
        (Ending, "(it has ended)"),
        (Silent, "(it has been silent for 1 s)"),
    ],
)
def test_what_a_process_cannot_do_the_parent_does(
    build: Callable[[], Scorer],
    said: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring_processes, "PATIENCE", 1.0)
    with caplog.at_level(logging.WARNING):
        surface, parent, several = built(build)
    assert equal(surface, build_surface(surface_request()))
    assert not several._children
    assert len(parent.texts) > 10
    assert [each.message for each in caplog.records] == 2 * [
        f"A process that scores texts is given up {said}, and the surface is built without it."
    ]


def test_large_texts_and_answers_wait_for_nobody() -> None:
    """The parent sends more than a pipe holds while it reads nothing."""
    words = ("a", "film")
    requests = [ScoringRequest(words, 0, ("fine", f"word{number}")) for number in range(20_000)]
    ours, theirs = Pipe()
    process = start_child(score_texts, HashedScorer, HashedScorer.identity, 1, (theirs,))
    theirs.close()

    def send() -> None:
        for _ in range(4):
            ours.send(requests)

    sending = Thread(target=send, daemon=True)
    sending.start()
    sending.join(WAIT_SECONDS)
    assert not sending.is_alive()
    assert ours.recv() is None
    assert [len(ours.recv()) for _ in range(4)] == 4 * [len(requests)]
    ours.close()
    process.join(WAIT_SECONDS)
    assert process.exitcode == 0


def test_a_failure_leaves_no_process() -> None:
    started: list[Any] = []

    def fail() -> None:
        with scoring_in_processes(surface_request(), HashedScorer, 3) as several:
            several_scorer: Any = several.scorer
            started.extend(child.process for child in several_scorer._children)
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert len(started) == 2
    assert not any(process.is_alive() for process in started)


def test_the_substitutes_of_a_text_are_found_once() -> None:
    class Counted:
        name, sha256 = "counted", "5" * 64

        def __init__(self, inner: SubstitutionSet) -> None:
            self.inner, self.texts = inner, list[tuple[str, ...]]()

        def of_text(self, words: Sequence[str], lookup: Lookup, stop: int) -> Substitutes:
            self.texts.append(tuple(words))
            return self.inner.of_text(words, lookup, stop)

    inner = surface_request().substitutions
    assert isinstance(inner, SubstitutionSet)
    request = replace(surface_request(), substitutions=(source := Counted(inner)))
    with scoring_in_processes(request, HashedScorer, 2) as several:
        surface = build_surface(several)
    assert equal(surface, build_surface(surface_request()))
    assert len(source.texts) == len(EXAMPLES)


def test_the_key_is_the_same() -> None:
    with scoring_in_processes(surface_request(), HashedScorer, 1) as several:
        assert several.key == surface_request().key


@pytest.fixture
def threads() -> Iterator[Callable[[], int]]:
    """Give torch seven threads, and return how to look."""
    before = torch.get_num_threads()
    torch.set_num_threads(7)
    yield torch.get_num_threads
    torch.set_num_threads(before)


def test_the_processes_share_the_threads(threads: Callable[[], int]) -> None:
    with scoring_in_processes(surface_request(), HashedScorer, 2):
        assert threads() == 3
    assert threads() == 7


def test_the_threads_come_back_when_no_child_is_left(threads: Callable[[], int]) -> None:
    request = replace(surface_request(), scorer=(parent := Parent()))
    with scoring_in_processes(request, refuse, 2) as several:
        assert threads() == 3
        parent.others = several.scorer
        build_surface(several)
        assert threads() == 7
    assert threads() == 7


def test_where_no_process_can_be_started_one_does_everything(
    threads: Callable[[], int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a daemon of ``multiprocessing``, which may have no children."""
    current: Any = multiprocessing.current_process()
    monkeypatch.setitem(current._config, "daemon", True)
    with scoring_in_processes(surface_request(), HashedScorer, 3) as several:
        assert threads() == 7
        surface = build_surface(several)
    assert equal(surface, build_surface(surface_request()))
    (said,) = caplog.messages
    assert said.startswith("No further process can be started (This process is a daemon of")


def test_words_that_cannot_be_sent_are_scored_here(caplog: pytest.LogCaptureFixture) -> None:
    class Word(str):
        __slots__ = ()

    class Source:
        name, sha256 = "local words", "5" * 64

        def of_text(self, words: Sequence[str], lookup: Lookup, stop: int) -> Substitutes:
            found = surface_request().substitutions.of_text(words, lookup, stop)
            return {place: tuple(map(Word, listed)) for place, listed in found.items()}

    request = replace(surface_request(), substitutions=Source(), scorer=(parent := Parent()))
    with scoring_in_processes(request, HashedScorer, 2) as several:
        parent.others = several.scorer
        surface = build_surface(several)
    assert whole(surface)[1:] == whole(build_surface(surface_request()))[1:]
    (said,) = caplog.messages
    assert "is given up (a text cannot be sent to it: " in said


def test_a_text_that_a_child_cannot_read_ends_the_child() -> None:
    ours, theirs = Pipe()
    process = start_child(score_texts, HashedScorer, HashedScorer.identity, 1, (theirs,))
    theirs.close()
    assert ours.recv() is None
    ours.send(Unreadable())
    process.join(WAIT_SECONDS)
    assert process.exitcode == 0


def test_only_many_words_are_worth_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def number(cores: int, **changes: Any) -> int:
        request: SurfaceRequest = replace(surface_request(), **changes)
        return worthwhile(request, cores)

    words = sum(len(each.fields["text"].split()) for each in EXAMPLES)
    assert number(8) == 0
    monkeypatch.setattr(scoring_processes, "WORDS_PER_PROCESS", words // 4)
    assert number(8) == 4
    assert number(2) == 2
    assert number(8, scorer=None) == 0
    assert number(8, max_words=1) == len(EXAMPLES) // (words // 4)
