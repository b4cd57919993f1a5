"""'robench verify' on a folder, a board and an archive, with certificates, as a user calls it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from forging import OPTIONS, ForgedRun, copied, held

from robench._base.reporting import Silent
from robench.certification.run import certify
from robench.certification.settings import CertificationSettings
from robench.cli import main
from robench.evaluation.run import build_request
from robench.records.verified import FILE_NAME

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(short_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with a certificate."""
    out = copied(short_run, tmp_path_factory.mktemp("targets") / "run").root
    request = build_request(
        defenses=("standard",), limit=24, options=_of_training(), device="cpu", out=out
    )
    certify(request, CertificationSettings(parts=0), Silent())
    return out


def _of_training() -> dict[str, str]:
    return {name: value for name, value in OPTIONS.items() if name.startswith("defense")}


@pytest.fixture
def forged(run: Path, tmp_path: Path) -> ForgedRun:
    """A copy of the run."""
    return copied(run, tmp_path / "run")


def call(*words: object) -> Result:
    """Call the command line."""
    return CliRunner().invoke(main, [*map(str, words), "--quiet"])


def test_a_folder(forged: ForgedRun) -> None:
    done = call("verify", forged.root, "--sample", 1, "--seed", 3)
    assert done.exit_code == 0, done.output
    assert "3 verified, 0 claimed, 0 failed." in done.stdout
    assert "Every search was repeated. Repeat the same choice with --seed 3." in done.stdout
    assert "12 of 12 hold" in done.stdout
    assert FILE_NAME in done.stdout


def test_the_same_as_one_document(forged: ForgedRun) -> None:
    done = call("verify", forged.root, "--seed", 3, "--json", "--record", "pwws")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert (data["verified"], data["claimed"], data["failed"]) == (1, 0, 0)
    (report,) = data["reports"]
    assert report["status"] == "verified"
    assert set(report["checks"].values()) == {"ok"}
    assert report["searched"] >= 2


def test_a_forged_folder_fails_with_exit_code_1(forged: ForgedRun) -> None:
    forged.forge("pwws", held)
    done = call("verify", forged.root, "--sample", 1)
    assert done.exit_code == 1
    assert "FAILED standard" in done.stdout
    assert "the same attack gives 'fooled'" in done.stdout
    assert "1 of 3 records and certificates do not hold" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize("form", ["zip", "gztar"])
def test_an_archive_is_verified_and_not_changed(
    forged: ForgedRun, tmp_path: Path, form: str
) -> None:
    name = shutil.make_archive(str(tmp_path / "packed"), form, forged.root.parent, "run")
    before = Path(name).read_bytes()
    done = call("verify", name, "--record", "pwws")
    assert done.exit_code == 0, done.output
    assert "1 verified" in done.stdout
    assert "An archive is not changed" in done.stdout
    assert Path(name).read_bytes() == before


