"""Open a victim for single texts: a folder that robench saved, or a given model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from robench._base.errors import UsageError
from robench._base.files import is_local_path
from robench.evaluation.given_victims import GIVEN_PROTOCOL, is_saved_victim
from robench.protocol import Protocol, get_protocol
from robench.sharing.hub import PREFIX, victim_folder_of
from robench.tasks.base import Task
from robench.tasks.registry import TASKS
from robench.text.substitutions import NAMES

if TYPE_CHECKING:
    from robench.models.judged import JudgedVictim

PAIR = ("text", "pair")
"""Fields of a given model that reads pairs; the second is attacked."""
SINGLE = ("text",)
"""Fields of a given model that reads single texts."""
SUBSTITUTIONS = "counterfitted"
"""Substitution set where the victim's task names none."""


@dataclass(frozen=True)
class OpenedVictim:
    """A victim with what its folder says about texts.

    Attributes:
        victim: the classifier.
        fields: names of its fields, in reading order.
        protocol: the evaluation choices.
        substitutions: substitution set of its task.
        held_out: held-out set of its task.
        remarks: sentences about what was chosen for the user.
    """

    victim: JudgedVictim
    fields: tuple[str, ...]
    protocol: Protocol
    substitutions: str
    remarks: tuple[str, ...]
    held_out: str = Task.held_out


def local_location(location: str) -> str:
    """Return where a victim lies here: ``hf:USER/NAME`` is downloaded, and ``~`` is expanded.

    The folder or hub id of a model stays as it is.

    Raises:
        UsageError: the victim is not on the hub, or the hub cannot be reached.
        RobenchError: a file is not the one on the victim's card.
    """
    if not location.startswith((PREFIX, "~")):
        return location
    return str(victim_folder_of(location))


def fields_of(location: str) -> tuple[str, ...] | None:
    """Return the fields of a saved victim; None for a given model, which may read pairs.

    Raises:
        UsageError: there is no such folder.
    """
    location = local_location(location)
    _check_location(location)
    if not is_saved_victim(location):
        return None
    from robench.models.victim import read_card

    return tuple(read_card(Path(location))["fields"])


def open_victim(
    location: str,
    device: str,
    *,
    pair: bool = False,
    protocol: str | None = None,
    foreign_code: bool = False,
) -> OpenedVictim:
    """Load a victim.

    Args:
        location: folder of a victim or of a model, ``hf:USER/NAME`` for a victim on the Hugging
            Face hub, or the hub id of a model.
        device: a torch device string.
        pair: whether a given model reads pairs. A saved victim knows this itself.
        protocol: name of a protocol; None takes the victim's own.
        foreign_code: whether code of a given model's folder may run.

    Raises:
        UsageError: there is no such victim, or it does not fit.
        RobenchError: a saved victim is damaged.
    """
    location = local_location(location)
    _check_location(location)
    saved = is_saved_victim(location)
    opened = _saved(location, device) if saved else _given(location, pair, device, foreign_code)
    return _with_protocol(opened, protocol, location, saved=saved)


def opened_from(
    victim: JudgedVictim, fields: tuple[str, ...], protocol: str | None
) -> OpenedVictim:
    """Return a victim that is loaded already, with what is known of it.

    Args:
        victim: the classifier.
        fields: names of its fields, in reading order.
        protocol: name of a protocol; None takes the victim's own.

    Raises:
        UsageError: the protocol does not fit.
    """
    own = getattr(victim, "protocol", None)
    substitutions, _ = _substitutions_of(victim)
    chosen, held_out = own or get_protocol(GIVEN_PROTOCOL), _held_out_of(victim)
    opened = OpenedVictim(victim, fields, chosen, substitutions, (), held_out)
    return _with_protocol(opened, protocol, victim.name, saved=own is not None)


def _with_protocol(
    opened: OpenedVictim, protocol: str | None, location: str, *, saved: bool
) -> OpenedVictim:
    """Return the victim under the protocol that the user names, or refuse it."""
    if protocol is None:
        return opened
    chosen = get_protocol(protocol)
    # Choices such as unknown=forbidden belong to the evaluation, and any victim takes them.
    if chosen.base == opened.protocol.base:
        return replace(opened, protocol=chosen)
    if saved:
        raise UsageError(
            f"--protocol {protocol}: the victim '{location}' was trained with protocol "
            f"{opened.protocol.name}. Leave --protocol out."
        )
    if chosen.tokens == "word":
        raise UsageError(
            f"--protocol {protocol} reads exactly one token for each word, and '{location}' was "
            f"not trained that way. Leave --protocol out, which means {GIVEN_PROTOCOL}."
        )
    return replace(opened, protocol=chosen)


def _check_location(location: str) -> None:
    if is_local_path(location) and not Path(location).is_dir():
        raise UsageError(
            f"--victim {location}: there is no such folder. Give the folder of a victim, such as "
            "one in runs/victims, or of a model, the id of a model on the Hugging Face hub, or "
            "hf:USER/NAME for a victim there."
        )


def _saved(location: str, device: str) -> OpenedVictim:
    from robench.models.victim import Victim

    victim = Victim.load(Path(location), device)
    fields = tuple(victim.card["fields"])
    substitutions, remark = _substitutions_of(victim)
    remarks = [
        f"The victim of task '{victim.task}' reads {' and '.join(fields)}"
        + (f"; '{victim.attackable}' is attacked." if len(fields) > 1 else ".")
    ]
    remarks += [] if remark is None else [remark]
    held_out = _held_out_of(victim)
    return OpenedVictim(victim, fields, victim.protocol, substitutions, tuple(remarks), held_out)


def _substitutions_of(victim: JudgedVictim) -> tuple[str, str | None]:
    """Return the substitution set that a victim was trained with, and a remark if it is a guess."""
    card = getattr(victim, "card", {})
    if card.get("substitutions") in NAMES:
        return str(card["substitutions"]), None
    if victim.task in TASKS.names():
        return TASKS.get(victim.task).substitutions, None
    return SUBSTITUTIONS, (
        f"There is no task '{victim.task}' here, so the substitutions are {SUBSTITUTIONS}, unless "
        "--substitutions names others."
    )


def _held_out_of(victim: JudgedVictim) -> str:
    """Return the name of the held-out set of a victim's task."""
    return (TASKS.get(victim.task) if victim.task in TASKS.names() else Task).held_out


def _given(location: str, pair: bool, device: str, foreign_code: bool) -> OpenedVictim:
    from robench.models.given.description import labels_of
    from robench.models.given.loading import load_given
    from robench.models.given.source import GivenSource

    labels, fields = labels_of(location, foreign_code), PAIR if pair else SINGLE
    name = Path(location).name or location
    source = GivenSource(location, labels, fields, fields[-1], name=name, foreign_code=foreign_code)
    what = "a pair, and its second text is attacked" if pair else "one text"
    remarks: tuple[str, ...] = (
        f"'{name}' has the labels {', '.join(labels)} and reads {what}. Protocol "
        f"{GIVEN_PROTOCOL}, because a given model reads its own tokens.",
    )
    victim = load_given(source, device)
    if victim.info.foreign_code:
        remarks += (f"Code of the folder of '{name}' runs, because you allow it.",)
    return OpenedVictim(victim, fields, get_protocol(GIVEN_PROTOCOL), SUBSTITUTIONS, remarks)
