"""Tests that shapes are chosen by how the victim computes, not by the machine's name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_victims import FakeVictim

from robench._base.environment import Precision
from robench.search import packing
from robench.search.packing import choose_shapes
from robench.search.shapes import Shapes

WORDS = {"a": [0.0, 1.0], "b": [1.0, 0.0]}


class FaultyVictim(FakeVictim):
    """A victim whose last bits depend on something that must not matter.

    Args:
        on: "nothing", the "number" of rows in the forward pass, the "place" in it, the
            "neighbour" (the row before), or the "padding" of any other row.
        only: the precision that has the fault; None for both.
    """

    def __init__(self, on: str, only: Precision | None = None) -> None:
        super().__init__(WORDS)
        self._on, self._only = on, only

    def logits(
        self, ids: Any, lengths: Any, types: Any = None, precision: Precision = "fp32"
    ) -> Any:
        sums = (ids * np.arange(1, ids.shape[1] + 1)).sum(axis=1).astype(np.float32)
        logits = np.stack([sums, -sums], axis=1)
        if self._only is None or self._only == precision:
            logits[:, 0] += self._error(ids, lengths)
        return logits

    def _error(self, ids: Any, lengths: Any) -> Any:
        rows, tokens = ids.shape
        return {
            "nothing": 0,
            "number": rows % 7,
            "place": np.arange(rows) % 5,
            "neighbour": np.roll(ids[:, 0], 1),
            "padding": int((lengths < tokens).any()) * 3,
        }[self._on]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_chosen", {})


def test_a_victim_without_faults_keeps_the_usual_shapes() -> None:
    victim = FaultyVictim("nothing")
    assert choose_shapes(victim, "fp32", 50) == (Shapes.of(victim), None)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_dependence_on_the_number_of_rows_leads_to_fixed_shapes(precision: Precision) -> None:
    shapes, remark = choose_shapes(FaultyVictim("number"), precision, 50)
    assert (shapes.fixed, shapes.most) == (True, Shapes().most)
    assert remark is not None
    assert "a fixed number of texts each" in remark


@pytest.mark.parametrize("fault", ["place", "neighbour"])
def test_a_dependence_on_place_or_neighbour_leads_to_single_rows(fault: str) -> None:
    shapes, remark = choose_shapes(FaultyVictim(fault), "fp32", 50)
    assert (shapes.most, shapes.floor) == (1, 1)
    assert remark is not None
    assert "one text each" in remark


def test_a_dependence_on_padding_matters_only_if_rows_are_padded() -> None:
    exact, padded = FaultyVictim("padding"), FaultyVictim("padding")
    assert Shapes.of(exact).exact
    assert choose_shapes(exact, "fp32", 50) == (Shapes.of(exact), None)
    padded.table.mode = "subword"
    assert choose_shapes(padded, "fp32", 50)[0].fixed


def test_a_fault_of_bf16_alone_does_not_slow_fp32_searches() -> None:
    victim = FaultyVictim("number", only="bf16")
    assert not choose_shapes(victim, "fp32", 50)[0].fixed
    assert choose_shapes(victim, "bf16", 50)[0].fixed


def test_a_fault_of_fp32_counts_in_a_bf16_search_too() -> None:
    assert choose_shapes(FaultyVictim("number", only="fp32"), "bf16", 50)[0].fixed


def test_the_remark_is_returned_once_for_a_victim() -> None:
    victim = FaultyVictim("number")
    first, second = choose_shapes(victim, "fp32", 50), choose_shapes(victim, "fp32", 50)
    assert first[0] == second[0]
    assert (first[1] is None, second[1] is None) == (False, True)


class Layered(FaultyVictim):
    """A victim with linear layers and no fault that shows in a few texts."""

    def __init__(self) -> None:
        super().__init__("nothing")
        torch = pytest.importorskip("torch")
        self.model = torch.nn.Sequential(torch.nn.Linear(6, 10), torch.nn.Linear(10, 2))


def test_a_fault_of_products_that_no_text_shows_leads_to_fixed_shapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = []

    def agree(inner: int, outer: int, whole: int, counts: Any, **settings: Any) -> bool:
        tried.append((inner, outer, settings["precision"], bool(counts)))
        return not (settings["precision"] == "bf16" and counts)

    monkeypatch.setattr(packing, "rows_agree", agree)
    victim = Layered()
    assert choose_shapes(victim, "fp32", 50) == (Shapes.of(victim), None)
    assert set(tried) == {(6, 10, "fp32", True), (10, 2, "fp32", True)}
    shapes, remark = choose_shapes(victim, "bf16", 50)
    assert (shapes.fixed, shapes.most, remark is None) == (True, Shapes().most, False)


def test_a_fault_of_products_in_fixed_shapes_too_leads_to_single_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "rows_agree", lambda *_, **__: False)
    assert choose_shapes(Layered(), "fp32", 50)[0].most == 1


def test_another_window_is_another_test_of_the_same_encoder() -> None:
    """Two tasks may share an encoder, and a fault may show in long rows only."""
    victim = FaultyVictim("number")
    victim.encoder_fields.max_tokens = 61
    choose_shapes(victim, "fp32", 50)
    victim.encoder_fields.max_tokens = 250
    choose_shapes(victim, "fp32", 50)
    assert len(packing._chosen) == 2


def test_a_victim_that_cannot_answer_is_left_to_the_search() -> None:
    class Broken(FaultyVictim):
        def _error(self, ids: Any, lengths: Any) -> Any:
            return np.nan

    victim = Broken("nothing")
    assert choose_shapes(victim, "fp32", 50) == (Shapes.of(victim), None)
    assert not packing._chosen
