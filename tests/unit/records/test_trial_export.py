"""Tests of the export of trials, and golden pages."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from trial_runs import EXAMPLES, TEXTS, write_run

from robench._base.errors import RobenchError
from robench.records.run_folder import RunFolder
from robench.records.trial_export import row_of, to_csv, to_jsonl, write_parquet
from robench.records.trial_page import to_html
from robench.records.trial_texts import TrialText, join_trials


@pytest.fixture
def trials(tmp_path: Path) -> list[TrialText]:
    return join_trials(RunFolder(tmp_path), write_run(tmp_path))


def test_a_row_holds_both_texts_and_all_names(trials: list[TrialText]) -> None:
    assert row_of(trials[0]) == {
        "id": "toy/1",
        "task": "toy",
        "row": "standard",
        "attack": "genetic",
        "seed": 0,
        "verdict": "fooled",
        "label": "positive",
        "prediction": "positive",
        "adversarial_prediction": "negative",
        "attacked_field": "text",
        "original_text": 'He said:  "a good film", didn\'t he?',
        "adversarial_text": 'He said:  "a fine film", didn\'t he?',
        "rejected_text": None,
        "words_changed": 1,
        "changes": [{"position": 5, "original": "good", "substitute": "fine"}],
        "labels": ["negative", "positive"],
        "probs": [0.02, 0.98],
        "adversarial_probs": [0.61, 0.39],
        "asked": 12,
        "asked_at_success": 11,
        "forwarded": 10,
        "seconds": 0.5,
        "problem": None,
    }


def test_csv_gives_every_text_back_unchanged(trials: list[TrialText]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(trials), newline="")))
    assert [row["original_text"] for row in rows] == [text for text, _ in TEXTS.values()]
    assert rows[2]["original_text"].startswith("=SUM")
    assert json.loads(rows[1]["changes"])[1]["substitute"] == "slow"
    assert (rows[1]["probs"], rows[3]["adversarial_text"]) == ("", "")


def test_jsonl_gives_every_row_back(trials: list[TrialText]) -> None:
    lines = to_jsonl(trials).splitlines()
    assert [json.loads(line) for line in lines] == [row_of(trial) for trial in trials]


def test_parquet_gives_every_row_back(trials: list[TrialText], tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", trials)
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == [row_of(trial) for trial in trials]


def test_no_trials_give_an_empty_file(tmp_path: Path) -> None:
    assert (to_csv([]), to_jsonl([])) == ("\n", "")
    write_parquet(tmp_path / "t.parquet", [])
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 0


def test_parquet_into_a_missing_place_is_told(trials: list[TrialText], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(RobenchError, match=r"Cannot write .* Name another --output"):
        write_parquet(tmp_path / "file" / "t.parquet", trials)


def test_tasks_with_other_fields_share_a_table(trials: list[TrialText]) -> None:
    pair = replace(trials[3], fields={"premise": "p", "hypothesis": "h"}, attackable="hypothesis")
    rows = [json.loads(line) for line in to_jsonl([trials[0], pair]).splitlines()]
    assert rows[0]["original_premise"] is None
    assert (rows[1]["original_premise"], rows[1]["original_text"]) == ("p", None)


ARTICLE = """<article>
<h2><span class="verdict">fooled</span> negative -&gt; positive</h2>
<p class="text" dir="auto">I can<del>not</del><ins> hardly</ins> like &lt;b&gt;this&lt;/b&gt; \
<del>dull</del><ins>slow</ins> film.</p>
<p class="dim">2 words changed, 40 queries</p>
<p class="dim">standard under genetic on toy, seed 0; toy/2</p>
</article>"""


def test_a_trial_on_the_page(trials: list[TrialText]) -> None:
    assert ARTICLE in to_html(trials, "Examples")


class _Text(HTMLParser):
    """Collects the texts and the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_escapes_every_text(trials: list[TrialText]) -> None:
    page = to_html(trials, "<b>runs</b> & more")
    parser = _Text()
    parser.feed(page)
    assert parser.tags.isdisjoint({"script", "link", "img", "b"})
    assert re.findall(r"(?:https?:)?//|url\(|@import", page) == []
    for example in EXAMPLES[2:4]:
        assert example.fields["text"] in parser.text
    assert "<b>runs</b> & more" in parser.text


def test_changes_are_marked_by_more_than_colour(trials: list[TrialText]) -> None:
    page = to_html(trials, "Examples")
    assert "text-decoration: line-through" in page
    assert "text-decoration: underline" in page
    assert 'del::before, ins::before { content: "["; }' in page
    assert "prefers-color-scheme: dark" in page
