"""Which certificates belong to a board: those about the victims and the space of its records.

A certificate that does not belong is refused with a reason. It is never dropped silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from robench._base.errors import RobenchError
from robench.records.board import Board, records_folder
from robench.records.certificate import Certificate
from robench.records.certificate_files import find_certificates
from robench.records.comparable import without
from robench.records.record import Record
from robench.records.run_folder import RunFolder
from robench.records.sandwich import about_same_victim, in_same_rules, on_same_test

FOLDER: Final = RunFolder(Path()).certificates.name
"""Folder of a board's certificates, inside the folder of its records."""


@dataclass(frozen=True)
class AdmittedCertificates:
    """Certificates by file name, sorted into those that count and those that do not.

    Attributes:
        certificates: certificates that count.
        reasons: file name -> why the certificate does not count.
    """

    certificates: Mapping[str, Certificate]
    reasons: Mapping[str, str]


def board_certificates(path: Path, board: Board, records: Iterable[Record]) -> AdmittedCertificates:
    """Read and sort the certificates that lie beside the records of a board.

    Args:
        path: the board's TOML file.
        board: the board.
        records: records that count on the board.

    Raises:
        RobenchError: a certificate cannot be read, because a board is made from all of its
            certificates or not at all.
    """
    found = find_certificates(records_folder(path, board) / FOLDER)
    if found.damaged:
        reason = next(iter(found.damaged.values()))
        raise RobenchError(
            f"The board {path} cannot be made without all of its certificates. {reason}"
        )
    return admit_certificates(found.certificates, records)


def admit_certificates(
    certificates: Mapping[str, Certificate], records: Iterable[Record]
) -> AdmittedCertificates:
    """Sort certificates into those about the board's records and those that do not belong.

    Args:
        certificates: file name -> certificate.
        records: records that count on the board.
    """
    known = list(records)
    found = {name: _misfit(each, known) for name, each in certificates.items()}
    reasons = {name: reason for name, reason in found.items() if reason is not None}
    reasons |= _duplicates(without(certificates, reasons))
    return AdmittedCertificates(without(certificates, reasons), dict(sorted(reasons.items())))


def _misfit(certificate: Certificate, records: Sequence[Record]) -> str | None:
    """Return why ``certificate`` does not belong to ``records``, or None if it does."""
    if certificate.limit is not None:
        return (
            f"only {certificate.n} of {certificate.task.examples} examples were certified (--limit)"
        )
    about = [each for each in records if about_same_victim(certificate, each)]
    if not about:
        return (
            f"no record of the board is about its victim '{certificate.row}', seed "
            f"{certificate.seed} ({certificate.victim.sha256[:12]}…)"
        )
    judged = [each for each in about if on_same_test(certificate, each)]
    if not judged:
        return "its test examples or its protocol are not those of the board's records"
    if not any(in_same_rules(certificate, each) for each in judged):
        return "its space is not that of the board's records: the surface or the language model"
    return None


def _duplicates(certificates: Mapping[str, Certificate]) -> dict[str, str]:
    """Return certificates that claim the same line, with the reason why they are refused.

    All of them are refused, because nothing says which one counts.
    """
    groups: dict[tuple[object, ...], list[str]] = {}
    for name, each in certificates.items():
        space = (each.space.constrained, each.protocol.name)
        line = (each.row, each.smoothed, each.seed, each.method, *space)
        groups.setdefault(line, []).append(name)
    return {
        name: f"also claimed by {', '.join(other for other in names if other != name)}; keep one"
        for names in groups.values()
        if len(names) > 1
        for name in names
    }
