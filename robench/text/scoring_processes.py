"""Score the texts of a surface in several processes, so that it needs less time.

This process scores texts, and child processes score others ahead. They share torch's threads: two
processes of one thread are faster than one process of two. A child loads the language model
itself. A text is scored by itself, as ``surface_building`` says, so the surface is the same.
Only its time differs, so nothing here is part of a surface's key.

No answer depends on the children: what they cannot do, this process does.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue

from robench._base.child import start_child
from robench._base.errors import first_line
from robench.text.early_places import read_places_early
from robench.text.scorer import Ratios, ScoreCoverage, Scorer, ScoringRequest
from robench.text.sources import Substitutes, SubstituteSource
from robench.text.substitutions import Lookup
from robench.text.surface_building import SurfaceRequest

BuildScorer = Callable[[], Scorer | None]

WORDS_PER_PROCESS = 15_000
"""Words of texts that are worth the start of one process, which takes some seconds."""
PATIENCE = 120.0
"""Seconds that this process waits for an answer, when there is nothing else to do.

A text takes a child less than a second. One that is silent for so long has stopped.
"""
QUEUE = 2
"""Texts that a process has at the same time, so that it need not wait for the next."""

logger = logging.getLogger(__name__)


def worthwhile(request: SurfaceRequest, cores: int) -> int:
    """Return how many processes should score the texts of a surface; fewer than 2 are not worth it.

    Args:
        request: what decides the surface.
        cores: most processes that may run.
    """
    if request.scorer is None:
        return 0
    lengths = (len(each.fields[request.attackable].split()) for each in request.examples)
    words = sum(min(length, request.max_words) for length in lengths)
    return min(cores, words // WORDS_PER_PROCESS)


@contextmanager
def scoring_in_processes(
    request: SurfaceRequest, build: BuildScorer, number: int
) -> Iterator[SurfaceRequest]:
    """Yield a request for the same surface whose texts are scored in child processes.

    Args:
        request: what decides the surface; it has a language model.
        build: makes the language model in a child process. It must be importable.
        number: of processes, this one included.
    """
    assert request.scorer is not None
    source = _Remembering(request.substitutions)
    scorer = _ScoringProcesses(request.scorer, replace(request, substitutions=source))
    try:
        scorer.start(build, number)
        yield replace(request, substitutions=source, scorer=scorer)
    finally:
        scorer.stop()


def _threads() -> int:
    """Return the number of torch's threads; a language model without torch does not import it."""
    torch = sys.modules.get("torch")
    return 1 if torch is None else int(torch.get_num_threads())


def _set_threads(number: int) -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(number)


class _Remembering:
    """A source that gives what it has found ahead, once."""

    def __init__(self, source: SubstituteSource) -> None:
        self._source = source
        self._found: dict[tuple[str, ...], Substitutes] = {}
        self.name, self.sha256 = source.name, source.sha256

    def of_text(self, words: Sequence[str], lookup: Lookup, stop: int) -> Substitutes:
        """See ``SubstituteSource``."""
        found = self._found.pop(tuple(words), None)
        return self._source.of_text(words, lookup, stop) if found is None else found

    def find_ahead(self, words: tuple[str, ...], lookup: Lookup, stop: int) -> Substitutes:
        """Find the substitutes of a text, and keep them for the first who asks for them."""
        found = self._source.of_text(words, lookup, stop)
        self._found[words] = found
        return found


@dataclass(eq=False)
class _Child:
    """A process that scores texts.

    Attributes:
        process: the process.
        connection: to it.
        texts: numbers of the texts that it has and has not answered, in their order.
        ready: whether it has loaded its language model.
    """

    process: BaseProcess
    connection: Connection
    texts: deque[int] = field(default_factory=deque)
    ready: bool = False


