"""Which certificates and surfaces of a run belong to the records of a submission."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from robench._base.errors import RobenchError
from robench._base.escaping import NAME, one_line
from robench.records.board_certificates import admit_certificates
from robench.records.certificate import Certificate
from robench.records.certificate_files import find_certificates
from robench.records.record import Record
from robench.records.run_folder import RunFolder


@dataclass(frozen=True)
class RunCertificates:
    """The certificates of a run, sorted by whether a board could take them with the records.

    Attributes:
        certificates: file name -> certificate, of those that belong to the records.
        reasons: file name -> why a certificate does not belong to them.
    """

    certificates: Mapping[str, Certificate]
    reasons: Mapping[str, str]


def certificates_of(folder: RunFolder, records: Iterable[Record]) -> RunCertificates:
    """Return the certificates of a run that are about the victims of ``records``.

    Raises:
        RobenchError: a certificate cannot be read.
    """
    found = find_certificates(folder.certificates)
    for reason in found.damaged.values():
        raise RobenchError(reason)
    admitted = admit_certificates(found.certificates, records)
    certificates, reasons = dict(admitted.certificates), dict(admitted.reasons)
    for name, certificate in admitted.certificates.items():
        if not verdicts_file(folder, certificate).is_file():
            reasons[name] = (
                f"its verdicts are missing ({verdicts_file(folder, certificate).name}); run the "
                "same 'robench certify' again, which makes them"
            )
            del certificates[name]
    return RunCertificates(certificates, dict(sorted(reasons.items())))


def verdicts_file(folder: RunFolder, certificate: Certificate) -> Path:
    """Return the file with the verdicts of a certificate, one line for each example."""
    return folder.certificates / f"{certificate.name}.jsonl"


def surface_files(
    folder: RunFolder, records: Iterable[Record], certificates: Iterable[Certificate]
) -> list[Path]:
    """Return the surfaces of records and certificates, as far as they lie in the run.

    An attack outside the surface has none, and a missing one is built again where it is needed.
    """
    keys = {record.surface.key for record in records} | {each.space.key for each in certificates}
    places = (folder.surfaces / f"{key}.parquet" for key in sorted(keys))
    return [place for place in places if place.is_file()]


def foreign_files(folder: RunFolder, records: Iterable[Record]) -> list[str]:
    """Return what is wrong with the certificates and surfaces of a submission, in sentences.

    Whether a certificate holds is for ``robench verify``, which reports on each of them.
    """
    members = list(records)
    try:
        found = certificates_of(folder, members)
    except RobenchError as error:
        return [str(error)]
    problems = [
        f"No board takes '{one_line(name, NAME)}': {why}." for name, why in found.reasons.items()
    ]
    known = {verdicts_file(folder, each) for each in found.certificates.values()}
    known |= {folder.certificates / name for name in (*found.certificates, *found.reasons)}
    known |= {*surface_files(folder, members, found.certificates.values())}
    there = [*folder.certificates.rglob("*"), *folder.surfaces.rglob("*")]
    names = sorted(path.relative_to(folder.root).as_posix() for path in {*there} - known)
    return [*problems, *(f"'{one_line(name, NAME)}' belongs to no record." for name in names)]
