"""The texts of real runs: rebuilt, judged again by the victim on disk, and attacked one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from evaluation_cases import FinishedRun
from plain_models import fine_tune

from robench import ATTACKS, FreeAttack, TextOracle, Verdict
from robench.cli import main
from robench.evaluation.one_text import TextAttack, attack_texts
from robench.evaluation.open_victim import open_victim
from robench.evaluation.resolve import resolve_attack
from robench.evaluation.resolved import ResolvedAttack
from robench.models.victim import Victim
from robench.records.run_folder import RunFolder
from robench.records.trial_choice import CellChoice, load_trials
from robench.records.trial_plain import plain_view
from robench.records.trial_texts import TrialText, join_trials
from robench.text.substitutions import load_substitutions


def call(*arguments: object, stdin: bytes | str | None = None) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], input=stdin)


@pytest.fixture(scope="module")
def joined(finished: FinishedRun) -> list[TrialText]:
    return list(load_trials(finished[0].out, CellChoice()).trials)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of plain transformers."""
    return fine_tune(tmp_path_factory.mktemp("plain") / "model")


def test_every_fooled_text_fools_the_victim_on_disk(joined: list[TrialText], saved: Path) -> None:
    victim = Victim.load(saved)
    fooled = [trial for trial in joined if trial.verdict == Verdict.FOOLED]
    assert len(fooled) > 5
    texts = [{**trial.fields, trial.attackable: trial.adversarial_text} for trial in fooled]
    probs = victim.probs_of_texts(texts)  # type: ignore[arg-type]
    for trial, found in zip(fooled, probs, strict=True):
        assert victim.labels[int(found.argmax())] == trial.adversarial_prediction != trial.label
        assert found.tolist() == pytest.approx(trial.adversarial_probs, abs=2e-6)


def test_the_probabilities_of_the_original_texts_are_the_victims(
    joined: list[TrialText], saved: Path
) -> None:
    probs = Victim.load(saved).probs_of_texts([trial.fields for trial in joined])
    for trial, found in zip(joined, probs, strict=True):
        assert found.tolist() == pytest.approx(trial.probs, abs=2e-6)


def test_a_run_without_its_texts_writes_them_again(
    finished: FinishedRun, joined: list[TrialText]
) -> None:
    from robench.evaluation.run import Silent, evaluate

    request, records = finished
    folder = RunFolder(request.out)
    (file,) = folder.examples.iterdir()
    content = file.read_bytes()
    file.unlink()
    assert evaluate(request, Silent()) == records
    assert file.read_bytes() == content
    assert join_trials(folder, records[0])[0].id == joined[0].id


def test_examples_prints_a_real_run(finished: FinishedRun) -> None:
    result = call("examples", finished[0].out, "--verdict", "fooled", "--limit", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("fooled: ")
    assert "[[" in result.stdout


def test_single_texts_get_the_trials_of_the_evaluation(
    finished: FinishedRun, joined: list[TrialText], saved: Path
) -> None:
    """PWWS draws no random numbers, so the results must be the same, whatever the ids are."""
    opened = open_victim(str(saved), "cpu")
    attack = resolve_attack("pwws", ATTACKS.get("pwws"), {}, opened.protocol)
    how = TextAttack(attack, load_substitutions(opened.substitutions), opened.protocol, None)
    trials = [trial for trial in joined if trial.attack == "pwws"]
    assert len(trials) == 30
    labels = [opened.victim.labels.index(trial.label) for trial in trials]
    results = attack_texts(opened.victim, [trial.fields for trial in trials], how, labels=labels)
    for old, new in zip(trials, results, strict=True):
        for name in ("verdict", "changes", "probs", "adversarial_probs", "asked", "problem"):
            assert getattr(new, name) == getattr(old, name)
        assert new.adversarial_text == old.adversarial_text


def test_a_result_does_not_depend_on_the_other_texts(joined: list[TrialText], saved: Path) -> None:
    opened = open_victim(str(saved), "cpu")
    attack = resolve_attack("genetic", ATTACKS.get("genetic"), {"population": 4}, opened.protocol)
    how = TextAttack(attack, load_substitutions(opened.substitutions), opened.protocol, None)
    texts = [trial.fields for trial in joined[:4]]
    together = attack_texts(opened.victim, [*texts, texts[0]], how)
    alone = [attack_texts(opened.victim, [text], how)[0] for text in texts]
    assert [(each.id, each.changes, each.asked) for each in together] == [
        (each.id, each.changes, each.asked) for each in [*alone, alone[0]]
    ]
    assert all(each.label == each.prediction for each in together)


class Inserting(FreeAttack):
    """Puts the opinion words that it knows before the text, one after the other."""

    def rewrite(
        self, text: str, oracle: TextOracle, label: int, rng: np.random.Generator
    ) -> str | None:
        changed = [f"{' '.join([word] * 4)} {text}" for word in ("superb", "awful")]
        wrong = oracle.probs(changed).argmax(axis=1) != label
        return changed[int(wrong.argmax())] if wrong.any() else None


def test_the_text_of_a_free_attack_fools_the_victim_and_is_marked(plain: Path) -> None:
    opened = open_victim(str(plain), "cpu")
    attack = ResolvedAttack("inserting", "inserting", Inserting(), constrained=False)
    how = TextAttack(attack, load_substitutions("mini"), opened.protocol, None)
    texts = ["It was a bland evening.", "I liked the film.", "It was a dull film."]
    results = attack_texts(opened.victim, [{"text": text} for text in texts], how)
    fooled = [each for each in results if each.verdict == Verdict.FOOLED]
    assert fooled
    for each in fooled:
        assert each.adversarial_text is not None
        (found,) = opened.victim.predict([{"text": each.adversarial_text}])
        assert opened.victim.labels[found] == each.adversarial_prediction != each.label
        assert each.words_changed == 4
        assert plain_view([each]).splitlines()[1].startswith("  [[->")


@pytest.fixture
def text(joined: list[TrialText]) -> str:
    return next(each.original_text for each in joined if each.verdict == Verdict.FOOLED)


def test_attack_shows_one_text(saved: Path, text: str) -> None:
    result = call("attack", text, "--victim", saved)
    assert result.exit_code == 0
    assert result.stdout.startswith("fooled: ")
    assert "[[" in result.stdout
    assert "the victim's own prediction is taken as the true label" in result.stderr


def test_attack_reads_lines(saved: Path, text: str) -> None:
    lines = f"\ufeff{text}\r\n\n{text}\n".encode()
    result = call("attack", "--victim", saved, "--jsonl", "--quiet", stdin=lines)
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["line"] for row in rows] == [1, 3]
    assert rows[0]["original_text"] == text
    assert {name: rows[0][name] for name in rows[0] if name != "line"} == {
        name: rows[1][name] for name in rows[1] if name != "line"
    }