def test_an_archive_with_names_that_lead_out(forged: ForgedRun, tmp_path: Path) -> None:
    path = tmp_path / "out.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(forged.root, "run")
        for name in ("../records/leads_out", "/records/leads_out", "run/records/../../leads_out"):
            info = tarfile.TarInfo(name)
            info.size = 2
            packed.addfile(info, io.BytesIO(b"{}"))
        link = tarfile.TarInfo("run/records/link.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
    done = call("verify", path, "--record", "pwws")
    assert done.exit_code == 0, done.output
    assert not list(tmp_path.parent.rglob("leads_out*"))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(40):
            packed.writestr(f"run/records/{number}.json", b"0" * 8_000_000)
    done = call("verify", path)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


@pytest.fixture
def board(forged: ForgedRun, tmp_path: Path) -> Path:
    """A board with the records of the run, which are made whole."""
    folder = tmp_path / "board"
    shutil.copytree(forged.folder.records, folder / "records")
    toml = folder / "board.toml"
    toml.write_text(
        'title = "A board"\ntask = "mini-reviews"\nencoder = "tiny"\nprotocol = "rift2021"\n'
        'attacks = ["pwws"]\nrecords = "records"\n'
    )
    assert call("leaderboard", "--board", toml).exit_code == 0
    return toml


def test_a_board_with_the_folder_of_its_run(board: Path, forged: ForgedRun) -> None:
    done = call("verify", board, "--runs", forged.root, "--record", "pwws")
    assert done.exit_code == 0, done.output
    assert "1 verified" in done.stdout
    assert (board.parent / "records" / FILE_NAME).is_file()
    # The mark is part of the table now.
    done = call("verify", board, "--runs", forged.root, "--record", "genetic")
    assert done.exit_code in (0, 1)


def test_a_board_needs_the_runs(board: Path) -> None:
    done = call("verify", board)
    assert done.exit_code == 2
    assert "--runs FOLDER" in done.stderr


def test_the_check_of_a_board_compares_its_records_with_trials(
    board: Path, forged: ForgedRun
) -> None:
    done = call("leaderboard", "--board", board, "--check", "--runs", forged.root)
    assert done.exit_code == 0, done.output
    assert "2 records agree with their trials" in done.stdout
    forged.write_trials(forged.record("pwws"), [held(t) for t in forged.trials("pwws")])
    done = call("leaderboard", "--board", board, "--check", "--runs", forged.root)
    assert done.exit_code == 1
    assert "letters are not those of the trials" in done.stdout
    shutil.rmtree(forged.folder.trials)
    done = call("leaderboard", "--board", board, "--check", "--runs", forged.root)
    assert done.exit_code == 0
    assert "the trials of 2 are not there" in done.stdout


def test_runs_without_a_check_are_refused(board: Path, forged: ForgedRun) -> None:
    done = call("leaderboard", "--board", board, "--runs", forged.root)
    assert done.exit_code == 2
    assert "Add --check." in done.stderr


def _forge_certificate(forged: ForgedRun, **changes: object) -> None:
    from robench.records.certificate_files import read_certificate, write_certificate

    (path,) = forged.folder.certificates.glob("*.json")
    certificate = read_certificate(path)
    write_certificate(path, certificate.model_copy(update=changes))


def test_a_certificate_whose_letters_are_not_its_verdicts(forged: ForgedRun) -> None:
    _forge_certificate(forged, letters="C" * 24)
    done = call("verify", forged.root, "--record", "bounds", "--sample", 1)
    assert done.exit_code == 1
    assert "letters are not those of its verdicts" in done.stdout
    assert "and its proof gives" in done.stdout


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("row", {"row": "rift"}),
        ("smoothed", {"smoothed": True}),
        ("task", {"synthetic": False}),
        ("task", {"train_pool": "train and test"}),
        ("options", {"options": {"texts": 10_000, "parts": 0, "draws": 7}}),
    ],
)
def test_a_forged_field_of_a_certificate(
    forged: ForgedRun, part: str, changes: dict[str, object]
) -> None:
    if part == "task":
        task = forged.record("pwws").task
        changes = {"task": task.model_copy(update=changes)}
    _forge_certificate(forged, **changes)
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 1
    assert f"its '{part}' is not what its victim and its options give" in done.stdout


_NO_KEY = "key: its key does not follow from what made the certificate"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, ["its seed is 1, and its victim was trained with seed 0", _NO_KEY]),
        ({"key": "0" * 64}, [_NO_KEY]),
    ],
)
def test_a_forged_key_or_seed_of_a_certificate(
    forged: ForgedRun, changes: dict[str, object], said: list[str]
) -> None:
    from robench.records.certificate_files import read_certificate

    _forge_certificate(forged, **changes)
    # The names of the files follow, as a careful person would have it.
    (path,) = forged.folder.certificates.glob("*.json")
    (verdicts,) = forged.folder.certificates.glob("*.jsonl")
    certificate = read_certificate(path)
    verdicts.rename(verdicts.with_name(f"{certificate.name}.jsonl"))
    path.rename(path.with_name(certificate.file_name))
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 1, done.output
    assert all(each in " ".join(done.stdout.split()) for each in said)


def test_forged_rules_of_a_certificate(forged: ForgedRun) -> None:
    from robench.records.certificate_files import read_certificate

    (path,) = forged.folder.certificates.glob("*.json")
    space = read_certificate(path).space.model_copy(update={"rules": "0" * 64})
    _forge_certificate(forged, space=space)
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 1, done.output
    assert "its 'space.rules' are not those of its surface" in " ".join(done.stdout.split())


def test_the_surface_of_a_certificate_is_built_again_where_it_is_not_there(
    forged: ForgedRun,
) -> None:
    shutil.rmtree(forged.folder.surfaces)
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 0, done.output
    assert "1 verified" in done.stdout


def test_a_certificate_of_other_code_has_a_note(forged: ForgedRun) -> None:
    _forge_certificate(forged, code_sha256="0" * 64)
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 0, done.output
    assert "1 verified" in done.stdout
    said = " ".join(done.stdout.split())
    assert "Made by other code of robench's proofs. So its key cannot be computed here." in said


def test_other_options_of_other_code_leave_a_claim(forged: ForgedRun) -> None:
    options = {"texts": 10_000, "parts": 0, "unheard": 7}
    _forge_certificate(forged, code_sha256="0" * 64, options=options)
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 0, done.output
    assert "1 claimed" in done.stdout
    assert "Other code or software made it" in " ".join(done.stdout.split())


def test_a_proof_that_takes_too_long_leaves_a_claim(forged: ForgedRun) -> None:
    done = call("verify", forged.root, "--record", "bounds", "--example-seconds", "1e-6")
    assert done.exit_code == 0, done.output
    assert "proofs did not end within 1e-06 s each" in " ".join(done.stdout.split())


