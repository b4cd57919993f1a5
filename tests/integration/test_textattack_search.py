"""TextAttack's search methods over the surface.

They pass the checks of attacks, and they find what they find in plain TextAttack.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim, make_job
from textattack_cases import (
    embedded_examples,
    embedded_jobs,
    embedded_surface,
    embedded_victim,
    textattack_or_skip,
)

from robench import ATTACKS, SearchSpace, Verdict
from robench._base.errors import UsageError
from robench.plugins.options import build_options
from robench.plugins.registry import UnknownPlugin
from robench.search.engine import run
from robench.testing import ATTACK_CHECKS, Subject
from robench.text.words import replace_words

PREFIX = "textattack-search:"
METHODS: dict[str, dict[str, Any]] = {
    "alzantot-genetic-algorithm": {"pop_size": 6, "max_iters": 3},
    "beam-search": {"beam_width": 2},
    "greedy-search": {},
    "greedy-word-swap-wir": {},
    "improved-genetic-algorithm": {"pop_size": 6, "max_iters": 3},
    "particle-swarm-optimization": {"pop_size": 6, "max_iters": 3},
}
OUTCOMES = {
    "SkippedAttackResult": {Verdict.WRONG},
    "SuccessfulAttackResult": {Verdict.FOOLED},
    "FailedAttackResult": {Verdict.HELD, Verdict.HELD_PROVED},
}
COUNT = 24


@pytest.fixture(autouse=True)
def _installed() -> None:
    textattack_or_skip()


def made(name: str, **options: Any) -> Any:
    cls: Any = ATTACKS.get(PREFIX + name)
    return cls(build_options(cls.Options, options, name))


@pytest.mark.parametrize(
    "check",
    [
        "description",
        "planted_triggers",
        "unfoolable_victim",
        "surface",
        "budget",
        "against_the_truth",
        "packing",
    ],
)
@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_search_method_passes_the_checks_of_attacks(name: str, check: str) -> None:
    ATTACK_CHECKS[check](Subject.of(PREFIX + name, options=METHODS[name]))


def test_the_checks_detect_the_wrong_sign_of_the_genetic_search() -> None:
    name = "alzantot-genetic-algorithm"
    with pytest.raises(AssertionError, match="fittest"):
        ATTACK_CHECKS["selection"](Subject.of(PREFIX + name, options=METHODS[name], evolves=True))


def plain(method: Any) -> list[tuple[Any, Any]]:
    """Attack the same examples in TextAttack itself, with the surface as its transformation."""
    from textattack import Attack
    from textattack.constraints.pre_transformation import RepeatModification
    from textattack.goal_functions import UntargetedClassification

    from robench.textattack import SurfaceConstraint, SurfaceSwap, TextSurface, VictimWrapper

    surface = TextSurface.of(embedded_victim(), embedded_surface(COUNT), embedded_examples(COUNT))
    goal = UntargetedClassification(VictimWrapper(embedded_victim(), ["text"]))
    attack = Attack(
        goal, [RepeatModification(), SurfaceConstraint(surface)], SurfaceSwap(surface), method
    )
    return [
        (example, attack.attack(example.fields["text"], example.label))
        for example in embedded_examples(COUNT)
    ]


@pytest.mark.parametrize(
    ("name", "options"), [("greedy-search", {}), ("beam-search", {"beam_width": 3})]
)
def test_deterministic_searches_find_what_they_find_in_textattack(
    name: str, options: dict[str, Any]
) -> None:
    attack = made(name, **options)
    trials = {
        trial.id: trial
        for trial in run(
            embedded_victim(),
            attack,
            PREFIX + name,
            embedded_jobs(COUNT, constrained=True),
        )
    }
    fooled = 0
    for example, result in plain(attack.method(**options)):
        # Contractions are two words in robench, and have no substitutes in TextAttack.
        if "'" in example.fields["text"]:
            continue
        trial, kind = trials[example.id], type(result).__name__
        wanted = {
            "SkippedAttackResult": {Verdict.WRONG},
            "SuccessfulAttackResult": {Verdict.FOOLED},
            "FailedAttackResult": {Verdict.HELD, Verdict.HELD_PROVED},
        }[kind]
        assert trial.verdict in wanted, trial
        if trial.verdict == Verdict.FOOLED:
            fooled += 1
            changed = {change.position: change.substitute for change in trial.changes}
            assert result.perturbed_result.attacked_text.text == replace_words(
                example.fields["text"], changed
            )
    assert fooled > 3


def test_a_weakness_that_needs_two_words_is_found() -> None:
    victim = FakeVictim({"bad": [0.0, 3.0], "film": [0.0, 0.0]}, bias=(5, 0))
    job = make_job("good film good", {"good": ["bad", "fine"]})
    (trial,) = run(victim, made("greedy-search"), "greedy-search", [job])
    assert (trial.verdict, [change.substitute for change in trial.changes]) == (
        Verdict.FOOLED,
        ["bad", "bad"],
    )


@pytest.mark.parametrize("ranked", ["unk", "delete", "weighted-saliency", "random"])
def test_queries_with_a_word_left_out_can_rank_the_words(ranked: str) -> None:
    victim = FakeVictim({"bad": [0.0, 3.0], "film": [0.0, 0.0]}, bias=(5, 0))
    job = make_job("good film good", {"good": ["bad", "fine"]})
    (trial,) = run(victim, made("greedy-word-swap-wir", wir_method=ranked), "wir", [job])
    assert (trial.verdict, trial.problem) == (Verdict.FOOLED, None)


def test_words_beyond_the_window_are_not_queried() -> None:
    job = make_job("good film good", {"good": ["bad"]}, visible=2)
    (trial,) = run(
        FakeVictim({"bad": [0.0, 3.0]}, bias=(5, 0)), made("greedy-word-swap-wir"), "wir", [job]
    )
    assert (trial.verdict, trial.problem) == (Verdict.HELD_PROVED, None)


def test_the_options_are_textattacks_arguments() -> None:
    assert made("greedy-word-swap-wir").options.model_dump() == {
        "wir_method": "unk",
        "unk_token": "[UNK]",
    }
    assert made("beam-search", beam_width="3").options.beam_width == 3
    with pytest.raises(UsageError, match=r"^Option 'beam_width' of x: "):
        build_options(made("beam-search").Options, {"beam_width": "wide"}, "x")


def test_an_unknown_search_method_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        UnknownPlugin,
        match=r"^There is no attack 'textattack-search:gredy-search'\."
        r" Did you mean 'textattack-search:greedy-search'\? After .*: alzantot-",
    ):
        ATTACKS.get("textattack-search:gredy-search")


def test_a_method_that_needs_gradients_is_refused_before_training() -> None:
    with pytest.raises(
        UsageError,
        match=r"^TextAttack's GreedyWordSwapWIR needs the victim's gradients with these options",
    ):
        made("greedy-word-swap-wir", wir_method="gradient").check()


def test_a_choice_written_as_symbols_can_be_read_back() -> None:
    from robench.methods.textattack.symbols import Symbols

    symbols = Symbols(SearchSpace(("a", "b", "c"), (("a", "x"), ("b",), ("c", "y", "z")), 3))
    choice = np.array([1, 0, 2], dtype=np.int16)
    assert symbols.write(choice) == "0x1 1x0 2x2"
    assert symbols.options(2, "2x0") == ["2x1", "2x2"]
    assert [
        part.tolist() if isinstance(part, np.ndarray) else part
        for part in symbols.read("0x1 1x0 2x2")
    ] == [[1, 0, 2], []]
    assert symbols.read("0x1 [UNK] 2x2")[1] == [1]
    assert symbols.read("0x1 2x2")[1] == [1]
    with pytest.raises(ValueError, match=r"^the search wrote 'film' as word 1"):
        symbols.read("0x1 film 2x2")
    with pytest.raises(ValueError, match=r"^the search wrote '1x0' as word 0"):
        symbols.read("1x0 0x1 2x2")


def test_several_workers_find_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "NLTK_DATA"):
        monkeypatch.setenv(name, str(textattack_or_skip()))
    ATTACK_CHECKS["workers"](Subject.of(PREFIX + "greedy-search"))
