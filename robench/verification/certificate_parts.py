"""Compare the fields of a certificate with what its victim and its options give here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from robench.records.certificate import row_of

if TYPE_CHECKING:
    from robench.certification.provers import Certifier
    from robench.records.certificate import Certificate
    from robench.verification.victims import StoredVictim


def certificate_differences(
    certificate: Certificate, resolved: StoredVictim, certifier: Certifier
) -> list[str]:
    """Return the fields in which a certificate differs from what its victim gives.

    The findings of the victim are left out: the records of the victim have them.

    Args:
        certificate: the certificate.
        resolved: its victim in memory.
        certifier: its method on that victim.
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
        "victim": part,
        "row": row_of(part, defense.label),
        "row_name": part.name or defense.name,
        "protocol": replace(resolved.protocol, **chosen),
        "options": certifier.options,
        "smoothed": certifier.smoothed,
        "error": certifier.options.get("alpha"),
    }
    return [
        f"its '{name}' is not what its victim and its options give"
        for name, value in wanted.items()
        if getattr(certificate, name) != value
    ]
