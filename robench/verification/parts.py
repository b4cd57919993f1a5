"""Make a record again from its trials and victim, and compare it with the file; and its key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import robench
from robench._base import arithmetic
from robench._base.code_hash import source_sha256
from robench._base.environment import describe_device, versions
from robench._base.key_code import TRIAL_CODE, TRIAL_SOFTWARE
from robench.evaluation.cell import cell_key
from robench.evaluation.record_assembly import assemble_record
from robench.records.certificate import Certificate
from robench.records.invented_names import leading_name
from robench.records.record import Record, SoftwarePart, VictimPart
from robench.search.attack import Trial

if TYPE_CHECKING:
    from robench.evaluation.cell import Cell
    from robench.evaluation.resolved import ResolvedAttack

_ELSEWHERE: Final = {
    "schema_version": "the version of the format",
    "cell": "compared by itself",
    "trials": "compared by itself",
    "cost": "compared with the trials, or measured",
    "software": "of the run",
    "created": "of the run",
    "search.code_sha256": "of the run",
    "attack.code_sha256": "of the run",
    "search.example_seconds": "of the run; compared with the trials that it ended",
    "victim.findings": "compared by itself",
}
"""Fields that are not compared here -> why."""
_OF_SURFACE: Final = ("surface.key", "surface.rules", "surface.own_key", "surface.splitter")
"""Fields that depend on the code of the surface."""
_EARLIER_FIRST_EPOCH: Final = re.compile(
    r"(?P<start>first-epoch: '.*' is the first of its \d+ epochs), so the others did not improve "
    r"it\. Lower the learning rate, or look at the rule that chose it \((?P<rule>select=\w+)\)\."
)
"""The finding of the same name before it said what the later epochs had."""
_DEVICES: Final = ("cpu", "cuda", "mps")
"""Kinds of devices that may be in a key."""


def same_code(record: Record, attack: ResolvedAttack) -> list[str]:
    """Return what differs between the code and software of a record and those here."""
    found = []
    if record.search.code_sha256 != source_sha256(*TRIAL_CODE):
        found.append("other code of robench's searches")
    if record.attack.code_sha256 != attack.code_sha256:
        found.append("other code of the attack")
    return [*other_software(record.software), *found]


def believed(record: Record, trials: Sequence[Trial] | None) -> str:
    """Return which parts of a key that cannot be computed here nothing can be compared with."""
    names = ["the key", "the code", "the software", "the device"]
    budget = record.search.budget
    # A search that spent the budget shows it; check_trial refuses one that asked more.
    if budget is not None and not any(trial.asked >= budget for trial in trials or ()):
        names.append(f"the budget of {budget} queries, which no search spent")
    return f"Nothing but the record says {', '.join(names[:-1])} and {names[-1]}."


def other_software(software: SoftwarePart) -> list[str]:
    """Return in which versions of software a run differs from this process."""
    found, here = [], versions()
    if software.robench != robench.__version__:
        found.append(f"robench {software.robench} instead of {robench.__version__}")
    for name in TRIAL_SOFTWARE:
        theirs = software.versions.get(name, "an unknown version")
        if theirs != here.get(name):
            found.append(f"{name} {theirs} instead of {here.get(name)}")
    return found


def same_processor(record: Record | Certificate, device: str) -> bool:
    """Return whether the record's run had a processor of the same model; cores do not count."""
    theirs, ours = record.software.device, describe_device(device)
    return theirs.partition(" (")[0] == ours.partition(" (")[0]


def keys_of(cell: Cell, made_from: Mapping[str, Any], *, older: bool) -> Iterator[tuple[str, bool]]:
    """Yield the keys that a cell may have on any device, and whether they are those of this one.

    Args:
        cell: the cell.
        made_from: what made its surface.
        older: whether an earlier version may have made the key, in which the hash of the weights
            stood for the victim.
    """
    here, device = arithmetic.products(), cell.resolved.device.partition(":")[0]
    identities = [cell.victim.obtained.identity]
    identities += [cell.victim.victim.sha256] if older else []
    for kind, products in machines(device):
        for identity in identities:
            key = cell_key(
                cell.request,
                cell.resolved,
                identity,
                cell.attack,
                made_from,
                cell.victim.calibration,
                device=kind,
                products=products,
            )
            yield key, (kind, products) == (device, here)


def machines(device: str) -> Iterator[tuple[str, str]]:
    """Yield the kinds of device and settings of matrix products of a key, this machine's first.

    Args:
        device: kind of the device here.
    """
    settings = dict.fromkeys((arithmetic.products(), arithmetic.STRICT, arithmetic.DEFAULT))
    for kind in dict.fromkeys((device, *_DEVICES)):
        for products in settings:
            yield kind, products


