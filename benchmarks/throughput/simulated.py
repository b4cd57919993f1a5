"""Measure how long a device would stand idle, without having one.

The device runs forward passes one after the other, and answers ``rate`` rows a second. It uses no
processor: time on it is arithmetic. The engine is the real one, on real rows. Its clock is the CPU
time of this thread, so that other programs on the machine change nothing. Where the engine waits
for an answer, the clock jumps to the moment when the device has it. The seconds in which this
module makes up the answers are taken out of the clock.

A launch costs the processor nothing here, as if every forward pass were one CUDA graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import thread_time
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench.models.encoders import find_encoder, load_tokenizer
from robench.models.victim import build_reader
from robench.protocol import get_protocol
from robench.search.engine import run
from robench.search.settings import SearchSettings
from robench.text.encoding import EncodedText
from robench.text.words import _split_with as split_memory
from robench.text.words import split_words
from throughput.searches import build_attack, make_load
from throughput.subjects import MAX_TOKENS


class Goal(NamedTuple):
    """Words of the texts for one device, and the most of its time that it should stand idle."""

    words: int
    idle: float


RATES: Final = {5_000: Goal(298, 0.05), 25_000: Goal(298, 0.15), 150_000: Goal(20, 0.50)}
"""Rows a second of each device. An H100 has these rates with 12 x 768 and 6 x 384, in bf16."""
ROWS = 120_000
"""Rows that one run should need, roughly, if not said otherwise."""
MARGIN, WEIGHT = 3.0, 7.0
"""A text's margin (logits) is the first, and of its tokens' mean the second.

