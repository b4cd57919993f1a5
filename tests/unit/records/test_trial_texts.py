"""Tests of the trials joined with their texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trial_runs import EXAMPLES, TEST_SET, TEXTS, TRIALS, write_run, write_trials

from robench._base.errors import RobenchError
from robench.records.run_folder import RunFolder
from robench.records.test_set import write_test_set
from robench.records.trial_texts import Origin, changed_text, impossible_trials, join, join_trials
from robench.search.attack import Change, Trial, Verdict
from robench.search.jobs import Job
from robench.search.judge import fields_with_choice
from robench.tasks.balanced import balanced_prefix
from robench.tasks.example import Example
from robench.text.space import SearchSpace
from robench.text.words import split_words


def test_every_trial_gets_its_texts_and_names(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    joined = join_trials(RunFolder(tmp_path), record)
    assert [trial.id for trial in joined] == list(TEXTS)
    first = joined[0]
    assert (first.task, first.row, first.attack, first.seed) == ("toy", "standard", "genetic", 0)
    assert (first.label, first.prediction, first.adversarial_prediction) == (
        "positive",
        "positive",
        "negative",
    )
    assert first.original_text == 'He said:  "a good film", didn\'t he?'
    assert first.adversarial_text == 'He said:  "a fine film", didn\'t he?'
    assert (first.words_changed, first.asked, first.forwarded, first.seconds) == (1, 12, 10, 0.5)
    assert (first.confidence, first.adversarial_confidence) == (0.98, 0.61)


def test_only_a_fooled_trial_has_an_adversarial_text(tmp_path: Path) -> None:
    joined = join_trials(RunFolder(tmp_path), write_run(tmp_path))
    fooled = [trial.id for trial in joined if trial.adversarial_text is not None]
    assert fooled == ["toy/1", "toy/2"]
    held = joined[4]
    assert (held.rejected_text, held.words_changed) == ("A fair, good thing", 1)


def test_trials_without_probabilities_are_readable(tmp_path: Path) -> None:
    joined = join_trials(RunFolder(tmp_path), write_run(tmp_path))
    assert (joined[1].confidence, joined[1].adversarial_confidence) == (None, None)
    line = '{"id":"a","verdict":"wrong","label":0,"prediction":1}'
    assert Trial.model_validate_json(line).probs is None


@pytest.mark.parametrize("text", [text for text, _ in TEXTS.values()])
def test_the_text_is_the_one_that_the_judge_asks_about(text: str) -> None:
    """Every word is exchanged in turn, and all of them together."""
    words = tuple(split_words(text))
    # The second option is the word itself, which is not a change.
    space = SearchSpace(words, tuple((word, "x", word) for word in words), len(words))
    job = Job(Example("toy/1", {"text": text}, 0), {"text": words}, space)
    choices = [[int(at == position) for at in range(len(words))] for position in range(len(words))]
    choices += [[1] * len(words), [2] * len(words)]
    for row in choices:
        changes = tuple(
            Change(position=position, original=word, substitute="x")
            for position, word in enumerate(words)
            if row[position] == 1
        )
        trial = Trial(id="a", verdict="fooled", label=0, prediction=0, changes=changes)
        asked = fields_with_choice(job, "text", np.array(row, dtype=np.int16))["text"]
        assert (changed_text(trial, text) or text) == asked


def test_a_word_that_is_chosen_for_itself_changes_no_character() -> None:
    words = ("can", "not")
    space = SearchSpace(words, (("can",), ("not", "not")), 2)
    job = Job(Example("toy/1", {"text": "cannot"}, 0), {"text": words}, space)
    assert fields_with_choice(job, "text", np.array([0, 1], dtype=np.int16)) == {"text": "cannot"}


def test_the_words_of_a_free_attack_are_counted_by_their_differences() -> None:
    text = "Really, a fine thing"
    trial = Trial(
        id="toy/5",
        verdict=Verdict.FOOLED,
        label=1,
        prediction=1,
        adversarial_prediction=0,
        text=text,
    )
    joined = join(trial, TEST_SET, Origin("toy", "standard", "free", 0), "trials.jsonl")
    # "A good, good thing": "Really", a comma, "fine" for the rest.
    assert joined.adversarial_text == text
    assert joined.changes == ()
    assert joined.words_changed == 4


def test_a_limited_record_has_the_trials_of_its_own_examples(tmp_path: Path) -> None:
    few = balanced_prefix(EXAMPLES, 3)
    trials = [trial for trial in TRIALS if trial.id in {example.id for example in few}]
    limited = write_run(tmp_path, trials, limit=3)
    whole = write_run(tmp_path)
    folder = RunFolder(tmp_path)
    assert [trial.id for trial in join_trials(folder, limited)] == [example.id for example in few]
    assert len(join_trials(folder, whole)) == 6


def test_the_later_line_of_an_example_counts(tmp_path: Path) -> None:
    write_run(tmp_path)
    again = [*TRIALS[:5], TRIALS[5].model_copy(update={"problem": "gone again"})]
    record = write_run(tmp_path, again)
    assert join_trials(RunFolder(tmp_path), record)[5].problem == "gone again"


def test_missing_trials_are_told(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + b"half a line")
    with pytest.raises(RobenchError, match=r"2 of 6 trials are missing, the first for toy/5\. Run"):
        join_trials(RunFolder(tmp_path), record)
    path.unlink()
    with pytest.raises(RobenchError, match=r"there is no .* Run the same 'robench evaluate' again"):
        join_trials(RunFolder(tmp_path), record)


@pytest.mark.parametrize("update", [{"verdict": Verdict.HELD}, {"asked": 13}, {"seconds": 0.4}])
def test_trials_of_another_run_are_told(tmp_path: Path, update: dict[str, object]) -> None:
    record = write_run(tmp_path)
    write_trials(tmp_path, record, [TRIALS[0].model_copy(update=update), *TRIALS[1:]])
    with pytest.raises(RobenchError, match="do not fit the record"):
        join_trials(RunFolder(tmp_path), record)


@pytest.mark.parametrize(
    "update",
    [
        {"changes": (Change(position=99, original="good", substitute="fine"),)},
        {"changes": (Change(position=-1, original="?", substitute="fine"),)},
        {"changes": (Change(position=0, original="good", substitute="fine"),)},
        {"adversarial_prediction": 7},
    ],
)
def test_a_trial_that_does_not_fit_its_text_is_told(
    tmp_path: Path, update: dict[str, object]
) -> None:
    record = write_run(tmp_path, [TRIALS[0].model_copy(update=update), *TRIALS[1:]])
    with pytest.raises(RobenchError, match=r"toy/1 in .* does not fit its text"):
        join_trials(RunFolder(tmp_path), record)


def test_missing_texts_are_told(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    folder = RunFolder(tmp_path)
    folder.examples_file("toy", TEST_SET.digest).unlink()
    with pytest.raises(RobenchError, match="Run that evaluation again, which writes the texts"):
        join_trials(folder, record)


def test_a_text_set_with_other_texts_is_refused(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    folder = RunFolder(tmp_path)
    path = folder.examples_file("toy", TEST_SET.digest)
    other = replace(TEST_SET, examples=EXAMPLES[1:])
    path.unlink()
    write_test_set(path, other)
    with pytest.raises(RobenchError, match="is damaged"):
        join_trials(folder, record)


def test_a_trial_that_cannot_be_true_is_told(tmp_path: Path) -> None:
    update = {"asked": 3, "asked_at_success": 11}
    record = write_run(tmp_path, [TRIALS[0].model_copy(update=update), *TRIALS[1:]])
    with pytest.raises(RobenchError, match=r"of toy/1 cannot be true: 10 rows were forwarded"):
        join_trials(RunFolder(tmp_path), record)


def test_the_trials_of_another_cell_are_told(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    write_trials(tmp_path, record.model_copy(update={"cell": record.cell[:8] + "0" * 56}), TRIALS)
    with pytest.raises(RobenchError, match="holds the trials of another cell"):
        join_trials(RunFolder(tmp_path), record)


def test_the_trials_of_an_older_record_may_be_without_seals(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    path = RunFolder(tmp_path).trials_file(record.cell_name)
    path.write_text("".join(f"{trial.model_dump_json()}\n" for trial in TRIALS))
    older = record.model_copy(update={"trials": None})
    assert len(join_trials(RunFolder(tmp_path), older)) == 6
    with pytest.raises(RobenchError, match=r"6 of 6 trials cannot be .* it has no seal\)"):
        join_trials(RunFolder(tmp_path), record)


def test_every_impossible_trial_of_a_record_is_named(tmp_path: Path) -> None:
    record = write_run(tmp_path)
    assert list(impossible_trials(TRIALS, TEST_SET, record)) == []
    bad = [TRIALS[0].model_copy(update={"label": 0}), TRIALS[1], *TRIALS[3:]]
    bad[3] = bad[3].model_copy(update={"forwarded": -1})
    assert list(impossible_trials(bad, TEST_SET, record)) == [
        "the trial of toy/1 cannot be true: its label is 0, and that of the example is 1",
        "the trial of toy/5 cannot be true: 'forwarded' is -1",
    ]
    few = record.model_copy(update={"search": record.search.model_copy(update={"budget": 20})})
    assert list(impossible_trials(TRIALS, TEST_SET, few)) == [
        "the trial of toy/2 cannot be true: 40 queries are more than the budget of 20"
    ]
