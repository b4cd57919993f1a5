"""Invented records for tests of everything that reads records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from robench.protocol import get_protocol
from robench.records.record import Record, count, digest_of_ids
from robench.records.verified import VerifiedRecord

COST = {
    "training_seconds": 12.5,
    "attack_seconds": 3.25,
    "asked": 400,
    "forwarded": 300,
    "peak_memory_bytes": 2**20,
    "missing": {},
}

GIVEN = {
    "source": "model",
    "architecture": "BertForSequenceClassification",
    "max_tokens": 512,
    "label_map": {},
}


def sha(text: str) -> str:
    """Return the hash of ``text``, for fields that need a hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_record(
    outcomes: str,
    *,
    defense: str = "standard",
    given: str | None = None,
    label: str | None = None,
    attack: str = "genetic",
    attack_label: str | None = None,
    searches: bool = True,
    access: str | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    attack_options: Mapping[str, Any] | None = None,
    limit: int | None = None,
    examples: int | None = None,
    cost: Mapping[str, Any] | None = None,
    protocol: str = "rift2021",
    task: Mapping[str, Any] | None = None,
    encoder: Mapping[str, Any] | None = None,
    victim: Mapping[str, Any] | None = None,
    surface: Mapping[str, Any] | None = None,
    search: Mapping[str, Any] | None = None,
    code: str | None = None,
    attack_code: str | None = None,
    disbelieved: int | None = 0,
    trained_on: Mapping[str, Any] | None = None,
    unknown: Mapping[str, Any] | None = None,
    by_label: Mapping[str, tuple[int, int, int, int]] | None = None,
    version: str = "0.1.0",
    created: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
) -> Record:
    """Return a record with these outcomes. The mappings override fields of its parts.

    ``given`` is the name of a victim that robench did not train. ``by_label`` holds, for each
    label, the numbers of its examples, of the answers, of the right ones and of the robust ones.
    """
    label, attack_label = label or defense, attack_label or attack
    return Record(
        cell=sha(f"{given or label} {attack_label} {seed}"),
        task={
            "name": "toy",
            "test_name": "frozen-1000",
            "digest": sha("toy"),
            "examples": examples or len(outcomes),
            "train_pool": "train",
            "synthetic": True,
        }
        | dict(task or {}),
        encoder=None if given else {"name": "tiny", "sha256": sha("tiny")} | dict(encoder or {}),
        defense=None
        if given
        else {
            "name": defense,
            "label": label,
            "options": dict(options or {}),
            "code_sha256": code,
        },
        attack={
            "name": attack,
            "label": attack_label,
            "options": dict(attack_options or {}),
            "code_sha256": attack_code or sha(attack),
            "searches": searches,
            "access": access,
        },
        protocol=get_protocol(protocol),
        victim={
            "kind": "given" if given else "trained",
            "name": given,
            "sha256": sha(f"{given or label} {'' if given else seed}"),
            "configuration": sha(f"conf {given or label} {seed}"),
            "training_code_sha256": None if given else sha("training"),
            "precision": None if given else "fp32",
            "findings": (),
            "given": GIVEN if given else None,
        }
        | dict(victim or {}),
        surface={
            "key": sha("surface"),
            "language_model": "masked:tiny",
            "constrained": attack == "genetic",
        }
        | dict(surface or {}),
        search={"code_sha256": sha("search"), "seed": seed, "budget": None, "precision": "fp32"}
        | dict(search or {}),
        by_label=None
        if by_label is None
        else [
            dict(zip(("examples", "answered", "right", "robust"), numbers, strict=True))
            | {"label": label}
            for label, numbers in by_label.items()
        ],
        limit=limit,
        outcomes=outcomes,
        ids_digest=digest_of_ids(str(i) for i in range(len(outcomes))),
        counts=count(outcomes),
        disbelieved=disbelieved,
        trained_on=trained_on,
        unknown=unknown,
        cost=COST | dict(cost or {}),
        software={"robench": version, "versions": {"torch": "2.13.0"}, "device": "CPU, 2 cores"},
        created=created,
    )


def verified_entry(record: Record, checked: datetime | None = None) -> VerifiedRecord:
    """Return what ``verified.json`` says of a record that holds."""
    return VerifiedRecord(
        file=record.file_name,
        checks=("trials",),
        examples=len(record.outcomes),
        fooled=record.counts.fooled,
        searched=record.counts.fooled + record.counts.held,
        proved=0,
        sample=0.1,
        seed=0,
        same_software=True,
        trials=None if record.trials is None else record.trials.sha256,
        victim=record.victim.sha256,
        robench=record.software.robench,
        checked=checked or record.created,
    )
