"""What a record says about the surface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from victim_cases import planted

from robench.protocol import get_protocol
from robench.text.substitutions import load_substitutions
from robench.text.surface_building import SurfaceRequest
from robench.text.surface_rules import surface_rules

BASE = SurfaceRequest(
    examples=planted("test", 8, 4),
    attackable="text",
    task="toy",
    digest="0" * 64,
    substitutions=load_substitutions("mini", None),
    protocol=get_protocol("rift2021"),
    scorer=None,
    max_words=16,
)


def rules(request: SurfaceRequest) -> str:
    return surface_rules(request.ingredients)


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, examples=BASE.examples[:3]),
        replace(BASE, digest="1" * 64),
        replace(BASE, protocol=get_protocol("subword")),
    ],
)
def test_examples_and_protocol_are_no_rules(other: SurfaceRequest) -> None:
    assert other.key != BASE.key
    assert rules(other) == rules(BASE)


def test_substitutes_and_their_places_are_rules(tmp_path: Path) -> None:
    path = tmp_path / "half.json"
    path.write_text('{"good": ["fine"]}')
    half = load_substitutions(str(path), None)
    others = [replace(BASE, substitutions=half), replace(BASE, max_words=17)]
    assert len({rules(each) for each in (BASE, *others)}) == 3
