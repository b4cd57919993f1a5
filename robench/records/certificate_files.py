"""Read and write certificate files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from robench._base.bounded_reading import (
    RECORD,
    NoRegularFile,
    Unreadable,
    check_value,
    read_json,
)
from robench._base.errors import RobenchError
from robench._base.seals import SealBroken, without_seal
from robench.records.certificate import SCHEMA, Certificate
from robench.records.part import write_sealed

_SHORT = replace(RECORD, text=10_000)


def write_certificate(path: Path, certificate: Certificate) -> None:
    """Write ``certificate`` to ``path``, whole or not at all.

    Raises:
        RobenchError: the file cannot be written.
    """
    write_sealed(path, certificate)


def read_certificate(path: Path) -> Certificate:
    """Return the certificate in ``path``.

    Raises:
        RobenchError: the file cannot be read, or holds no valid certificate.
    """
    remedy = "Delete it, and run 'robench certify' again."
    try:
        raw = read_json(path, RECORD, inside=path.parent)
        # One letter for each example: only that text may be long.
        check_value({**raw, "letters": ""} if isinstance(raw, dict) else raw, path, _SHORT)
    except NoRegularFile as error:
        raise RobenchError(f"No certificate: {path} ({error.reason}). {error.remedy}") from error
    except Unreadable as error:
        raise RobenchError(
            f"Cannot read the certificate {path} ({error.reason}). {remedy}"
        ) from error
    version = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(version, int) and version > SCHEMA:
        raise RobenchError(
            f"The certificate {path} has schema {version}, and this robench reads {SCHEMA}. "
            "Update robench."
        )
    try:
        # Certificates of earlier versions have no seal.
        content = without_seal(raw, required=False) if isinstance(raw, dict) else raw
    except SealBroken as error:
        raise RobenchError(
            f"The certificate {path} was changed after it was written ({error}). {remedy}"
        ) from error
    try:
        return Certificate.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "certificate"
        raise RobenchError(
            f"The certificate {path} is not valid at '{where}' ({first['msg']}). {remedy}"
        ) from error


@dataclass(frozen=True)
class CertificatesOnDisk:
    """Certificates of a folder, including those that cannot be read; both sorted by file name.

    Attributes:
        certificates: file name -> certificate.
        damaged: file name -> why it cannot be read.
    """

    certificates: Mapping[str, Certificate]
    damaged: Mapping[str, str]


NO_CERTIFICATES = CertificatesOnDisk({}, {})


def find_certificates(folder: Path) -> CertificatesOnDisk:
    """Return all certificates of ``folder``, readable or not; a missing folder has none."""
    certificates: dict[str, Certificate] = {}
    damaged: dict[str, str] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            certificates[path.name] = read_certificate(path)
        except RobenchError as error:
            damaged[path.name] = str(error)
    return CertificatesOnDisk(certificates, damaged)
