"""Compare the fields of a certificate with what its victim and its options give here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from robench._base.code_hash import source_sha256
from robench.certification.keys import CODE, KeyParts, certificate_key
from robench.records.certificate import row_of
from robench.verification.parts import machines, other_software
from robench.verification.searching import MOST_DIFFERENT

if TYPE_CHECKING:
    from robench.certification.provers import Certifier
    from robench.certification.results import ExampleResult
    from robench.records.certificate import Certificate
    from robench.records.record import TaskPart
    from robench.verification.victims import StoredVictim

OF_CODE: Final = frozenset({"options", "smoothed", "error"})
"""Fields that other code of the proofs may write otherwise."""


def certificate_differences(
    certificate: Certificate, resolved: StoredVictim, certifier: Certifier, task: TaskPart
) -> dict[str, str]:
    """Return the fields in which a certificate differs from what its victim gives, with a sentence.

    The findings of the victim are left out: the records of the victim have them.

    Args:
        certificate: the certificate.
        resolved: its victim in memory.
        certifier: its method on that victim.
        task: what is said about its examples here.
    """
    obtained = resolved.loaded
    assert obtained is not None
    part = resolved.victim_part(obtained, certificate.victim.findings)
    if certificate.victim.identity is None:
        # An earlier version did not write it.
        part = part.model_copy(update={"identity": None})
    defense = resolved.defense_part(obtained)
    chosen = {name: getattr(certificate.protocol, name) for name in ("unknown", "temperature")}
    wanted: dict[str, Any] = {
        "task": task,
        "victim": part,
        "row": row_of(part, defense.label),
        "row_name": part.name or defense.name,
        "protocol": replace(resolved.protocol, **chosen),
        "options": certifier.options,
        "smoothed": certifier.smoothed,
        "error": certifier.options.get("alpha"),
    }
    return {
        name: f"its '{name}' is not what its victim and its options give"
        for name, value in wanted.items()
        if getattr(certificate, name) != value
    }


def proof_differences(
    certificate: Certificate, again: Mapping[int, ExampleResult], *, exact: bool
) -> tuple[list[str], list[str]]:
    """Compare a certificate with verdicts that were made again.

    Elsewhere last bits and other random numbers can turn a verdict. A few differences are then no
    failure, but the certificate is not verified, because it alone says which software made it.

    Args:
        certificate: the certificate.
        again: number of an example -> its new verdict.
        exact: whether the same code, software and kind of processor made both.

    Returns:
        The differences, and those that other software may explain.
    """
    found = []
    for number, now in again.items():
        was, positions = certificate.letters[number], certificate.positions[number]
        if was != now.letter:
            found.append(f"the letter of {now.id} is {was}, and its proof gives {now.letter}")
        elif positions != now.positions:
            found.append(f"{now.id} has {positions} positions, and its space has {now.positions}")
    if exact or len(found) > max(1, MOST_DIFFERENT * len(again)):
        return found, []
    return [], found


def other_code(certificate: Certificate) -> list[str]:
    """Return what differs between the code and software of a certificate and those here."""
    mine = certificate.code_sha256 == source_sha256(*CODE)
    return other_software(certificate.software) + (
        [] if mine else ["other code of robench's proofs"]
    )


def has_key(
    certificate: Certificate,
    resolved: StoredVictim,
    certifier: Certifier,
    made_from: Mapping[str, Any],
) -> bool:
    """Return whether the key of a certificate follows from what made it, on any kind of device.

    Args:
        certificate: the certificate.
        resolved: its victim in memory.
        certifier: its method on that victim.
        made_from: what made its surface.
    """
    obtained = resolved.loaded
    assert obtained is not None
    parts = KeyParts(
        victim=obtained.identity,
        configuration=resolved.key,
        method=certificate.method,
        options=certifier.options,
        made_from=made_from,
        constrained=certificate.space.constrained,
        protocol=resolved.protocol.name,
        seed=certificate.seed,
    )
    kinds = machines(resolved.device.partition(":")[0])
    return any(certificate_key(parts, *each) == certificate.key for each in kinds)
