"""Figures of rows and options whose names are formulas, controls or very long."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hostile import HOSTILE, TEXTS
from records import make_record

from robench.figures.curves import draw
from robench.figures.drawing import save
from robench.records.curves import Curve, CurvesPart
from robench.records.record import Record

pytest.importorskip("matplotlib")

NAMES = ("formula", "open formula", "nul", "colours", "surrogate", "long", "html")


def _record(text: str, population: int) -> Record:
    text = text.replace("\ud800", "")
    record = make_record(
        "WFFHHHHHHP",
        label=f"_{text}",
        attack=f"a {text}",
        attack_label=f"a {text} {population}",
        attack_options={f"o {text}": population},
    )
    curve = Curve(at_most=(1, 2), fooled=(1, 2))
    curves = CurvesPart(queries=curve, words=curve)
    return record.model_copy(update={"curves": curves})


@pytest.mark.parametrize("text", [TEXTS[name] for name in NAMES] + [HOSTILE], ids=[*NAMES, "all"])
def test_a_figure_is_drawn_and_names_every_line(tmp_path: Path, text: str) -> None:
    records = [_record(text, 1), _record(text, 2)]
    figure = draw(records)
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 2
    for ending in ("png", "svg"):
        save(figure, tmp_path / f"x.{ending}")
    root = ElementTree.parse(tmp_path / "x.svg").getroot()
    assert not [each for each in root.iter() if each.tag.endswith(("script", "foreignObject"))]
    assert (tmp_path / "x.svg").stat().st_size < 3_000_000
