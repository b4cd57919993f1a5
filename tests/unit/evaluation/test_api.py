"""Tests of ``robench.evaluate``, without a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import robench
from robench import UsageError
from robench.records.record_files import read_records
from robench.tasks.base import DataSource


def words_decide(texts: Sequence[str]) -> np.ndarray:
    """Return probabilities (positive, negative) by three words."""
    good = [any(word in text for word in ("thrilled", "loved", "funny")) for text in texts]
    return np.where(np.array(good)[:, None], [0.9, 0.1], [0.2, 0.8])


LABELS = ["Positive", "NEGATIVE"]


def run(out: Path | None = None, **settings: Any) -> robench.Results:
    values: dict[str, Any] = {
        "labels": LABELS,
        "attacks": "greedy",
        "limit": 20,
        "progress": False,
    } | settings
    return robench.evaluate(words_decide, out=out, **values)


def test_a_function_is_judged_by_the_names_of_its_labels() -> None:
    trials = run().trials
    task = robench.TASKS.get("mini-reviews")
    test = {example.id: example for example in task().load(DataSource()).test}
    assert len(trials) == 20
    for trial in trials.to_dict("records"):
        probabilities = words_decide([trial["original_text"]])[0]
        assert trial["prediction"] == ("positive" if probabilities[0] > 0.5 else "negative")
        assert trial["label"] == task.labels[test[trial["id"]].label]


def test_a_fooled_text_fools_the_function() -> None:
    trials = run().trials
    fooled = trials[trials["verdict"] == "fooled"]
    assert len(fooled) > 0
    for text, label in zip(fooled["adversarial_text"], fooled["label"], strict=True):
        predicted = "positive" if words_decide([text])[0, 0] > 0.5 else "negative"
        assert predicted != label


def test_the_row_has_the_name_of_the_function_or_the_given_one() -> None:
    assert "words_decide" in run().cells["row"][0]
    assert "my rules" in run(name="my rules").cells["row"][0]


def test_results_stay_in_the_folder_that_out_names(tmp_path: Path) -> None:
    run(tmp_path / "runs", identity="1")
    assert len(robench.results(tmp_path / "runs").trials) == 20


def test_without_out_the_folder_lives_as_long_as_the_results() -> None:
    found = run()
    folder = found.folder
    assert folder.is_dir()
    del found
    assert not folder.exists()


class Counted:
    """Count how often each text is asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.update(texts)
        return words_decide(texts)


def ask(out: Path, **settings: Any) -> Counter[str]:
    """Return how often a run in ``out`` asks about each text."""
    counted = Counted()
    values: dict[str, Any] = {
        "labels": LABELS,
        "attacks": "greedy",
        "limit": 10,
        "progress": False,
    } | settings
    robench.evaluate(counted, name="counted", out=out, **values)
    return counted.asked


def test_a_known_identity_is_not_asked_again(tmp_path: Path) -> None:
    for identity, asked_again in (("1", True), ("1", False), ("2", True), (None, True)):
        assert bool(ask(tmp_path, identity=identity)) == asked_again


def test_only_the_check_asks_twice_and_all_seeds_share_it(tmp_path: Path) -> None:
    asked = ask(tmp_path, seeds=(0, 1, 2))
    assert sorted(asked.values(), reverse=True)[:11] == [2] * 10 + [1]
    cells = robench.results(tmp_path).cells
    assert list(cells["seed"]) == [0, 1, 2]


def test_what_the_check_found_is_kept_without_a_call(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"labels": LABELS, "attacks": "greedy", "limit": 10}
    calls: list[str] = []

    def flat(texts: Sequence[str]) -> list[list[float]]:
        calls.extend(texts)
        return [[0.9, 0.1] for _ in texts]

    for _ in range(2):
        calls.clear()
        found = robench.evaluate(
            flat, identity="flat", out=tmp_path / "flat", progress=False, **settings
        )
        (findings,) = [each.victim.findings for each in found.found.records.values()]
        assert [each.partition(":")[0] for each in findings] == ["chance", "one-class"]
    assert calls == []


def test_more_examples_or_a_lost_record_bring_the_check_back(tmp_path: Path) -> None:
    ask(tmp_path, identity="1")
    assert sum(ask(tmp_path, identity="1", limit=12).values()) >= 24
    assert not ask(tmp_path, identity="1", limit=12)
    for path in (tmp_path / "records").iterdir():
        path.unlink()
    assert set(ask(tmp_path, identity="1", limit=12).values()) == {2}


