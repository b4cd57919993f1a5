"""Which surfaces of a run are built by several processes, and that a run builds them so."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from robench._base.reporting import Silent
from robench.evaluation import surfaces
from robench.evaluation.request import build_request
from robench.evaluation.resolve import resolve_request
from robench.models.given.function import FunctionVictim
from robench.search import workers
from robench.text import scoring_processes

# The embedded language model is loaded.
pytestmark = pytest.mark.slow


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of processes that were asked for, where any text is worth one."""
    found: list[int] = []

    def note(wanted: Any, build: Any, number: int) -> Any:
        assert build().identity == wanted.scorer.identity
        found.append(number)
        return nullcontext(wanted)

    monkeypatch.setattr(scoring_processes, "WORDS_PER_PROCESS", 1)
    monkeypatch.setattr(scoring_processes, "scoring_in_processes", note)
    monkeypatch.setattr(surfaces, "available_cores", lambda: 4)
    return found


@pytest.mark.parametrize(
    ("changes", "device", "needed", "number"),
    [
        ({}, "cpu", True, [4]),
        ({"workers": 2}, "cpu", True, [2]),
        ({"workers": 8}, "cpu", True, [4]),
        ({"workers": 1}, "cpu", True, []),
        ({"lm": "none"}, "cpu", True, []),
        ({}, "cuda", True, []),
        ({}, "cpu", False, []),
    ],
)
def test_the_number_of_processes(
    numbers: list[int], changes: dict[str, Any], device: str, needed: bool, number: list[int]
) -> None:
    request = build_request(
        defenses=("standard",), attacks=("genetic",), limit=20, device="cpu", **changes
    )
    resolved = resolve_request(request, Silent())
    wanted = resolved.surface_request(resolved.tasks[0], resolved.tasks[0].tests[0])
    resolved = replace(resolved, device=device)
    with surfaces._scored_by_several(request, resolved, wanted, needed=needed) as scored:
        assert scored is wanted
    assert numbers == number


def test_memory_bounds_the_processes(numbers: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "available_memory", lambda: int(2e9))
    request = build_request(defenses=("standard",), attacks=("genetic",), limit=20, device="cpu")
    resolved = resolve_request(request, Silent())
    wanted = resolved.surface_request(resolved.tasks[0], resolved.tasks[0].tests[0])
    with surfaces._scored_by_several(request, resolved, wanted, needed=True):
        pass
    assert numbers == [3]


def test_functions_get_no_process_that_would_run_their_script_again(numbers: list[int]) -> None:
    request = build_request(attacks=("genetic",), limit=20, device="cpu")
    function = FunctionVictim(
        lambda texts: [[0.5, 0.5] for _ in texts],
        ("negative", "positive"),
        ("text",),
        "text",
        name="even",
        identity="1",
        task="mini-reviews",
    )
    resolved = resolve_request(request, Silent(), functions=[function])
    wanted = resolved.surface_request(resolved.tasks[0], resolved.tasks[0].tests[0])
    with surfaces._scored_by_several(request, resolved, wanted, needed=True):
        pass
    assert numbers == []


def test_a_run_builds_its_surface_so_once(numbers: list[int], tmp_path: Path) -> None:
    request = build_request(
        defenses=("standard",), attacks=("genetic",), limit=20, device="cpu", out=tmp_path
    )
    resolved = resolve_request(request, Silent())
    task = resolved.tasks[0]
    first, second = (
        surfaces.load_or_build_surfaces(request, resolved, task, task.tests[0], Silent())
        for _ in range(2)
    )
    assert numbers == [4]
    assert first[""].meta == second[""].meta
