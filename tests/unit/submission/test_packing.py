"""Archives of runs: what is in them, and which runs are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from records import make_record
from saved_victims import victim
from submissions import members_of, write_cell, write_certified, write_run

from robench._base.errors import RobenchError, UsageError
from robench.cli import main
from robench.records.record import Record
from robench.records.record_files import write_record
from robench.records.run_folder import RunFolder
from robench.submission import packing
from robench.submission.packing import pack


def test_an_archive_holds_all_that_a_check_needs(tmp_path: Path) -> None:
    records = write_run(tmp_path / "run")
    found = pack(tmp_path / "run")
    assert found.path == tmp_path / "run.zip"
    members = members_of(found.path)
    cells = [record.cell_name for record in records]
    assert set(members) == {
        "submission.json",
        "CHECKLIST.md",
        f"examples/toy-{records[0].task.digest[:8]}.jsonl",
        *(f"records/{cell}.json" for cell in cells),
        *(f"trials/{cell}.jsonl" for cell in cells),
        *(f"adversarial/{cell}.jsonl" for cell in cells),
    }
    listed = json.loads(members["submission.json"])["files"]
    assert set(listed) == set(members) - {"submission.json"}
    (text,) = members[f"adversarial/{cells[0]}.jsonl"].decode().splitlines()
    assert json.loads(text)["adversarial_text"].startswith("a fine film ")
    assert found.records == tuple(sorted(record.file_name for record in records))
    # No victim lies in the folder.
    assert found.without_victim == found.records
    assert found.tasks == ("toy",)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    first = pack(tmp_path / "run", tmp_path / "a.zip")
    second = pack(tmp_path / "run", tmp_path / "elsewhere" / "b.zip")
    assert first.sha256 == second.sha256
    assert first.path.read_bytes() == second.path.read_bytes()


def test_named_records_only(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    found = pack(tmp_path / "run", names=("-pwws-",))
    assert len(found.records) == 1
    assert not any("genetic" in name for name in members_of(found.path))
    with pytest.raises(UsageError, match="holds no record with nosuch in its name"):
        pack(tmp_path / "run", names=("nosuch",))


def test_the_command_says_that_nobody_verifies_data_of_the_hub(tmp_path: Path) -> None:
    from robench.commands.submit import _about_files, _files_of

    assert _files_of(["hf-org-set", "mine.csv", "sst2"]) == " --task mine.csv"
    hub, own = _about_files(["hf-org-set", "mine.csv", "sst2"])
    assert hub == (
        "hf-org-set came from the hub, which 'robench verify' does not read. Records about it stay "
        "claimed."
    )
    assert "write its path after --task" in own
    assert _about_files(["sst2"]) == []


def test_a_limited_run_beside_the_whole_one_is_left_out(tmp_path: Path) -> None:
    """Whoever tried with --limit and then ran the same without it has both records."""
    run = tmp_path / "run"
    whole = write_cell(run, "WFHH")
    task = {"digest": whole.task.digest}
    short = make_record("WF", limit=2, examples=4, task=task)
    write_record(RunFolder(run).records / short.file_name, short)
    found = pack(run)
    assert found.records == (whole.file_name,)
    assert found.limited == (short.file_name,)
    assert short.file_name not in " ".join(members_of(found.path))
    done = CliRunner().invoke(main, ["submit", "pack", str(run), "--out", str(tmp_path / "b.zip")])
    said = " ".join(done.stdout.split())
    assert "1 record of a limited run is left out, because the whole run is there." in said
    # Of another cell the whole run is missing, so it is refused as before.
    other = make_record(
        "WF", limit=2, examples=4, attack="pwws", task={"digest": whole.task.digest}
    )
    write_record(RunFolder(run).records / other.file_name, other)
    with pytest.raises(UsageError, match="Only 2 of 4 examples were judged"):
        pack(run)


def test_the_checklist_beside_the_archive_is_filled_in_and_never_replaced(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    found = pack(tmp_path / "run")
    assert found.checklist == tmp_path / "run-CHECKLIST.md"
    text = found.checklist.read_text()
    assert "Adaptive attack" in found.open_items
    found.checklist.write_text(text.replace("(open)", "None was made, see example.org."))
    again = pack(tmp_path / "run")
    assert again.checklist is not None
    assert "None was made" in again.checklist.read_text()
    answered = pack(tmp_path / "run", answers=found.checklist)
    assert (answered.open_items, answered.checklist) == ((), None)
    assert b"None was made" in members_of(answered.path)["CHECKLIST.md"]


def missing_trials(run: Path) -> None:
    record = write_cell(run, "WFHH")
    RunFolder(run).trials_file(record.cell_name).unlink()


def one_trial_less(run: Path) -> None:
    record = write_cell(run, "WFHH")
    path = RunFolder(run).trials_file(record.cell_name)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def missing_texts(run: Path) -> None:
    record = write_cell(run, "WFHH")
    RunFolder(run).examples_file("toy", record.task.digest).unlink()


def older(run: Path, outcomes: str, **values: Any) -> Record:
    """Write a cell as schema 5 did: no digest of the trials, no seal."""
    record = write_cell(run, outcomes, **values)
    write_older(run, record)
    return record


def write_older(run: Path, record: Record) -> None:
    path = RunFolder(run).records / record.file_name
    raw = record.model_dump(mode="json", by_alias=True, exclude={"trials"})
    path.write_text(json.dumps({**raw, "schema": 5}))


def foreign_code(run: Path) -> None:
    from robench.records.record_files import write_record

    record = write_cell(run, "WFHH")
    software = record.software.model_copy(update={"foreign_code": True})
    changed = record.model_copy(update={"software": software})
    write_record(RunFolder(run).records / record.file_name, changed)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda run: write_cell(run, "HF", limit=2, examples=4), "Only 2 of 4 examples were judge"),
        (lambda run: write_cell(run, "WFHE"), "1 of 4 examples ended in an error. Run the same"),
        (missing_trials, "The trials are missing"),
        (one_trial_less, "are not complete"),
        (missing_texts, "The texts of the examples are missing"),
        (foreign_code, "Code of a model's folder ran"),
    ],
)
def test_a_run_that_no_board_takes_is_refused(
    tmp_path: Path, write: Callable[[Path], Any], reason: str
) -> None:
    write(tmp_path / "run")
    with pytest.raises(UsageError) as caught:
        pack(tmp_path / "run")
    said = str(caught.value)
    assert said.startswith("No board takes toy-standard-genetic-s0-")
    assert reason in said
    assert not (tmp_path / "run.zip").exists()


def test_a_record_of_an_earlier_version_is_packed_and_named(tmp_path: Path) -> None:
    """Boards take such records, and ``robench verify`` counts their letters from the trials."""
    record = older(tmp_path / "run", "WFHH", attack="pwws")
    new = write_cell(tmp_path / "run", "WHFH", attack="genetic")
    found = pack(tmp_path / "run")
    assert found.records == (new.file_name, record.file_name)
    assert found.without_digest == (record.file_name,)
    assert f"trials/{record.cell_name}.jsonl" in members_of(found.path)


def test_a_record_of_an_earlier_version_whose_trials_say_something_else(tmp_path: Path) -> None:
    record = write_cell(tmp_path / "run", "WFHH")
    better = write_cell(tmp_path / "better", "WHHH")
    (RunFolder(tmp_path / "run").records / record.file_name).unlink()
    write_older(tmp_path / "run", better)
    with pytest.raises(UsageError, match="do not fit the record"):
        pack(tmp_path / "run")


def test_several_refused_records_are_counted(tmp_path: Path) -> None:
    for attack in ("pwws", "genetic"):
        write_cell(tmp_path / "run", "WFHE", attack=attack)
    with pytest.raises(UsageError, match="1 more records are refused"):
        pack(tmp_path / "run")


def test_folders_and_names_that_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no folder 'records'"):
        pack(tmp_path)
    write_run(tmp_path / "run")
    with pytest.raises(UsageError, match=r"ends in '\.zip'"):
        pack(tmp_path / "run", tmp_path / "run.tar.gz")
    with pytest.raises(UsageError, match="is no checklist"):
        pack(tmp_path / "run", answers=_text(tmp_path, "hello"))
    (RunFolder(tmp_path / "run").records / "torn.json").write_text("{")
    with pytest.raises(RobenchError, match=r"torn\.json"):
        pack(tmp_path / "run")


CERTIFIED = "CFUC"


def test_a_certificate_comes_with_its_verdicts_and_its_surface(tmp_path: Path) -> None:
    record, _ = write_run(tmp_path / "run")
    certificate = write_certified(tmp_path / "run", record, CERTIFIED)
    found = pack(tmp_path / "run")
    assert (found.certificates, found.left_out) == ((certificate.file_name,), {})
    members = members_of(found.path)
    for name in (f"{certificate.name}.json", f"{certificate.name}.jsonl"):
        written = RunFolder(tmp_path / "run").certificates / name
        assert members[f"certificates/{name}"] == written.read_bytes()
    assert members[f"surfaces/{record.surface.key}.parquet"] == b"a surface"
    without = members_of(pack(tmp_path / "run", tmp_path / "w.zip", victims=False).path)
    assert f"certificates/{certificate.file_name}" in without
    assert not any(name.startswith("surfaces/") for name in without)


def other_victim(run: Path, record: Record) -> None:
    victim = record.victim.model_copy(update={"sha256": "0" * 64})
    write_certified(run, record, CERTIFIED, victim=victim)


def limited(run: Path, record: Record) -> None:
    write_certified(run, record, CERTIFIED[:2], limit=2)


def no_verdicts(run: Path, record: Record) -> None:
    name = write_certified(run, record, CERTIFIED).name
    (RunFolder(run).certificates / f"{name}.jsonl").unlink()


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (other_victim, "no record of the board is about its victim"),
        (limited, "only 2 of 4 examples were certified"),
        (no_verdicts, "its verdicts are missing"),
    ],
)
def test_a_certificate_that_no_board_takes_is_left_out_and_named(
    tmp_path: Path, write: Callable[[Path, Record], None], reason: str
) -> None:
    record, _ = write_run(tmp_path / "run")
    write(tmp_path / "run", record)
    found = pack(tmp_path / "run")
    assert found.certificates == ()
    (said,) = found.left_out.values()
    assert reason in said
    assert not any("certificates/" in name for name in members_of(found.path))


def test_a_damaged_certificate_stops_the_packing(tmp_path: Path) -> None:
    record, _ = write_run(tmp_path / "run")
    certificate = write_certified(tmp_path / "run", record, CERTIFIED)
    (RunFolder(tmp_path / "run").certificates / certificate.file_name).write_text("{")
    with pytest.raises(RobenchError, match="Cannot read the certificate"):
        pack(tmp_path / "run")


def _text(folder: Path, text: str) -> Path:
    path = folder / "answers.md"
    path.write_text(text)
    return path


def test_an_archive_that_no_check_would_read_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run")
    monkeypatch.setattr(packing, "WHOLE", 1000)
    with pytest.raises(UsageError, match="too large for 'robench verify'"):
        pack(tmp_path / "run")
    assert not (tmp_path / "run.zip").exists()


def with_victim(run: Path) -> Path:
    """Write a cell and its victim, and return the victim's folder."""
    record = write_cell(run, "WFHH")
    folder = RunFolder(run).victim("rift")
    victim(key=record.victim.configuration).save(folder)
    return folder