def test_a_function_that_fails_its_check_is_asked_once_for_all_seeds(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    def drawn(texts: Sequence[str]) -> np.ndarray:
        asked.update(texts)
        share = np.random.default_rng(sum(asked.values())).uniform(0.1, 0.9, (len(texts), 1))
        return np.hstack([share, 1 - share])

    with pytest.raises(robench.RobenchError, match="when asked twice"):
        robench.evaluate(drawn, labels=LABELS, limit=10, seeds=(0, 1), progress=False, out=tmp_path)
    assert set(asked.values()) == {2}


def test_a_random_function_is_evaluated_with_draws(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    draw = np.random.default_rng(0)

    def drawn(texts: Sequence[str]) -> np.ndarray:
        asked.update(texts)
        share = draw.uniform(0.1, 0.9, (len(texts), 1))
        return np.hstack([share, 1 - share])

    found = robench.evaluate(
        drawn, labels=LABELS, draws=4, limit=10, attacks="random", progress=False, out=tmp_path
    )
    (record,) = read_records(found.folder / "records").values()
    assert record.victim.smoothing == {"kind": "function", "draws": 4}
    assert record.cost.forwarded % 4 == 0
    assert record.cost.forwarded > 0
    assert set(asked.values()) == {4}


def test_draws_are_about_functions(tmp_path: Path) -> None:
    with pytest.raises(robench.UsageError, match="'draws' repeats the calls of a function"):
        robench.evaluate(defenses="ranmask", draws=4, progress=False, out=tmp_path)


def test_an_attack_without_a_search_gives_no_worst_case(tmp_path: Path) -> None:
    alone: Any = run(tmp_path, identity="1", attacks="none").cells
    assert alone["accuracy_under_attack"][0] == alone["clean_accuracy"][0]
    assert alone["worst_case"].isna().all()
    run(tmp_path, identity="1", attacks="greedy")
    both: Any = robench.results(tmp_path).cells
    assert sorted(both["attack"]) == ["greedy", "none"]
    assert set(both["worst_case_attacks"]) == {"greedy"}


def test_corrected_labels_use_no_trial_of_the_wrong_ones(tmp_path: Path) -> None:
    wrong, right = ["negative", "positive"], ["positive", "negative"]
    for each in (wrong, right):
        run(tmp_path, identity="v1", labels=each)
    cells: Any = robench.results(tmp_path).cells
    fresh: Any = run(labels=right).cells
    accuracy = fresh["clean_accuracy"][0]
    assert sorted(cells["clean_accuracy"]) == pytest.approx(sorted([accuracy, 1 - accuracy]))
    # The table keeps one of them and says why it leaves the other one out.
    assert cells["left_out"].isna().sum() == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": None}, "A function needs 'labels'"),
        ({"labels": ["good", "bad"]}, "No label of the task is called 'good', 'bad'"),
        ({"labels": ["negative"]}, "1 labels against 2"),
        ({"name": ["a", "b"]}, "One function has one name, and 2 were given"),
        ({"limt": 3}, r"has no argument 'limt'. Did you mean 'limit'\?"),
        ({"victims": ("x",)}, r"has no argument 'victims'. Did you mean 'victim'\?"),
        ({"tasks": ("x",)}, r"has no argument 'tasks'. Did you mean 'task'\?"),
        ({"attack": "pwws"}, r"has no argument 'attack'. Did you mean 'attacks'\?"),
        ({"names": "x"}, r"has no argument 'names'. Did you mean 'name'\?"),
        ({"settings": {}}, "has no argument 'settings'"),
        ({"task": "all"}, "^Task '(?!all)"),
        ({"attacks": "pwvs"}, r"no attack 'pwvs'. Did you mean 'pwws'\?"),
        ({"attacks": "convex-hull"}, "gradients"),
        ({"task": "nothing.csv"}, r"nothing\.csv cannot be read: it does not exist"),
        ({"labels": "neg"}, r"^'labels' is of the type str. Give a list with the name of each"),
        ({"labels": [0, 1]}, r"^'labels' is a list with int. Give a list"),
        ({"attacks": None}, r"^'attacks' is None. Give a name, or a list of names.$"),
        ({"attacks": 3}, r"^'attacks' is of the type int. Give a name"),
        ({"attacks": ["pwws", 3]}, r"^'attacks' is a list with int, str. Give a name"),
        ({"defenses": b"rift"}, r"^'defenses' is of the type bytes. Give a name"),
        ({"task": None}, r"^'task' is None. .* Save a table as a csv file, and name that.$"),
        ({"task": pd.DataFrame({"text": ["a"]})}, r"^'task' is of the type DataFrame. .* csv file"),
    ],
)
def test_wrong_arguments_are_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(**settings)


