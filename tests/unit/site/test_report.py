"""The page of one run: everything is inside, and nothing of others runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import HOSTILE, controls, tags
from site_cases import cell
from trial_runs import write_run

from robench._base.errors import RobenchError, UsageError
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.site import bundled
from robench.site.report import report


def test_a_report_needs_no_other_file(tmp_path: Path) -> None:
    write_run(tmp_path)
    page = report(tmp_path).page
    found = tags(page)
    assert found.count("link rel href") == 0
    assert not [each for each in found if each.startswith(("script src", "img", "iframe"))]
    for name in bundled.SCRIPTS:
        assert bundled.text_of(name) in page
        assert bundled.policy_hash(name).replace("'", "&#x27;") in page
    assert bundled.text_of("site.css") in page
    assert "Permission to use, copy, modify" in page


def test_a_report_has_tables_commands_and_examples(tmp_path: Path) -> None:
    write_run(tmp_path, attack="pwws")
    write_run(tmp_path, defense="rift", attack="pwws")
    made = report(tmp_path)
    assert made.problems == ()
    assert "toy, encoder tiny, protocol rift2021" in made.page
    assert made.page.count("robench evaluate") == 2
    assert "--defense rift --attack pwws" in made.page
    assert made.page.count("<del>good</del><ins>fine</ins>") == 2
    assert made.page.count('aria-label="Records of rift, ') == 1


def test_every_link_inside_of_a_report_leads_somewhere(tmp_path: Path) -> None:
    write_run(tmp_path)
    write_run(tmp_path, attack="pwws", protocol="subword")
    page = report(tmp_path).page.partition("<script>")[0]
    targets = [part.partition('"')[0] for part in page.split('href="#')[1:]]
    ids = [part.partition('"')[0] for part in page.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    assert set(targets) <= set(ids)
    assert len(targets) > 4


def test_examples_can_be_left_out(tmp_path: Path) -> None:
    write_run(tmp_path)
    assert 'class="example"' not in report(tmp_path, 0).page


def test_names_of_a_run_are_escaped(tmp_path: Path) -> None:
    write_run(tmp_path / "plain", label="plain", attack_label="also plain")
    # A lone surrogate cannot be written into a record.
    text = HOSTILE.replace("\ud800", "")
    write_run(tmp_path / "hostile", label=text, attack_label=text)
    plain, hostile = (report(tmp_path / name).page for name in ("plain", "hostile"))
    assert tags(plain) == tags(hostile)
    assert controls(hostile.partition("<script>")[0]) == []


def test_a_damaged_record_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    write_run(tmp_path)
    (RunFolder(tmp_path).records / "broken.json").write_text("{")
    made = report(tmp_path)
    assert len(made.problems) == 1
    assert "broken.json" in made.page
    assert "<ins>fine</ins>" in made.page


def test_a_table_without_a_search_is_sorted_by_accuracy_and_says_so(tmp_path: Path) -> None:
    made = cell("WHHHHHHHHH", "standard", "calm", searches=False)
    write_record(RunFolder(tmp_path).records / made.file_name, made)
    page = report(tmp_path).page
    assert ", the most accurate first</caption>" in page
    write_run(tmp_path / "searched")
    assert ", the most robust first</caption>" in report(tmp_path / "searched").page


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There are no results in .*'robench evaluate' wrote"):
        report(tmp_path)


def test_a_run_with_damaged_records_only_is_a_failure(tmp_path: Path) -> None:
    RunFolder(tmp_path).records.mkdir()
    (RunFolder(tmp_path).records / "broken.json").write_text("{")
    with pytest.raises(RobenchError, match="1 record of"):
        report(tmp_path)
