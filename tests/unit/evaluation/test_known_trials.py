"""The trials of earlier runs: those that count, and those whose examples are attacked again."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_runs import EXAMPLES, TRIALS

from robench.evaluation.known_trials import KnownTrials, sort_known
from robench.records.trial_check import TrialRules
from robench.search.attack import Change, Trial
from robench.search.trials import TrialFile
from robench.tasks.example import Example
from robench.text.space import SearchSpace
from robench.text.words import split_words

RULES = TrialRules(("negative", "positive"), "text")
ALLOWED = {"good": ("fine", "fair"), "not": ("hardly",), "dull": ("slow",)}


def space_of(example: Example) -> SearchSpace:
    words = tuple(split_words(example.fields["text"]))
    options = tuple((word, *ALLOWED.get(word, ())) for word in words)
    return SearchSpace(words, options, len(words))


def sort(*trials: Trial, limit: int = 6) -> KnownTrials:
    return sort_known(trials, EXAMPLES[:limit], EXAMPLES, RULES, space_of)


def test_sound_trials_are_done_and_errors_are_not() -> None:
    known = sort(*TRIALS)
    assert known.done == {trial.id: trial for trial in TRIALS[:3] + TRIALS[4:5]} | {
        "toy/4": TRIALS[3]
    }
    # 'Nothing here works.' allows nothing, so it is proved without a question.
    assert known.impossible == {}
    assert known.foreign == ()


def test_the_trials_of_a_longer_run_are_not_foreign() -> None:
    known = sort(*TRIALS, limit=2)
    assert list(known.done) == ["toy/1", "toy/2"]
    assert known.foreign == ()


@pytest.mark.parametrize(
    ("update", "reason"),
    [
        ({"label": 0}, "its label is 0, and that of the example is 1"),
        ({"asked": -5}, "'asked' is -5"),
        (
            {"changes": (Change(position=5, original="good", substitute="bad"),)},
            "the space does not allow 'bad' for 'good'",
        ),
    ],
)
def test_an_impossible_trial_is_not_done(
    tmp_path: Path, update: dict[str, object], reason: str
) -> None:
    known = sort(TRIALS[0].model_copy(update=update), TRIALS[1])
    assert list(known.done) == ["toy/2"]
    assert known.impossible == {"toy/1": reason}
    file = TrialFile(tmp_path / "a.jsonl")
    assert known.sentences(file, attacking=True) == [
        f"'{tmp_path}/a.jsonl' holds trials that cannot be true (1; toy/1: {reason}). Their "
        "examples are attacked again."
    ]


def test_an_attack_outside_the_surface_has_no_space() -> None:
    def no_space(example: Example) -> SearchSpace:
        raise AssertionError(example.id)

    trial = TRIALS[0].model_copy(update={"changes": (), "text": "He said nothing."})
    rules = TrialRules(RULES.labels, "text", outside=True)
    assert list(sort_known([trial], EXAMPLES, EXAMPLES, rules, no_space).done) == ["toy/1"]


def test_trials_of_other_data_are_told_and_not_used(tmp_path: Path) -> None:
    known = sort(TRIALS[0].model_copy(update={"id": "imdb/1"}), TRIALS[1])
    assert list(known.done) == ["toy/2"]
    (sentence,) = known.sentences(TrialFile(tmp_path / "a.jsonl"), attacking=False)
    assert "examples that are not in the test set (1; imdb/1). They are not used" in sentence


def test_damage_is_told_only_where_it_costs_trials(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("half a line\n")
    file = TrialFile(path)
    known = sort(*file.read())
    assert known.sentences(file, attacking=False) == []
    assert known.sentences(file, attacking=True) == [
        f"'{path}' has damaged lines (1; line 1: it is not a trial). Examples whose trials are "
        "lost are attacked again."
    ]
