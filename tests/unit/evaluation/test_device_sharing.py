"""When several search processes of a device share a victim, and what is said about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from robench.evaluation.device_sharing import decide_sharing

GPU = "cuda"
READ: Any = len


def cell(
    device: str = GPU,
    wanted: bool | None = None,
    *,
    queue: bool = True,
    smoother: object = None,
    read: Any = READ,
    access: str = "probabilities",
    built_in: bool = True,
) -> Any:
    victim = SimpleNamespace(
        labels=("no", "yes", "maybe"),
        encoder_fields=SimpleNamespace(max_tokens=77),
        smoother=smoother,
        forward_queue=lambda: object() if queue else None,
    )
    return SimpleNamespace(
        request=SimpleNamespace(share_device=wanted, backend="ray"),
        resolved=SimpleNamespace(device=device),
        victim=SimpleNamespace(victim=victim, obtained=SimpleNamespace(read=read)),
        attack=SimpleNamespace(
            registered="swap", built_in=built_in, attack=SimpleNamespace(access=access)
        ),
    )


@pytest.fixture(autouse=True)
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "robench.search.workers.devices_of",
        lambda device: ["cuda:0", "cuda:1"] if device == "cuda" else [device],
    )


@pytest.mark.parametrize("wanted", [None, True])
def test_several_search_processes_of_a_gpu_share_its_victim(wanted: bool | None) -> None:
    found = decide_sharing(cell(wanted=wanted), 6, possible=True)
    assert found.sentence == "6 search processes share 2 victims, one on each GPU."
    assert found.sharing is not None
    assert (found.sharing.classes, found.sharing.longest) == (3, 77)
    assert found.sharing.read is READ
    one = decide_sharing(cell("cuda:1", wanted), 2, possible=True)
    assert one.sentence == "2 search processes share one victim on cuda:1."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"access": "gradients"}, "attack 'swap' needs gradients"),
        (
            {"built_in": False},
            "attack 'swap' is not a built-in, and its victim is checked after it",
        ),
        ({"smoother": object()}, "the victim is randomised"),
        ({"read": None}, "robench did not train the victim"),
        ({"queue": False}, "the victim has no queue of forward passes on cuda"),
    ],
)
def test_what_cannot_be_shared_is_said(changes: dict[str, Any], reason: str) -> None:
    found = decide_sharing(cell(**changes), 4, possible=True)
    assert found.sharing is None
    assert found.sentence == (
        f"Each of the 4 search processes has a victim of its own on cuda because {reason}."
    )
    wanted = decide_sharing(cell(wanted=True, **changes), 4, possible=True)
    assert wanted.sharing is None
    assert wanted.sentence is not None
    assert wanted.sentence == f"{reason[0].upper()}{reason[1:]}, so --share-device has no effect."


def test_a_user_may_want_a_victim_for_each_process() -> None:
    found = decide_sharing(cell(wanted=False), 4, possible=True)
    assert found.sharing is None
    assert found.sentence == (
        "Each of the 4 search processes has a victim of its own on cuda (--no-share-device)."
    )


@pytest.mark.parametrize("wanted", [None, False])
@pytest.mark.parametrize(
    ("device", "workers", "queue"), [("cpu", 4, False), (GPU, 2, True), (GPU, 1, True)]
)
def test_where_nothing_could_be_shared_nothing_is_said(
    wanted: bool | None, device: str, workers: int, queue: bool
) -> None:
    found = decide_sharing(cell(device, wanted, queue=queue), workers, possible=True)
    assert (found.sharing, found.sentence) == (None, None)


@pytest.mark.parametrize(
    ("device", "workers", "possible", "reason"),
    [
        ("cpu", 4, True, "The victim has no queue of forward passes on cpu"),
        (GPU, 2, True, "No two search processes use the same device"),
        (GPU, 4, False, "The backend ray gives each search process a device"),
    ],
)
def test_a_wish_without_effect_is_named(
    device: str, workers: int, possible: bool, reason: str
) -> None:
    found = decide_sharing(cell(device, True, queue=device != "cpu"), workers, possible=possible)
    assert found.sharing is None
    assert found.sentence == f"{reason}, so --share-device has no effect."


def test_a_system_that_cannot_hand_sockets_on_does_not_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("robench.search.shared_device.messages.can_hand_on", lambda: False)
    found = decide_sharing(cell(), 4, possible=True)
    assert found.sharing is None
    assert "this system cannot hand sockets" in str(found.sentence)