def test_only_the_files_of_a_victim_are_packed_and_the_others_are_named(tmp_path: Path) -> None:
    folder = with_victim(tmp_path / "run")
    secret = tmp_path / "id_rsa"
    secret.write_text("secret")
    (folder / "notes.txt").symlink_to(secret)
    (folder / "copied.txt").write_text("secret")
    (folder / "tokenizer" / "more").symlink_to(tmp_path)
    half = folder.with_name(".rift.0f3a.copy")
    half.mkdir()
    (half / "victim.json").write_bytes((folder / "victim.json").read_bytes())
    found = pack(tmp_path / "run")
    members = members_of(found.path)
    assert not [name for name, content in members.items() if b"secret" in content]
    assert {name.split("/")[1] for name in members if name.startswith("victims/")} == {"rift"}
    names = {"config.json", "model.safetensors", "victim.json", "README.md"}
    assert {f"victims/rift/{name}" for name in names} <= set(members)
    assert found.passed_over == tuple(
        f"victims/rift/{name}" for name in ("copied.txt", "notes.txt", "tokenizer/more")
    )
    assert found.without_victim == ()


def test_a_victim_whose_weights_are_a_link_is_refused(tmp_path: Path) -> None:
    folder = with_victim(tmp_path / "run")
    (folder / "model.safetensors").rename(tmp_path / "weights")
    (folder / "model.safetensors").symlink_to(tmp_path / "weights")
    with pytest.raises(RobenchError, match=r"model\.safetensors' is missing, is a link, or lies"):
        pack(tmp_path / "run")


def test_texts_that_are_a_link_are_refused(tmp_path: Path) -> None:
    record = write_cell(tmp_path / "run", "WFHH")
    texts = RunFolder(tmp_path / "run").examples_file("toy", record.task.digest)
    texts.rename(texts.with_name("elsewhere"))
    texts.symlink_to(texts.with_name("elsewhere"))
    with pytest.raises(UsageError, match=r"is a link\. Put the file itself in its place"):
        pack(tmp_path / "run")