class _ScoringProcesses(Scorer):
    """A language model whose texts, in their order, child processes score ahead, too."""

    def __init__(self, scorer: Scorer, request: SurfaceRequest) -> None:
        self.identity = scorer.identity
        self._scorer, self._request = scorer, request
        self._children: list[_Child] = []
        self._answers: dict[int, list[Ratios]] = {}
        self._texts: Sequence[Sequence[str]] = ()
        # The text that the surface needs next, and the one that is given away next.
        self._needed = self._ahead = 0
        self._threads_before: int | None = None

    def start(self, build: BuildScorer, number: int) -> None:
        """Start ``number - 1`` processes, which share torch's threads with this one.

        Where none can be started, such as in a daemon of multiprocessing, this one does everything.
        """
        before = _threads()
        threads = max(1, before // number)
        for _ in range(number - 1):
            ours, theirs = Pipe()
            try:
                process = start_child(score_texts, build, self.identity, threads, (theirs,))
            except Exception as error:
                ours.close()
                logger.warning(
                    "No further process can be started (%s), and the surface is built without.",
                    first_line(error) or type(error).__name__,
                )
                break
            finally:
                theirs.close()
            self._children.append(_Child(process, ours))
        if self._children:
            self._threads_before = before
            _set_threads(threads)

    def stop(self) -> None:
        """End the processes at once."""
        self._take_threads_back()
        for child in self._children:
            child.process.kill()
        for child in self._children:
            child.process.join()
            child.connection.close()
        self._children.clear()

    def _take_threads_back(self) -> None:
        if self._threads_before is not None:
            _set_threads(self._threads_before)
            self._threads_before = None

    def check(self, texts: Sequence[Sequence[str]]) -> None:
        """See ``Scorer``; these are the texts that will be asked for, in this order.

        They are kept as they are: they may split each text only when it is asked for.
        """
        self._scorer.check(texts)
        self._texts = texts

    def coverage(
        self, words: Sequence[str], requests: Sequence[ScoringRequest]
    ) -> ScoreCoverage | None:
        """See ``Scorer``."""
        return self._scorer.coverage(words, requests)

    def log_ratios(self, requests: Sequence[ScoringRequest]) -> list[Ratios]:
        """See ``Scorer``; ``requests`` are those of the next text."""
        number, self._needed = self._needed, self._needed + 1
        # A text that no child has is scored here.
        self._ahead = max(self._ahead, number + 1)
        self._hear(timeout=0)
        while number not in self._answers and any(number in each.texts for each in self._children):
            # A child has it. There is something else to do here, until the last text is given away.
            if self._ahead < len(self._texts):
                other, self._ahead = self._ahead, self._ahead + 1
                self._answers[other] = self._scorer.log_ratios(self._requests(self._texts[other]))
                self._hear(timeout=0)
            elif not self._hear(timeout=PATIENCE):
                for child in [each for each in self._children if each.texts]:
                    self._give_up(child, f"it has been silent for {PATIENCE:g} s")
        found = self._answers.pop(number, None)
        return self._scorer.log_ratios(requests) if found is None else found

    def _hear(self, timeout: float) -> bool:
        """Take what the processes have to say, and give them texts; return whether any spoke."""
        connections = [child.connection for child in self._children]
        heard = wait(connections, timeout) if connections else []
        for child in [each for each in self._children if each.connection in heard]:
            try:
                said = child.connection.recv()
            except (EOFError, OSError):
                said = "it has ended"
            if isinstance(said, str):
                self._give_up(child, said)
                continue
            if said is not None:
                self._answers[child.texts.popleft()] = said
            child.ready = True
        for child in [each for each in self._children if each.ready]:
            self._feed(child)
        return bool(heard)

    def _feed(self, child: _Child) -> None:
        while len(child.texts) < QUEUE and self._ahead < len(self._texts):
            requests = self._requests(self._texts[self._ahead])
            try:
                child.connection.send(requests)
            except OSError:
                self._give_up(child, "it has ended")
                return
            except Exception as error:
                # Words of a class that cannot be pickled.
                self._give_up(child, f"a text cannot be sent to it: {first_line(error)}")
                return
            child.texts.append(self._ahead)
            self._ahead += 1

    def _requests(self, text: Sequence[str]) -> list[ScoringRequest]:
        request, source, words = self._request, self._request.substitutions, tuple(text)
        assert isinstance(source, _Remembering)
        found = source.find_ahead(words, request.protocol.lookup, request.max_words)
        return [ScoringRequest(words, position, listed) for position, listed in found.items()]

    def _give_up(self, child: _Child, reason: str) -> None:
        """Do without a process. Its texts are scored in this one."""
        logger.warning(
            "A process that scores texts is given up (%s), and the surface is built without it.",
            reason,
        )
        self._children.remove(child)
        child.process.kill()
        child.process.join()
        child.connection.close()
        if not self._children:
            self._take_threads_back()


def score_texts(build: BuildScorer, identity: str, threads: int, connection: Connection) -> None:
    """Score the texts that the parent sends, in a child process, until it sends no more.

    Args:
        build: makes the language model.
        identity: what the language model of the parent is.
        threads: threads of torch.
        connection: to the parent. It gets None when the model is there, the log-ratios of each
            text, or a sentence that says why there is no model.
    """
    try:
        scorer = read_places_early(build())
        if scorer is None or scorer.identity != identity:
            raise RuntimeError("its language model is another one")
    except Exception as error:
        connection.send(first_line(error) or type(error).__name__)
        return
    try:
        connection.send(None)
        _set_threads(threads)
        for requests in _texts(connection):
            connection.send(scorer.log_ratios(requests))
    except OSError:
        # The parent has ended, or needs no more.
        return


def _texts(connection: Connection) -> Iterator[list[ScoringRequest]]:
    """Yield the texts that the parent sends.

    A thread receives them. So the parent never waits for a child that waits for the parent to read
    its answer, however large both are.
    """
    received: SimpleQueue[list[ScoringRequest] | None] = SimpleQueue()

    def receive() -> None:
        try:
            while True:
                received.put(connection.recv())
        except (EOFError, OSError):
            return
        finally:
            received.put(None)

    threading.Thread(target=receive, name="texts", daemon=True).start()
    yield from iter(received.get, None)
