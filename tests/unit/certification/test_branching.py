"""What is certified is confirmed by asking every text, and what is refuted has such a text."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from certified import SmallVictim, WordRows, space_of

from robench._base.errors import UsageError
from robench.certification import branching
from robench.certification.branching import Effort, Prover, Verdict, margin_shares
from robench.certification.network import Network
from robench.certification.slots import Slots


def random_slots(seed: int, positions: int = 4) -> Slots:
    draw = np.random.default_rng(seed)
    ids = draw.integers(5, 60, 9).astype(np.int32)
    columns = tuple(sorted(draw.choice(np.arange(1, 8), positions, replace=False).tolist()))
    tokens = []
    for column in columns:
        own = int(ids[column])
        others = [int(each) for each in draw.permutation(np.arange(5, 60))[:3] if each != own]
        tokens.append((own, *others))
    return Slots(ids, np.zeros(9, np.int8), columns, tuple(tokens))


def brute_force(victim: SmallVictim, slots: Slots, label: int) -> bool:
    """Return whether every text of the slots has the label, one text after another."""
    for tokens in product(*slots.tokens):
        ids = slots.ids.copy()
        ids[list(slots.columns)] = tokens
        if int(victim.logits(ids[None], np.array([len(ids)], np.int32))[0].argmax()) != label:
            return False
    return True


def label_of(victim: SmallVictim, slots: Slots) -> int:
    return int(victim.logits(slots.ids[None], np.array([9], np.int32))[0].argmax())


@pytest.mark.parametrize("texts", [1000, 100, 30, 3])
def test_verdicts_are_confirmed_by_brute_force(texts: int) -> None:
    letters = []
    for seed in range(12):
        victim, slots = SmallVictim(seed=seed), random_slots(seed)
        label = label_of(victim, slots)
        prover = Prover(victim, Network(victim.model), Effort(texts=texts, parts=6))
        verdict = prover.prove(slots, label)
        letters.append(verdict.letter)
        if verdict.letter in "CF":
            assert brute_force(victim, slots, label) == (verdict.letter == "C")
    if texts == 1000:
        assert set(letters) == {"C", "F"}


def test_bounds_prove_a_space_that_is_too_large_to_enumerate() -> None:
    victim = SmallVictim()
    with_small_steps(victim)
    slots = random_slots(1)
    label = label_of(victim, slots)
    verdict = Prover(victim, Network(victim.model), Effort(texts=2)).prove(slots, label)
    assert verdict == Verdict("C", "bounds", hull=True)
    assert brute_force(victim, slots, label)


def with_small_steps(victim: SmallVictim) -> None:
    """Make the word vectors of the victim nearly equal."""
    words = victim.model.encoder.get_input_embeddings().weight.data
    words.mul_(1e-6).add_(words.mean(0) * 0 + 1e-3)
    victim.model.encoder.embeddings.position_embeddings.weight.data.mul_(1.0)


def test_the_scale_of_the_logits_changes_no_verdict() -> None:
    for seed in range(6):
        slots = random_slots(seed)
        found = set()
        for scale in (1e-6, 0.1, 1.0, 30.0, 100.0):
            victim = SmallVictim(seed=seed, scale=scale)
            prover = Prover(victim, Network(victim.model), Effort(texts=20, parts=4))
            found.add(prover.prove(slots, label_of(victim, slots)))
        assert len(found) == 1


def test_parts_are_split_until_the_texts_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that prove nothing but the easiest part leave everything to enumeration."""
    victim = next(
        one
        for one in (SmallVictim(seed=seed) for seed in range(50))
        if brute_force(one, random_slots(3), label_of(one, random_slots(3)))
    )
    slots = random_slots(3)
    real = branching._easiest(slots).cardinality

    def bound(part: Slots, label: int, network: Any) -> tuple[bool, int]:
        return part.cardinality == real, 0

    monkeypatch.setattr(branching, "_bound", bound)
    victim.asked = 0
    label = label_of(victim, slots)
    prover = Prover(victim, Network(victim.model), Effort(texts=slots.cardinality - 1, parts=99))
    verdict = prover.prove(slots, label)
    # One text is left over: the budget of texts does not reach for the last part.
    assert verdict.letter in "CU"
    assert victim.asked <= slots.cardinality + 40


def test_without_a_network_large_spaces_stay_unknown() -> None:
    victim, slots = SmallVictim(), random_slots(0)
    verdict = Prover(victim, None, Effort(texts=2)).prove(slots, label_of(victim, slots))
    assert verdict.letter in "FU"
    if verdict.letter == "U":
        assert verdict.how == "too many texts"


def test_a_text_that_is_too_long_gets_no_bounds() -> None:
    victim = SmallVictim()
    with_small_steps(victim)
    slots = random_slots(1)
    prover = Prover(victim, Network(victim.model), Effort(texts=2, numbers=10))
    verdict = prover.prove(slots, label_of(victim, slots))
    assert verdict == Verdict("U", "too long for bounds")


def test_a_victim_that_does_not_follow_its_layers_is_refused() -> None:
    victim, other = SmallVictim(seed=0), SmallVictim(seed=1)
    with_small_steps(victim)
    with_small_steps(other)
    slots = random_slots(1)
    prover = Prover(victim, Network(other.model), Effort(texts=2))
    with pytest.raises(UsageError, match="computes something else than its layers suggest"):
        prover.prove(slots, label_of(victim, slots))


def test_substitutes_of_several_tokens_are_enumerated() -> None:
    ids = {"really": [16], "truly": [17, 18], "good": [13], "fine": [14], "a": [10]}
    space = space_of("really truly", "good fine", "a")
    for seed in range(6):
        victim = SmallVictim(seed=seed)
        rows = WordRows(space, ids)
        every = np.array(list(product((0, 1), (0, 1), (0,))), dtype=np.int16)
        logits = victim.logits(*rows.encode(every))
        label = int(logits[0].argmax())
        verdict = Prover(victim, None, Effort()).prove_choices(space, rows, label)
        assert verdict.letter == ("C" if (logits.argmax(1) == label).all() else "F")
    verdict = Prover(victim, None, Effort(texts=2)).prove_choices(space, rows, label)
    assert verdict == Verdict("U", "too many texts, and substitutes of several tokens")


def test_margins_are_shares_and_ties_are_0() -> None:
    logits = np.array([[3.0, 1.0], [1.0, 2.0], [1.0, 1.0], [1.0, 1.0 - 1e-6]], np.float32)
    assert margin_shares(logits, 0).tolist() == pytest.approx([2 / 3, -0.5, 0.0, 0.0])
    assert margin_shares(1e-6 * logits, 0).tolist() == pytest.approx([2 / 3, -0.5, 0.0, 0.0])


def test_a_tie_is_neither_certified_nor_refuted() -> None:
    class Even:
        def logits(self, ids: Any, lengths: Any, types: Any = None) -> Any:
            return np.zeros((len(ids), 2), np.float32)

    verdict = Prover(Even(), None, Effort()).prove(random_slots(0), 0)
    assert verdict == Verdict("U", "a margin that rounding decides")