@pytest.mark.parametrize("victim", [3, [words_decide], [None], {"a": 1}.values()])
def test_what_is_no_victim_is_refused(victim: Any) -> None:
    with pytest.raises(UsageError, match=r"'victim' is int|Nobody knows where the victim"):
        robench.evaluate(victim, progress=False)


def test_a_function_is_judged_on_several_tasks(tmp_path: Path) -> None:
    class Other(robench.TASKS.get("mini-reviews")):  # type: ignore[misc]
        """The same reviews under another name."""

    with robench.TASKS.temporarily("other-reviews", Other):
        cells = run(tmp_path, task=("mini-reviews", "other-reviews")).cells
        assert list(cells["task"]) == ["mini-reviews", "other-reviews"]
        assert cells["clean_accuracy"].nunique() == 1
        with pytest.raises(UsageError, match=r"Task 'mini-reviews': .*'good', 'bad'"):
            run(task=("mini-reviews", "imdb"), labels=["good", "bad"])


def test_all_means_the_tasks_with_training_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robench.tasks.resolving.all_tasks", lambda: ["mini-reviews"])
    assert list(run(task="all").cells["task"]) == ["mini-reviews"]


def test_a_call_returns_its_own_records_and_results_all(tmp_path: Path) -> None:
    assert list(run(tmp_path, identity="1", attacks="greedy").cells["attack"]) == ["greedy"]
    second = run(tmp_path, identity="1", attacks="random", seeds=(1,))
    assert list(second.cells["attack"]) == ["random"]
    assert set(second.trials["record"]) == set(second.cells["record"])
    again = run(tmp_path, identity="1", attacks="greedy")
    assert list(again.cells["attack"]) == ["greedy"]
    assert set(robench.results(tmp_path).cells["attack"]) == {"greedy", "random"}


def test_labels_without_a_function_are_refused() -> None:
    with pytest.raises(UsageError, match="describe a function, and 'victim' is none"):
        robench.evaluate("my-model", labels=LABELS, progress=False)


def test_nothing_to_attack_is_refused() -> None:
    with pytest.raises(UsageError, match="victim"):
        robench.evaluate(progress=False)


def test_an_answer_of_the_wrong_shape_is_told() -> None:
    with pytest.raises(robench.RobenchError, match="must return an array of shape"):
        robench.evaluate(
            lambda texts: [0.5] * len(texts), labels=LABELS, limit=5, progress=False, name="flat"
        )


def test_an_attack_of_this_process_runs_in_this_process(tmp_path: Path) -> None:
    class Nothing(robench.Attack):
        """Finds nothing."""

        def search(self, space, oracle, label, rng):  # type: ignore[no-untyped-def]
            return None

    with robench.ATTACKS.temporarily("nothing", Nothing):
        # Worker processes would not find the attack, so the run must not need any.
        settings = {"defense.epochs": 1, "defense.train_examples": 100}
        cells = robench.evaluate(
            defenses="standard",
            attacks="nothing",
            options=settings,
            limit=10,
            workers=2,
            progress=False,
            out=tmp_path,
        ).cells
    assert (cells["fooled"][0], cells["error"][0]) == (0, 0)
    assert cells["held"][0] > 0


def test_swapped_labels_are_a_warning_of_python() -> None:
    task = robench.TASKS.get("mini-reviews")().load(DataSource())
    known = {each.fields["text"]: each.label for each in [*task.dev, *task.test]}

    def knows(texts: Sequence[str]) -> np.ndarray:
        return np.array([[0.9, 0.1] if known.get(text) == 0 else [0.1, 0.9] for text in texts])

    with pytest.warns(UserWarning, match="far below guessing .* probably swapped"):
        robench.evaluate(
            knows, labels=["positive", "negative"], limit=40, attacks="greedy", progress=False
        )


def test_an_error_inside_the_function_names_it() -> None:
    def broken(texts: Sequence[str]) -> np.ndarray:
        raise ValueError("no key")

    with pytest.raises(robench.RobenchError, match="'broken' failed: ValueError: no key"):
        robench.evaluate(broken, labels=LABELS, limit=5, progress=False)


def test_errors_of_some_examples_are_a_warning_of_python() -> None:
    calls: list[int] = []

    def tired(texts: Sequence[str]) -> np.ndarray:
        calls.append(len(texts))
        if len(calls) > 3:
            raise ValueError("429 too many")
        return words_decide(texts)

    with pytest.warns(UserWarning, match="ended in an error, so the cell .*429 too many"):
        robench.evaluate(tired, labels=LABELS, limit=10, attacks="greedy", progress=False)
