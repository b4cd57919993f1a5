"""Tests of options that the victim cannot tell apart."""

from __future__ import annotations

import numpy as np
import pytest
from fake_victims import FakeVictim, PieceTable, make_job
from oracle_cases import choices, every_choice, make_oracle

from robench.search.option_classes import option_classes
from robench.search.oracle import SpaceExhausted


def test_indistinguishable_options_share_one_answer_and_count_once() -> None:
    # The words a2 and c1 are unknown.
    victim = FakeVictim({"a": [0, 0], "b": [0, 0], "c": [0, 0], "a1": [0, 1]}, bias=(9, 0))
    job = make_job("a b c", {"a": ["a1", "a2", "a3"], "c": ["c1"]})
    oracle, sizes = make_oracle(victim, job)
    assert oracle.classes.distinct == 3 * 2
    oracle.logits(choices([2, 0, 0], [3, 0, 0]))
    assert (oracle.asked, oracle.forwarded, sizes) == (2, 1, [1])
    with pytest.raises(SpaceExhausted):
        oracle.logits(every_choice(job)[::-1])
    assert oracle.forwarded == 6


def test_pieces_are_merged_only_if_no_word_can_move() -> None:
    victim = FakeVictim({}, table=PieceTable(), max_tokens=20)
    # "??" and "!!" are two unknown pieces each.
    same_length = make_job("ab cd", {"ab": ["xy", "??", "!!"]})
    other_length = make_job("ab cd", {"ab": ["xy", "??", "!!"], "cd": ["e"]})
    cut = make_job("ab " + "k " * 30, {"ab": ["xy", "??", "!!"]})
    for job, distinct in ((same_length, 3), (other_length, 8), (cut, 4)):
        candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
        assert option_classes(job.space, candidates, aligned=False, longest=20).distinct == distinct


def test_in_word_mode_options_merge_in_a_cut_text_as_well() -> None:
    victim = FakeVictim({"ab": [0, 0]}, max_tokens=8)
    job = make_job("ab " + "k " * 30, {"ab": ["x", "y"]}, visible=6)
    candidates = victim.encoder_fields.candidates(job.words, job.space, job.example.fields)
    assert option_classes(job.space, candidates, aligned=True, longest=8).distinct == 2


def test_more_than_256_options_stay_distinct() -> None:
    names = [f"a{number}" for number in range(300)]
    victim = FakeVictim(
        {name: [0, number] for number, name in enumerate(["a", *names])}, bias=(1000, 0)
    )
    job = make_job("a", {"a": names})
    oracle, _ = make_oracle(victim, job)
    rows = np.arange(300, dtype=np.int16)[:, None]
    assert oracle.logits(rows)[:, 1].tolist() == list(range(300))