def test_attack_prints_one_document_with_json(saved: Path, text: str) -> None:
    result = call("attack", text, "--victim", saved, "--json", "--quiet")
    (row,) = json.loads(result.stdout)
    assert (row["verdict"], row["original_text"]) == ("fooled", text)


def test_attack_leaves_out_unknown_words_and_says_so(saved: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.json"
    words.write_text('{"bland": ["zxqvw", "superb"]}')
    values: list[Any] = ["It was a bland evening.", "--victim", saved, "--substitutions", words]
    values += ["--lm", "none", "--attack", "exhaustive"]
    free = call("attack", *values)
    bound = call("attack", *values, "--unknown", "forbidden")
    said = "Substitutes that the victim reads as its unknown token are left out."
    assert said not in free.stderr
    assert said in bound.stderr
    asked = [
        json.loads(call("attack", *values, *more, "--json", "--quiet").stdout)[0]["asked"]
        for more in ([], ["--unknown", "forbidden"])
    ]
    assert asked == [3, 2]


def test_a_wrong_label_is_not_attacked(saved: Path, text: str, joined: list[TrialText]) -> None:
    fooled = next(each for each in joined if each.original_text == text)
    other = next(name for name in fooled.labels if name != fooled.label)
    result = call("attack", text, "--victim", saved, "--label", other)
    assert (result.exit_code, result.stdout.split(":")[0]) == (0, "wrong")


FAULTS: dict[str, tuple[list[object], bytes | None, str]] = {
    "empty": (["", "--victim", "SAVED"], None, "The text is empty. Give at least one word."),
    "blank": (["  ", "--victim", "SAVED"], None, "The text is empty."),
    "label": (["a", "--victim", "SAVED", "--label", "x"], None, "the victim's labels are"),
    "attack": (["a", "--victim", "SAVED", "--attack", "pwsw"], None, "pwws"),
    "folder": (["a", "--victim", "./nowhere"], None, "there is no such folder"),
    "pair": (["a", "--pair", "b", "--victim", "SAVED"], None, "no pair. Leave --pair out."),
    "binary": (["--victim", "SAVED"], b"fine\n\xff\xfe", "Line 2 of standard input is not UTF-8"),
    "nul": (["-", "--victim", "SAVED"], b"fi\0ne", "Line 1 of standard input holds a NUL"),
    "nothing": (["-", "--victim", "SAVED"], b"\n \n", "Standard input holds no text."),
    "pair of lines": (["--pair", "b", "--victim", "SAVED"], b"a", "a tab separates"),
    "option": (["a", "--victim", "SAVED", "--option", "attack.x=1"], None, "x"),
    "protocol": (["a", "--victim", "SAVED", "--protocol", "subword"], None, "Leave --protocol"),
    "substitutions": (["a", "--victim", "SAVED", "--substitutions", "no"], None, "no"),
    "unknown": (["a", "--victim", "SAVED", "--unknown", "no"], None, "'allowed', 'forbidden'"),
    "temperature": (
        ["a", "--victim", "SAVED", "--protocol", "rift2021(temperature=dev)"],
        None,
        "single texts have none",
    ),
    "both": (["a", "--victim", "SAVED", "--json", "--jsonl"], None, "Choose one."),
    "no victim": (["a"], None, "--victim"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_input_is_one_sentence(saved: Path, fault: str) -> None:
    arguments, stdin, sentence = FAULTS[fault]
    given = [saved if each == "SAVED" else each for each in arguments]
    result = call("attack", "--quiet", *given, stdin=stdin)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert sentence in result.output
    assert "Error" in result.output or "error" in result.output


def test_a_given_model_keeps_its_own_labels(plain: Path) -> None:
    result = call("attack", "It was a bland evening.", "--victim", plain, "--substitutions", "mini")
    assert result.exit_code == 0, result.output
    assert "has the labels negative, positive and reads one text" in result.stderr
    assert result.stdout.split(":")[0] in {"fooled", "held", "held-proved"}


def test_a_given_model_reads_pairs(plain: Path) -> None:
    first = "A crude film"
    values: list[Any] = ["--victim", plain, "--substitutions", "mini", "--lm", "none"]
    result = call("attack", first, "--pair", "It was bland.", *values)
    assert result.exit_code == 0, result.output
    assert f"text: {first}\n" in result.stdout
    lines = f"{first}\tIt was bland.\n"
    assert call("attack", *values, stdin=lines).stdout == result.stdout
