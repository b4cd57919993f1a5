"""A real run of the toy task: packed, verified, forged, and put onto a board."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evaluation_cases import FinishedRun
from submissions import BOARD, Members, forged, members_of

from robench._base.reporting import Silent
from robench._base.seals import SEAL, line_seal, with_seal, without_seal
from robench.certification.run import certify
from robench.certification.settings import CertificationSettings
from robench.cli import main
from robench.evaluation.run import build_request
from robench.models.victim_folder import weights_hash
from robench.verification.run import Verification, verify
from robench.verification.settings import VerificationSettings
from robench.verification.text import explained

pytestmark = pytest.mark.slow


def call(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def archive(
    finished: FinishedRun, toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The packed results of a run with one victim under two attacks, and its certificate."""
    of_training = {name: v for name, v in toy["options"].items() if name.startswith("defense.")}
    mine = {**toy, "options": of_training}
    request = build_request(defenses=("rift",), out=finished[0].out, **mine)
    certify(request, CertificationSettings(parts=0), Silent())
    path = tmp_path_factory.mktemp("submission") / "toy.zip"
    call("submit", "pack", finished[0].out, "--out", path)
    return path


def checked(path: Path) -> Verification:
    settings = VerificationSettings(sample=0.1, seed=0, device="cpu", workers=1)
    return verify(path, settings)


def failed(found: Verification) -> str:
    return " ".join(text for each in found.reports for text in each.sentences("failed"))


def test_an_honest_archive_has_no_failure(archive: Path) -> None:
    found = checked(archive)
    assert not found.failed, failed(found)
    *results, submission = found.reports
    assert [each.kind for each in results] == ["record", "record", "certificate"]
    assert results[-1].proved
    assert (submission.kind, submission.status) == ("submission", "verified")
    assert submission.title == "files of the submission"
    # The files are no record: "4 verified" would promise one more result than there is.
    counted = found.number("verified") + found.number("claimed") + found.number("failed")
    assert counted == len(results) == 3
    assert found.files == "verified"
    assert "Other files of the submission: verified." in explained(found)


def test_the_victim_comes_with_a_card_of_the_packed_records(archive: Path) -> None:
    members = members_of(archive)
    (card,) = (name for name in members if name.endswith("/README.md"))
    assert b"genetic" in members[card]
    assert b"pwws" in members[card]
    assert any(name.endswith("/model.safetensors") for name in members)
    assert any(name.endswith("/victim.json") for name in members)


def other_weights(members: Members) -> None:
    name = next(name for name in members if name.endswith("model.safetensors"))
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


def other_weights_on_their_card(members: Members) -> None:
    """Change a weight, and write its hashes and the seal on the victim's card anew."""
    other_weights(members)
    name = next(name for name in members if name.endswith("/victim.json"))
    card = without_seal(json.loads(members[name]))
    weights = name.replace("victim.json", "model.safetensors")
    files = {**card["files"], "model.safetensors": hashlib.sha256(members[weights]).hexdigest()}
    changed = with_seal({**card, "files": files, "sha256": weights_hash(files)})
    members[name] = json.dumps(changed).encode()


def better_card(members: Members) -> None:
    name = next(name for name in members if name.endswith("/README.md"))
    members[name] = members[name].replace(b"genetic", b"everything")


def more_proofs(members: Members) -> None:
    """Certify every example, with verdicts and seals that fit, as a careful forger would."""
    (name,) = (each for each in members if each.startswith("certificates/") and each[-1] == "n")
    raw = json.loads(members[name])
    del raw[SEAL]
    verdicts = f"certificates/{Path(name).stem}.jsonl"
    lines = [json.loads(line) for line in members[verdicts].splitlines()]
    for line in lines:
        del line[SEAL]
        line.update(letter="C", reason="enumeration")
    sealed = [{**line, SEAL: line_seal(raw["key"], line)} for line in lines]
    members[verdicts] = b"".join(json.dumps(line).encode() + b"\n" for line in sealed)
    raw |= {"letters": "C" * len(lines), "reasons": {"C: enumeration": len(lines)}}
    members[name] = json.dumps(with_seal(raw)).encode()


def other_victim_card(members: Members) -> None:
    name = next(name for name in members if name.endswith("/victim.json"))
    card = json.loads(members[name])
    members[name] = json.dumps({**card, "name": "best"}).encode()


def test_a_forged_card_fails_though_every_record_holds(archive: Path, tmp_path: Path) -> None:
    path = forged(archive, tmp_path / "forged.zip", better_card, careful=True)
    said = CliRunner().invoke(main, ["verify", str(path), "--device", "cpu", "--quiet"])
    assert said.exit_code == 1
    assert "0 failed." in said.stdout
    assert "other files of the submission do not hold. The lines above" in said.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_weights, r"forged\.zip/victims/rift-[^/]+/model\.safetensors' is damaged: its"),
        (other_weights_on_their_card, "the files in"),
        (better_card, "is not the card that the records give"),
        (other_victim_card, "changed"),
        (more_proofs, "is C, and its proof gives"),
    ],
)
def test_a_careful_forgery_fails(
    archive: Path, tmp_path: Path, change: Callable[[Members], None], said: str
) -> None:
    """The list of files fits the forged files."""
    path = forged(archive, tmp_path / "forged.zip", change, careful=True)
    found = checked(path)
    assert found.failed
    assert re.search(said, failed(found)), failed(found)
    assert "robench-verify-" not in failed(found), "a temporary folder that is gone"


def test_the_command_line(archive: Path, finished: FinishedRun, tmp_path: Path) -> None:
    records = finished[1]
    assert records[0].encoder is not None
    labels = json.dumps([record.attack.label for record in records])
    board = tmp_path / "toy.toml"
    text = BOARD.replace('"tiny"', json.dumps(records[0].encoder.name))
    board.write_text(text.replace('["pwws", "genetic"]', labels))
    text = call("submit", "add", archive, "--board", board)
    assert text.count("added ") == 3
    assert (tmp_path / "records" / "certificates").is_dir()
    assert f"robench verify {board} --runs {archive}" in text
    data = json.loads(call("submit", "add", archive, "--board", board, "--json"))
    assert (data["added"], len(data["known"])) == ([], 3)
    again = json.loads(call("submit", "pack", finished[0].out, "--out", archive, "--json"))
    assert (again["without_victim"], len(again["records"])) == ([], 2)
    assert (len(again["certificates"]), again["left_out"], again["without_digest"]) == (1, {}, [])
    small = call("submit", "pack", finished[0].out, "--no-victims", "--out", tmp_path / "s.zip")
    assert "2 records come without their victim and stay claimed" in small
    assert "certificates: toy-rift-bounds-s0-" in small
    assert "does not exist" in call("submit", "pack", tmp_path / "nosuch", code=2)
    assert "is no archive" in call("submit", "add", board, "--board", board, code=2)
    assert "pack" in call("submit")