def remade(cell: Cell, record: Record, trials: Sequence[Trial]) -> Record:
    """Return the record that these trials give now."""
    return assemble_record(cell, trials, record.cost)


def part_differences(
    record: Record,
    now: Record,
    *,
    surface_code: bool,
    same_numbers: bool,
    may_lack: Collection[str] = (),
) -> list[str]:
    """Return the fields in which a record differs from the one that its trials give now.

    Args:
        record: the record.
        now: the record that was made again.
        surface_code: whether the surface was made by the same code.
        same_numbers: whether the same software and processor answer. Otherwise the answers with
            fresh random variants may differ.
        may_lack: names of fields that the record's run may not have measured. That such a field is
            not there is no difference.
    """
    skipped = dict(_ELSEWHERE)
    skipped |= {} if surface_code else dict.fromkeys(_OF_SURFACE, "other code")
    skipped |= {} if same_numbers else {"fresh_draws": "other software"}
    skipped |= {} if record.victim.identity else {"victim.identity": "not in every record"}
    theirs, ours = (each.model_dump(mode="json") for each in (record, now))
    return [
        f"'{name}' is {_shown(was)}, and its files give {_shown(new)}"
        for name, was, new in _differing(theirs, ours, "")
        if not (was is None and name in may_lack)
        and not any(name == each or name.startswith(f"{each}.") for each in skipped)
    ]


def _differing(was: Any, now: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name of each field that differs, with both values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}):
            path = f"{name}.{key}" if name else key
            yield from _differing(was.get(key), now.get(key), path)
    elif was != now:
        yield name, was, now


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:57]}…"


def finding_problems(claimed_findings: Sequence[str], real_findings: Sequence[str]) -> list[str]:
    """Return which findings of the health checks a record leaves out or adds, by their names.

    Args:
        claimed_findings: those of the record.
        real_findings: those that the health checks make here.
    """
    claimed = {_name(each) for each in claimed_findings}
    real = {_name(each): each for each in real_findings}
    found = [
        f"the record leaves out the finding '{sentence}'"
        for name, sentence in real.items()
        if name not in claimed
    ]
    found += [
        f"the record has the finding '{name}', which the health checks do not make"
        for name in sorted(claimed - set(real))
    ]
    return found


def reworded_findings(claimed: Sequence[str], real: Sequence[str]) -> list[str]:
    """Return which findings of a record have other sentences, and so other numbers, than here.

    Args:
        claimed: the findings of the record.
        real: those that the health checks make here.
    """
    by_name = {_name(each): each for each in real}
    return [
        f"the record has the finding '{each}', and the health checks say '{by_name[_name(each)]}'"
        for each in claimed
        if by_name.get(_name(each), each) != each and not _says_the_same(each, by_name[_name(each)])
    ]


def _says_the_same(earlier: str, now: str) -> bool:
    """Return whether a finding is an earlier robench's sentence about the same epochs and rule."""
    found = _EARLIER_FIRST_EPOCH.fullmatch(earlier)
    return found is not None and now.startswith(f"{found['start']}, and the rule {found['rule']} ")


def _name(finding: str) -> str:
    return finding.partition(":")[0]


def name_problems(part: VictimPart, defense: str, registered: Collection[str]) -> list[str]:
    """Return a sentence where a victim's name begins like a defense that did not train it.

    Args:
        part: what a record or certificate says of the victim.
        defense: name of the defense that trained it, by its card.
        registered: names of the defenses.
    """
    name = part.name or defense
    if leading_name(name, {*registered, defense}) in (None, defense):
        return []
    return [f"its victim is called '{name}', but the defense '{defense}' trained it"]


def trained_in_its_run(part: VictimPart) -> bool:
    """Return whether the run of a record trained its victim, and so split the user's own file.

    A victim that robench trained earlier and that the user named is one that was given to the run.
    """
    return part.kind == "trained" and part.name is None


def seed_problems(part: VictimPart, seed: int, card: Mapping[str, Any]) -> list[str]:
    """Return a sentence where a seed is not that of the training, which it decides as well.

    Args:
        part: what a record or certificate says of the victim. A saved victim that got a name may
            be attacked with any seed.
        seed: the seed of the record or certificate.
        card: the victim's card.
    """
    trained = card["ingredients"].get("seed")
    if part.name is not None or trained == seed:
        return []
    return [f"its seed is {seed}, and its victim was trained with seed {trained}"]


def card_problems(card: Mapping[str, Any]) -> list[str]:
    """Return a sentence where the key on a victim's card does not follow from its ingredients."""
    text = json.dumps(
        card.get("ingredients"),
        sort_keys=True,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    if hashlib.sha256(text.encode()).hexdigest() == card.get("key"):
        return []
    return ["the key on the victim's card does not follow from what the card says of its training"]
