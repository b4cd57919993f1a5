"""Decide whether the search processes of a device share one victim, and say what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.evaluation.cell import Cell
    from robench.search.worker_plan import Sharing


@dataclass(frozen=True)
class Decision:
    """How the search processes of a cell use their devices.

    Attributes:
        sharing: what they need in order to share; None if each has a victim of its own.
        sentence: for the user; None if there was nothing to decide.
    """

    sharing: Sharing | None
    sentence: str | None


def decide_sharing(cell: Cell, workers: int, *, possible: bool) -> Decision:
    """Decide for the search processes of a cell.

    They share a victim where several of them use one device, where the victim has a queue of
    forward passes (on a GPU), and where a search needs nothing of it but answers.

    Args:
        cell: the cell.
        workers: number of search processes.
        possible: whether the backend can share devices.
    """
    from robench.search.workers import devices_of

    wanted, device = cell.request.share_device, cell.resolved.device
    devices = devices_of(device)
    on_a_gpu = device.startswith("cuda")
    reason = _why_not(cell, workers, len(devices), possible)
    if reason is None and wanted is not False:
        return Decision(_sharing_of(cell), _shared(workers, devices))
    if wanted:
        return Decision(None, f"{_capital(reason or '')}, so --share-device has no effect.")
    if not on_a_gpu or not possible or workers <= len(devices):
        return Decision(None, None)
    why = "(--no-share-device)" if wanted is False else f"because {reason}"
    return Decision(
        None, f"Each of the {workers} search processes has a victim of its own on {device} {why}."
    )


def _why_not(cell: Cell, workers: int, devices: int, possible: bool) -> str | None:
    """Return why the search processes cannot share a victim; None if they can."""
    from robench.search.shared_device.messages import can_hand_on

    victim, attack = cell.victim.victim, cell.attack
    make_queue = getattr(victim, "forward_queue", None)
    if not possible:
        return f"the backend {cell.request.backend} gives each search process a device"
    if workers <= devices:
        return "no two search processes use the same device"
    if cell.victim.obtained.read is None:
        return "robench did not train the victim"
    if getattr(victim, "smoother", None) is not None:
        return "the victim is randomised"
    if make_queue is None or make_queue() is None:
        return f"the victim has no queue of forward passes on {cell.resolved.device}"
    if attack.attack.access == "gradients":
        return f"attack '{attack.registered}' needs gradients"
    if not attack.built_in:
        return f"attack '{attack.registered}' is not a built-in, and its victim is checked after it"
    if not can_hand_on():
        return "this system cannot hand sockets to other processes"
    return None


def _sharing_of(cell: Cell) -> Sharing:
    from robench.search.worker_plan import Sharing

    victim, read = cell.victim.victim, cell.victim.obtained.read
    assert read is not None
    return Sharing(read, len(victim.labels), victim.encoder_fields.max_tokens)


def _shared(workers: int, devices: list[str]) -> str:
    if len(devices) == 1:
        return f"{workers} search processes share one victim on {devices[0]}."
    return f"{workers} search processes share {len(devices)} victims, one on each GPU."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
