"""The shapes that a search takes follow from what the victim does, not from the machine's name."""

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


class Told(FakeVictim):
    """A victim whose last bits depend on something that they should not depend on.

    Args:
        on: "nothing", "number" of rows in the forward pass, "place" in it, "company" (the row
            before), or "padding" of any row beside it.
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
            "company": np.roll(ids[:, 0], 1),
            "padding": int((lengths < tokens).any()) * 3,
        }[self._on]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_chosen", {})


def test_a_victim_that_answers_alike_in_any_company_keeps_the_usual_shapes() -> None:
    victim = Told("nothing")
    assert choose_shapes(victim, "fp32", 50) == (Shapes.of(victim), None)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_dependence_on_the_number_of_rows_leads_to_fixed_shapes(precision: Precision) -> None:
    shapes, remark = choose_shapes(Told("number"), precision, 50)
    assert (shapes.fixed, shapes.most) == (True, Shapes().most)
    assert remark is not None
    assert "a fixed number of texts each" in remark


@pytest.mark.parametrize("fault", ["place", "company"])
def test_a_dependence_on_place_or_company_leads_to_one_row_a_forward_pass(fault: str) -> None:
    shapes, remark = choose_shapes(Told(fault), "fp32", 50)
    assert (shapes.most, shapes.floor) == (1, 1)
    assert remark is not None
    assert "one text each" in remark


def test_a_dependence_on_padded_company_matters_only_where_rows_are_padded() -> None:
    exact, padded = Told("padding"), Told("padding")
    assert Shapes.of(exact).exact
    assert choose_shapes(exact, "fp32", 50) == (Shapes.of(exact), None)
    padded.table.mode = "subword"
    assert choose_shapes(padded, "fp32", 50)[0].fixed


def test_a_fault_of_bf16_alone_leaves_fp32_searches_as_fast_as_they_are() -> None:
    victim = Told("number", only="bf16")
    assert not choose_shapes(victim, "fp32", 50)[0].fixed
    assert choose_shapes(victim, "bf16", 50)[0].fixed


def test_a_fault_of_fp32_counts_in_a_bf16_search_too_because_verdicts_are_fp32() -> None:
    assert choose_shapes(Told("number", only="fp32"), "bf16", 50)[0].fixed


def test_the_remark_is_made_once_for_a_victim() -> None:
    victim = Told("number")
    first, second = choose_shapes(victim, "fp32", 50), choose_shapes(victim, "fp32", 50)
    assert first[0] == second[0]
    assert (first[1] is None, second[1] is None) == (False, True)


class Layered(Told):
    """A victim with linear layers and no fault that a few texts would show."""

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
