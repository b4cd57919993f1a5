"""What every built-in defense says of the loop that it shares with the others."""

from __future__ import annotations

import inspect

import pytest

from robench import DEFENSES
from robench.methods import RANDOM_BATCHES_DEVIATION, SUBSTITUTES_DEVIATION
from robench.training.defense import Defense

BUILT_IN = sorted(entry.name for entry in DEFENSES.entries() if entry.origin == "built-in")


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize(
    ("subject", "word"),
    [
        ("the optimizer", "AdamW"),
        ("the selection of the epoch", "among those whose clean accuracy is as good as the best"),
        ("the size of dev", "at most 1,000 of its examples"),
        ("the feature", "pooler output"),
        ("the precision", "bf16 autocast"),
    ],
)
def test_every_defense_says_where_the_loop_departs(name: str, subject: str, word: str) -> None:
    assert any(word in sentence for sentence in DEFENSES.get(name).deviations), subject


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_deviation_is_said_twice(name: str) -> None:
    deviations = DEFENSES.get(name).deviations
    assert len(set(deviations)) == len(deviations)


def test_rows_of_the_rift_paper_without_balanced_batches_say_so() -> None:
    """They are the rows of the paper that leave the batches to the loop."""
    for name in BUILT_IN:
        cls = DEFENSES.get(name)
        in_paper = any("RIFT's release raises it epoch by epoch" in each for each in cls.deviations)
        wanted = in_paper and cls.batches is Defense.batches
        assert (RANDOM_BATCHES_DEVIATION in cls.deviations) == wanted, name


def test_defenses_that_mix_substitutes_say_which_are_left_out() -> None:
    for name in ("ascc", "rift"):
        assert SUBSTITUTES_DEVIATION in DEFENSES.get(name).deviations


def test_the_summary_of_the_second_order_says_what_its_default_does() -> None:
    """The release's rule updates the noisy tensors and freezes the steady ones."""
    cls = DEFENSES.get("rose-second")
    assert cls.Options().model_dump()["rule"] == "released"
    module = inspect.getmodule(cls)
    assert module is not None
    assert "updates those whose gradient is largest relative to the momentum" in str(module.__doc__)
    assert str(cls.__doc__).startswith("Freeze the tensors whose gradient is smallest relative to")