About half of the searches then succeed, at any length.
"""


class Clock:
    """The CPU time of this thread, with jumps for waiting."""

    def __init__(self) -> None:
        self._left_out = self._waited = 0.0

    def worked(self) -> float:
        """Return the seconds of CPU time."""
        return thread_time() - self._left_out

    def now(self) -> float:
        """Return the seconds of CPU time and of waiting."""
        return self.worked() + self._waited

    def leave_out(self, seconds: float) -> None:
        """Take seconds of work out of the clock."""
        self._left_out += seconds

    def wait_until(self, moment: float) -> None:
        """Jump to a moment; one that is over changes nothing."""
        self._waited += max(0.0, moment - self.now())


@dataclass
class Device:
    """What the device did.

    Attributes:
        rate: rows a second.
        busy: seconds in which it ran forward passes.
        rows: rows that it answered, copies included.
        forwards: number of forward passes.
        free: moment when its last forward pass ends.
    """

    rate: float
    busy: float = 0.0
    rows: int = 0
    forwards: int = 0
    free: float = 0.0

    def run(self, rows: int, now: float) -> float:
        """Queue one forward pass and return the moment when its answers are there."""
        seconds = rows / self.rate
        self.free = max(self.free, now) + seconds
        self.busy, self.rows = self.busy + seconds, self.rows + rows
        self.forwards += 1
        return self.free


class Pending:
    """The answers of a forward pass that is on its way."""

    def __init__(self, clock: Clock, moment: float, logits: NDArray[np.float32]) -> None:
        self._clock, self._moment, self._logits = clock, moment, logits

    def ready(self) -> bool:
        """Return whether the device has finished it."""
        return self._clock.now() >= self._moment

    def result(self) -> NDArray[np.float32]:
        """Wait for the answers and return them, ``(rows, classes)``."""
        self._clock.wait_until(self._moment)
        return self._logits


class SimulatedVictim:
    """A victim on a simulated device; its answers are made up, and the same for a row every time.

    Args:
        rate: rows a second.

    Attributes:
        asked: rows that were passed to it and are not copies that fill a forward pass up.
    """

    device, attackable, segments = "simulated", "text", False
    depth = 3

    def __init__(self, rate: float) -> None:
        self.clock = Clock()
        self.machine = Device(rate)
        tokenizer = load_tokenizer(find_encoder("tiny"))
        self.table, self.encoder_fields = build_reader(
            tokenizer, get_protocol("rift2021"), ["text"], "text", MAX_TOKENS
        )
        weights = np.random.default_rng(0).normal(size=len(tokenizer)).astype(np.float32)
        weights[self.table.pad_id] = 0
        self._weights = WEIGHT * weights
        self.asked = 0

    def forward_queue(self) -> SimulatedVictim:
        """Return what queues forward passes; see ``SearchVictim``."""
        return self

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> Pending:
        """Queue a forward pass; ``logits`` describes the arguments."""
        began = thread_time()
        self.asked += len(ids) - copies_in(ids)
        logits = self.answers(ids, lengths)
        self.clock.leave_out(thread_time() - began)
        return Pending(self.clock, self.machine.run(len(ids), self.clock.now()), logits)

    def answers(self, ids: NDArray[np.int32], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        """Make up the logits ``(rows, classes)``."""
        margins = MARGIN + self._weights[ids].sum(axis=1) / lengths
        return np.stack([margins / 2, -margins / 2], axis=1).astype(np.float32)

    def logits(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Answer rows and wait for the device; see ``SearchVictim``."""
        return self.submit(ids, lengths, types, precision).result()

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Read one text; see ``SearchVictim``."""
        words = {name: split_words(text) for name, text in fields.items()}
        return self.encoder_fields.encode_text(words)

    def predict(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.intp]:
        """Return the class of each text, as ``make_jobs`` asks for it."""
        margins = [MARGIN + self._weights[self.read(fields).ids].mean() for fields in texts]
        return (np.array(margins) < 0).astype(np.intp)


def copies_in(ids: NDArray[np.int32]) -> int:
    """Return how many rows at the end are copies of the first, which fill a forward pass up."""
    same = (ids == ids[0]).all(axis=1)
    different = np.flatnonzero(~same)
    return len(ids) - 1 - (int(different[-1]) if len(different) else 0)


@dataclass(frozen=True)
class Idleness:
    """One run.

    Attributes:
        idle: share of the run's time in which the device had nothing to do.
        lost: the same, with the time in which it computed rows that fill a forward pass up.
        microseconds: of the processor for each row.
    """

    rate: int
    words: int
    attack: str
    rows: int
    idle: float
    lost: float
    microseconds: float


def measure_idleness(rate: int, words: int, attack: str, rows: int | None = None) -> Idleness:
    """Attack texts of ``words`` words on a device of ``rate`` rows a second.

    Args:
        rows: how many rows the searches should need, roughly; None for the usual number.

    Raises:
        RuntimeError: a trial failed.
    """
    victim = SimulatedVictim(rate)
    # What makes texts of a victim asks no more of it than this one can do.
    load = make_load(cast("Any", victim), attack, words, rows or ROWS, None)
    # A run reads each text for the first time, and making the jobs has read them.
    split_memory.cache_clear()
    clock, device = victim.clock, victim.machine
    began, worked = clock.now(), clock.worked()
    settings = SearchSettings(budget=load.budget, precision="bf16")
    trials = list(run(victim, build_attack(attack), attack, load.jobs, settings))
    seconds, worked = clock.now() - began, clock.worked() - worked
    problem = next((trial.problem for trial in trials if trial.verdict == "error"), None)
    if problem is not None:
        raise RuntimeError(f"a trial failed: {problem}")
    return Idleness(
        rate,
        words,
        attack,
        victim.asked,
        1 - device.busy / seconds,
        1 - victim.asked / rate / seconds,
        1e6 * worked / victim.asked,
    )


def idle_table(runs: Sequence[Sequence[Idleness]]) -> str:
    """Return the table of all devices; each has its repetitions."""
    lines = [
        "Share of its time that a simulated device waits for the engine; median (lowest-highest).",
        "'lost' adds the time for copies of rows, which fill forward passes up.",
        "",
        f"{'attack':9} {'rows/s':>8} {'words':>6} {'idle':>22} {'goal':>6} {'lost':>7} "
        f"{'us of Python a row':>19}",
    ]
    for same in runs:
        one, idle = same[0], sorted(each.idle for each in same)
        goal = RATES[one.rate].idle
        lines.append(
            f"{one.attack:9} {one.rate:8,} {one.words:6} "
            f"{f'{median(idle):.1%} ({idle[0]:.1%}-{idle[-1]:.1%})':>22} {goal:6.0%} "
            f"{median(each.lost for each in same):7.1%} "
            f"{median(each.microseconds for each in same):19.1f}"
        )
    return "\n".join(lines)


def idle_figures(runs: Sequence[Sequence[Idleness]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the medians for the last line: figure -> attack -> rows a second."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for same in runs:
        for name, values in (
            ("simulated_idle", [one.idle for one in same]),
            ("simulated_lost", [one.lost for one in same]),
            ("simulated_microseconds_a_row", [one.microseconds for one in same]),
        ):
            of_attack = found.setdefault(name, {}).setdefault(same[0].attack, {})
            of_attack[str(same[0].rate)] = round(median(values), 4)
    return found
