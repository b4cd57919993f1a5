"""What a record or certificate says of its victim, beside what the victim's files say."""

from __future__ import annotations

import pytest
from records import make_record

from robench.models.training_findings import training_findings
from robench.verification import parts

REGISTERED = ("standard", "rift", "rose", "rose-first")


@pytest.mark.parametrize(
    ("name", "defense", "fails"),
    [
        (None, "standard", False),
        ("standard", "standard", False),
        ("mine", "standard", False),
        ("my rift", "standard", False),
        ("rift", "standard", True),
        ("RIFT", "standard", True),
        ("rift (standard)", "standard", True),
        ("rift-v2", "standard", True),
        ("\uff52\uff49\uff46\uff54", "standard", True),
        ("rifts", "standard", False),
        ("rift-mini-reviews-tiny-s0-12345678", "rift", False),
        ("rose-first again", "rose", True),
        ("rose first again", "rose-first", False),
        ("rose+rift on sst2", "rose+rift", False),
        ("rose+rift on sst2", "rose", False),
    ],
)
def test_a_name_that_begins_like_another_defense(
    name: str | None, defense: str, fails: bool
) -> None:
    part = make_record("H").victim.model_copy(update={"name": name})
    found = parts.name_problems(part, defense, REGISTERED)
    assert bool(found) == fails
    if fails:
        assert found == [f"its victim is called '{name}', but the defense '{defense}' trained it"]


def test_the_seed_of_a_training() -> None:
    part, card = make_record("H").victim, {"ingredients": {"seed": 3}}
    assert parts.seed_problems(part, 3, card) == []
    assert parts.seed_problems(part, 4, card) == [
        "its seed is 4, and its victim was trained with seed 3"
    ]
    named = part.model_copy(update={"name": "mine"})
    assert parts.seed_problems(named, 4, card) == []


RIGHT = "chance: 'x' is right on 50.0% of 200 dev examples."


@pytest.mark.parametrize(
    ("claimed", "names", "sentences"),
    [
        ([RIGHT], 0, 0),
        ([], 1, 0),
        ([RIGHT, "saturated: all of it"], 1, 0),
        (["chance: 'x' is right on 90.0% of 200 dev examples."], 0, 1),
    ],
)
def test_findings_and_their_sentences(claimed: list[str], names: int, sentences: int) -> None:
    assert len(parts.finding_problems(claimed, [RIGHT])) == names
    found = parts.reworded_findings(claimed, [RIGHT])
    assert len(found) == sentences
    assert all("90.0%" in each and "50.0%" in each for each in found)


EARLIER = (
    "first-epoch: 'rift' is the first of its 3 epochs, so the others did not improve it. Lower the "
    "learning rate, or look at the rule that chose it (select=robust)."
)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("", ""), True),
        (("3 epochs", "4 epochs"), False),
        (("select=robust", "select=clean"), False),
        (("'rift'", "'ascc'"), False),
        (("Lower", "Raise"), False),
    ],
)
def test_the_earlier_sentence_about_a_first_epoch_says_the_same(
    change: tuple[str, str], same: bool
) -> None:
    """Records of an earlier robench stay verified, if their sentence holds the same facts."""
    selection = {
        "kept": 1,
        "rule": "robust",
        "epochs": [{"clean": 0.8, "attacked": None}, *[{"clean": 0.7, "attacked": None}] * 2],
    }
    card = {"name": "rift", "selection": selection, "dev_examples": 1000}
    (flag,) = training_findings(card)
    found = parts.reworded_findings([EARLIER.replace(*change)], [f"{flag.name}: {flag.message}"])
    assert bool(found) != same
