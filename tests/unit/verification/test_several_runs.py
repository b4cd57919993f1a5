"""Verdicts and surfaces that lie in several runs: those that fit count."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from certified import make_certificate
from damaged_kinds import make_surface

from robench.certification.results import ExampleResult, ResultFile
from robench.records.certificate import Certificate
from robench.verification.certificate_checks import verdicts_of
from robench.verification.surfaces import stored_surface
from robench.verification.victims import NotThere

IDS = ("toy/1", "toy/2")


def write_verdicts(folder: Path, certificate: Certificate, letters: str) -> None:
    """Write the first verdicts of a certificate."""
    with ResultFile(folder / f"{certificate.name}.jsonl", certificate.key) as file:
        for id_, letter in zip(IDS, letters, strict=False):
            result = {"id": id_, "letter": letter, "reason": "bounds", "positions": 1}
            file.append(ExampleResult.model_validate(result))


@pytest.mark.parametrize("first", ["C", "UU", ""])
def test_the_verdicts_that_fit_are_taken(tmp_path: Path, first: str) -> None:
    certificate = make_certificate("CF")
    write_verdicts(tmp_path / "first", certificate, first)
    write_verdicts(tmp_path / "second", certificate, "CF")
    file, known = verdicts_of(certificate, IDS, [tmp_path / "first", tmp_path / "second"])
    assert file.path.parent.name == "second"
    assert [known[id_].letter for id_ in IDS] == ["C", "F"]


def test_without_fitting_verdicts_the_first_file_counts(tmp_path: Path) -> None:
    certificate = make_certificate("CF")
    for name in ("first", "second"):
        write_verdicts(tmp_path / name, certificate, "C")
    file, known = verdicts_of(certificate, IDS, [tmp_path / "first", tmp_path / "second"])
    assert file.path.parent.name == "first"
    assert list(known) == ["toy/1"]
    with pytest.raises(NotThere, match="its verdicts are not there"):
        verdicts_of(certificate, IDS, [tmp_path / "nowhere"])


def test_a_damaged_surface_is_passed_over(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (path,) = make_surface(second)
    (first / path.name).write_bytes(path.read_bytes()[:-9])
    for folders in ([first, path.parent], [path.parent, first]):
        found = stored_surface(folders, path.stem)
        assert found is not None
        assert (found.problem, found.surface is not None) == ("", True)
    # Where no file can be used, the first says why.
    shutil.copy(first / path.name, path)
    found = stored_surface([first, path.parent], path.stem)
    assert found is not None
    assert found.surface is None
    assert "cannot be used" in found.problem
    assert stored_surface([tmp_path], path.stem) is None
