"""A check on small spaces that Hypothesis makes up and that are searched whole."""

from __future__ import annotations

import zlib
from itertools import product

import numpy as np
from numpy.typing import NDArray

from robench.search.attack import Verdict
from robench.search.jobs import Job
from robench.testing.subject import Subject
from robench.testing.victims import FakeVictim, make_job

try:
    from hypothesis import Phase, given, settings
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError("robench.testing needs Hypothesis: pip install 'robench[testing]'") from error

WORDS = [f"w{number}" for number in range(6)]
EVERY = [*WORDS, *(f"{word}a" for word in WORDS)]


@st.composite
def victims_and_jobs(draw: st.DrawFn) -> tuple[FakeVictim, Job]:
    """Draw a victim and a text of up to five words with up to three substitutes each.

    The logits of most victims are sums over the words; those of some are not.
    """
    text = draw(st.lists(st.sampled_from(WORDS), max_size=5))
    substitutes = st.sampled_from([f"{word}a" for word in WORDS])
    options = {word: draw(st.lists(substitutes, max_size=3, unique=True)) for word in WORDS}
    weights = {word: [0.0, float(draw(st.integers(-2, 3)))] for word in EVERY}
    noise = draw(st.sampled_from([0, 0, 3]))

    def twist(ids: NDArray[np.int32], logits: NDArray[np.float32]) -> NDArray[np.float32]:
        extra = np.array(
            [[0, noise * (zlib.crc32(row.tobytes()) % 3)] for row in ids], dtype=np.float32
        )
        return logits + extra

    victim = FakeVictim(weights, bias=(4.5, 0), twist=twist if noise else None)
    return victim, make_job(" ".join(text), options)


def some_text_fools(victim: FakeVictim, job: Job) -> bool:
    """Return the truth: whether any text of the space is misclassified."""
    every = list(product(*map(range, job.space.sizes.tolist())))
    # An empty text has one choice of no words, for which the shape must be given.
    shape = (job.space.cardinality, len(job.space.words))
    choices = np.array(every, dtype=np.int16).reshape(shape)
    candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
    answers = victim.logits(*candidates.encode(choices))
    return bool((answers.argmax(axis=1) != job.example.label).any())


def check_against_the_truth(subject: Subject) -> None:
    """Check that no verdict contradicts the whole space.

    A victim is fooled only if some text of the space fools it. An example is proved to hold only
    if no text does.
    """

    @settings(
        max_examples=30,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
    )
    @given(victims_and_jobs())
    def check_one(drawn: tuple[FakeVictim, Job]) -> None:
        victim, job = drawn
        (trial,) = subject.trials(victim, [job], budget=2000).values()
        possible = some_text_fools(victim, job)
        allowed = (
            {Verdict.WRONG, Verdict.FOOLED, Verdict.HELD}
            if possible
            else {Verdict.HELD, Verdict.HELD_PROVED}
        )
        subject.require(
            trial.verdict in allowed,
            f"{trial.verdict} although {'some' if possible else 'no'} text of"
            f" {job.space.options} fools the victim",
        )

    check_one()
