"""Commands over a run, plugins and files whose every text tries to break what they print."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hostile import HOSTILE, TEXTS, controls, tags
from rich.text import Text
from trial_runs import EXAMPLES, TEST_SET, TRIALS, write_run

from robench import ATTACKS, Attack, Options
from robench._base.errors import UsageError
from robench.cli import main
from robench.commands.completion import _beginning
from robench.commands.config_writing import as_toml
from robench.commands.listing import print_rows
from robench.commands.show import print_facts
from robench.commands.trial_view import coloured_lines
from robench.inspection.catalogue import CatalogueRow
from robench.records.trial_page import to_html
from robench.records.trial_plain import INSIDE, fields_of, plain_view
from robench.records.trial_texts import TrialText
from robench.search.attack import Change, Verdict
from robench.tasks.example import Example
from robench.tasks.frozen import digest

TEXT = HOSTILE.replace("\ud800", "")
"""A file of JSON lines has no half of a character pair."""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write a run whose texts, labels and problems are hostile."""
    examples = [
        Example(each.id, {"text": f"{each.fields['text']}\n{TEXT}\nheld: x"}, each.label)
        for each in EXAMPLES
    ]
    tests = replace(
        TEST_SET,
        digest=digest(examples),
        labels=(f"negative {TEXT}", f"positive {TEXT}"),
        examples=examples,
    )
    trials = [
        each.model_copy(update={"problem": f"{TEXT}\nheld: y" if each.problem else None})
        for each in TRIALS
    ]
    folder = tmp_path / "runs"
    write_run(folder, trials, tests, label=f"row {TEXT}"[:180], attack_label=f"a {TEXT}"[:180])
    return folder


def test_every_trial_is_one_block_of_text(run: Path) -> None:
    result = call("examples", run, "--limit", 9)
    assert result.exit_code == 0
    assert not controls(result.stdout)
    assert not controls(result.stderr)
    heads = [line for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    verdicts = ["fooled", "fooled", "held", "held-proved", "wrong", "error"]
    assert [head.partition(":")[0] for head in heads] == verdicts
    inner = [line for line in result.stdout.splitlines() if line.startswith(INSIDE)]
    assert len(inner) > 6


def test_csv_and_json_lines_hold_the_texts_themselves(run: Path) -> None:
    lines = call("examples", run, "--format", "jsonl")
    rows = [json.loads(line) for line in lines.stdout.splitlines()]
    assert len(rows) == 6
    assert not controls(lines.stdout)
    table = call("examples", run, "--format", "csv", "--output", run / "x.csv")
    with (run / "x.csv").open(encoding="utf-8", newline="") as stream:
        cells = list(csv.DictReader(stream))
    expected = sorted(each["original_text"] for each in rows)
    assert sorted(each["original_text"] for each in cells) == expected
    assert all(each["original_text"].endswith("\nheld: x") for each in cells)
    assert "which a spreadsheet takes for a formula. Import all columns as text." in table.stderr
    call("examples", run, "--output", run / "x.parquet")
    texts = pq.read_table(run / "x.parquet").column("original_text").to_pylist()
    assert sorted(texts) == expected


def test_a_csv_without_formulas_warns_of_nothing(tmp_path: Path) -> None:
    write_run(tmp_path)
    result = call("examples", tmp_path, "--format", "csv", "--verdict", "fooled")
    assert "spreadsheet" not in result.stderr
    formula = call("examples", tmp_path, "--format", "csv", "--verdict", "wrong")
    assert "1 cell of the CSV begin with" in formula.stderr
    assert "=SUM(A1) is fine & good" in next(csv.DictReader(io.StringIO(formula.stdout))).values()


def test_a_page_has_the_tags_of_an_honest_one(run: Path, tmp_path: Path) -> None:
    page = call("examples", run, "--format", "html").stdout
    write_run(tmp_path / "honest")
    honest = call("examples", tmp_path / "honest", "--format", "html").stdout
    assert tags(page) == tags(honest)
    assert not controls(page)


def _trial(text: str) -> TrialText:
    return TrialText(
        id=f"id {text}",
        task=f"task {text}",
        row=f"row {text}",
        attack=f"attack {text}",
        seed=0,
        verdict=Verdict.FOOLED,
        label=f"label {text}",
        prediction=f"label {text}",
        labels=(f"label {text}", "other"),
        fields={f"a {text}": text, f"b {text}": text},
        attackable=f"b {text}",
        adversarial_text=f"{text} {text}",
        problem=text,
        adversarial_prediction="other",
        rejected_text=None,
        changes=(),
        probs=None,
        adversarial_probs=None,
        asked=1,
        asked_at_success=1,
        forwarded=1,
        seconds=0.5,
        words_changed=1,
    )


@pytest.mark.parametrize("text", [pytest.param(t, id=n) for n, t in TEXTS.items() if n != "long"])
def test_every_text_stays_in_its_place(text: str) -> None:
    trial, honest = _trial(text), _trial("honest text")
    plain = plain_view([trial])
    own = [line for line in plain.splitlines() if not line.startswith(INSIDE)]
    assert len(own) == len(plain_view([honest]).splitlines())
    coloured = "\n".join(line.plain for line in coloured_lines(trial))
    for shown in (plain, coloured, to_html([trial], text)):
        assert not controls(shown)
        shown.encode()
    assert [t for t in tags(to_html([trial], text)) if t not in ("ins", "/ins", "del", "/del")] == [
        t for t in tags(to_html([honest], "x")) if t not in ("ins", "/ins", "del", "/del")
    ]


def test_a_text_of_megabytes_is_cut_on_screens_and_pages() -> None:
    trial = replace(_trial("x"), fields={"a": "word " * 400_000, "b x": "x"})
    (_, parts), _ = fields_of(trial)
    assert parts[-1].old == "… (2,000,000 characters)"
    for shown in (plain_view([trial]), to_html([trial], "x")):
        assert len(shown) < 250_000


@pytest.fixture
def plugin() -> Iterator[None]:
    """Register an attack whose every text is hostile."""

    class Hostile(Attack):
        # A docstring holds no half of a character pair.
        __doc__ = f"First {TEXT}\n\n{TEXT}\n"
        paper: ClassVar[str] = HOSTILE
        deviations: ClassVar[tuple[str, ...]] = (HOSTILE, "x" * 30 + HOSTILE)
        cost: ClassVar[str] = HOSTILE

        class Options(Options):
            value: str = HOSTILE

        def search(self, space: Any, oracle: Any, label: Any, rng: Any) -> None:
            return None

    with ATTACKS.temporarily("hostile", Hostile):
        yield


def test_a_plugin_is_shown_without_its_control_codes(plugin: None) -> None:
    result = call("show", "attack", "hostile")
    assert result.exit_code == 0, result.output
    assert not controls(result.output)
    starts = [line for line in result.output.splitlines() if line.startswith("attack ")]
    assert starts == ["attack hostile (registered in this process)"]
    data = call("--json", "show", "attack", "hostile")
    assert not controls(data.stdout)
    assert json.loads(data.stdout)["paper"] == HOSTILE


def test_a_list_has_one_row_for_each_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        CatalogueRow("attack", f"a{number}{HOSTILE}", HOSTILE, HOSTILE, problem, HOSTILE)
        for number, problem in enumerate((None, HOSTILE))
    ]
    print_rows("attack", rows)
    shown = capsys.readouterr().out
    assert not controls(shown)
    assert len([line for line in shown.splitlines() if line.startswith("  a")]) == 2