def test_a_certificate_of_another_test_set(forged: ForgedRun) -> None:
    from robench.records.certificate_files import read_certificate

    (path,) = forged.folder.certificates.glob("*.json")
    task = read_certificate(path).task.model_copy(update={"test_name": "standard-1000"})
    _forge_certificate(forged, task=task)
    done = call("verify", forged.root, "--record", "bounds")
    assert done.exit_code == 1
    assert "its test set is called 'standard-1000'" in done.stdout


def test_a_certificate_without_its_verdicts_is_made_again(forged: ForgedRun) -> None:
    (path,) = forged.folder.certificates.glob("*.jsonl")
    path.unlink()
    done = call("verify", forged.root, "--record", "bounds", "--sample", 1)
    assert done.exit_code == 0, done.output
    assert "1 claimed" in done.stdout
    assert "its verdicts are not there" in done.stdout


def test_a_certificate_of_impossible_effort_is_not_made_again(forged: ForgedRun) -> None:
    _forge_certificate(forged, options={"texts": 10**9, "parts": 0})
    done = call("verify", forged.root, "--record", "bounds")
    assert "not checked" in done.stdout
    assert "0 verified" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing"], "does not exist"),
        (["missing.toml"], "Cannot read the board"),
        ([".", "--sample", "0"], "must lie above 0"),
        ([".", "--sample", "2"], "must lie above 0"),
        ([".", "--sample", "nan"], "must lie above 0"),
        ([".", "--seed", "-1"], "whole numbers from 0"),
        ([".", "--workers", "0"], "at least 1"),
        ([".", "--runs", "nowhere"], "there is no such folder"),
        ([".", "--runs", "."], "--runs .: the folder holds no results"),
        ([".", "--device", "cuda:99"], "cuda:99"),
        ([".", "--victim", "nowhere"], "there is no victim that robench saved"),
        ([".", "--example-seconds", "-1"], "--example-seconds takes"),
        (["."], "holds no folder 'records'"),
    ],
)
def test_wrong_usage(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("verify", *words)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


@pytest.mark.parametrize("name", ["foo", "masked:", "masked:/nowhere", "file:/nowhere"])
def test_an_unknown_language_model_is_wrong_usage(forged: ForgedRun, name: str) -> None:
    done = call("verify", forged.root, "--record", "pwws", "--lm", name)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.output
    assert done.stderr.startswith("Error: ")


def test_damaged_trials_are_named_by_their_lines(forged: ForgedRun) -> None:
    path = forged.folder.trials_file(forged.record("pwws").cell_name)
    lines = path.read_bytes().splitlines(keepends=True)
    for number in (2, 5):
        lines[number] = lines[number].replace(b'"asked":', b'"asked":1')
    path.write_bytes(b"".join(lines))
    done = call("verify", forged.root, "--record", "pwws")
    assert done.exit_code == 1
    said = " ".join(done.stdout.split())
    assert "2 of 24 trials cannot be used, the first for " in said
    assert f"in {path.name}, 2 lines are damaged (3 and 6; line 3: its seal does not fit)" in said
    assert "missing" not in said


def test_damage_that_a_later_run_mended_is_a_note(forged: ForgedRun) -> None:
    path = forged.folder.trials_file(forged.record("pwws").cell_name)
    lines = path.read_bytes().splitlines(keepends=True)
    broken = lines[2].replace(b'"asked":', b'"asked":1')
    path.write_bytes(b"".join([*lines[:2], broken, *lines[2:]]))
    done = call("verify", forged.root, "--record", "pwws")
    assert done.exit_code == 0, done.output
    assert "1 verified" in done.stdout
    assert "line 3 is damaged: its seal does not fit. Nothing is missing" in done.stdout


def test_a_record_that_nobody_wrote(forged: ForgedRun) -> None:
    done = call("verify", forged.root, "--record", "nothing-like-it")
    assert done.exit_code == 2
    assert "holds no record with nothing-like-it in its name" in done.stderr


def test_an_older_record_without_seals_is_verified(forged: ForgedRun) -> None:
    """Records of schema 5 have neither seals nor a digest of their trials."""
    record = forged.of_other_code("pwws")
    path = forged.path("pwws")
    data = json.loads(path.read_text())
    data["schema"] = 5
    del data["seal"], data["trials"]
    path.write_text(json.dumps(data))
    trials = forged.folder.trials_file(record.cell_name)
    lines = [trial.model_dump_json() for trial in forged.trials("pwws")]
    trials.write_text("\n".join(lines) + "\n")
    done = call("verify", forged.root, "--record", "pwws")
    assert done.exit_code == 0, done.output
    assert "1 verified" in done.stdout