def test_facts_of_any_kind_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {"kind": "task", "name": HOSTILE, "origin": HOSTILE, "summary": HOSTILE}
    print_facts(facts | {HOSTILE[:50]: [HOSTILE], "other": {HOSTILE: HOSTILE}})
    assert not controls(capsys.readouterr().out)


@pytest.mark.parametrize(
    # No argument of a program holds the character NUL.
    "text",
    [pytest.param(t, id=n) for n, t in TEXTS.items() if n != "long" and "\x00" not in t],
)
def test_an_error_is_one_sentence_on_one_line(text: str) -> None:
    for arguments in (["show", text], ["compare", text, "b"], [f"--{text}"], [text or "-"]):
        result = call(*arguments)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert not controls(result.stderr)
        result.stderr.encode()


def test_an_error_of_megabytes_stays_short() -> None:
    result = call("show", "x" * 3_000_000)
    assert len(result.stderr) < 10_000
    assert "characters)" in result.stderr


def test_a_shell_gets_only_words_that_it_can_take() -> None:
    words = ["pwws", "pwws@wordnet", "hf:a/b", "defense.alpha="]
    given = [each.value for each in _beginning("", [*words, *TEXTS.values()])]
    assert given == [*words, TEXTS["rule"], TEXTS["path"]]


@pytest.mark.parametrize("text", [pytest.param(t, id=n) for n, t in TEXTS.items()])
def test_a_configuration_file_holds_the_same_options(text: str) -> None:
    settings = {"task": [text, text], "out": text, "options": {f"a.{text}": text}}
    if "\ud800" in text:
        with pytest.raises(UsageError, match="no text in UTF-8"):
            as_toml(settings, "train")
        return
    written = as_toml(settings, "train")
    assert not controls(written)
    read = tomllib.loads(written)
    assert (read["task"], read["out"]) == ([text, text], text)
    table: Any = read["options"]
    while isinstance(table, dict):
        (table,) = table.values()
    assert table == text


def test_a_changed_word_with_controls_is_marked(run: Path) -> None:
    trial = replace(
        _trial("a b"),
        fields={"b a b": "one two"},
        attackable="b a b",
        adversarial_text="one \x1b[2J",
        changes=(Change(position=1, original="two", substitute="\x1b[2J"),),
    )
    assert "[[two->\\x1b[2J]]" in plain_view([trial])
    assert isinstance(coloured_lines(trial)[0], Text)
