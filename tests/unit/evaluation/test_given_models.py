"""The keys of victims that robench did not train hold everything that decides their answers."""

from __future__ import annotations

from typing import Any

import pytest

from robench.evaluation.given_models import GivenFunction
from robench.models.given.function import FunctionVictim
from robench.protocol import get_protocol


def function_key(**values: Any) -> str:
    given: dict[str, Any] = {
        "labels": ("negative", "positive"),
        "fields": ("premise", "text"),
        "attackable": "text",
        "name": "mine",
        "identity": "v1",
    }
    function = FunctionVictim(lambda texts: [[0.5, 0.5]] * len(texts), **given | values)
    return GivenFunction(get_protocol("subword"), 0, "cpu", function).key


@pytest.mark.parametrize(
    "change",
    [
        {"order": (1, 0)},
        {"fields": ("text", "premise")},
        {"labels": ("positive", "negative")},
        {"attackable": "premise"},
        {"identity": "v2"},
        {"name": "other"},
    ],
)
def test_what_decides_a_functions_answers_is_in_its_key(change: dict[str, Any]) -> None:
    assert function_key(**change) != function_key()


def test_the_key_stays_where_nothing_changes() -> None:
    assert function_key(order=(0, 1), batch_size=3) == function_key()
    assert function_key(identity=None) != function_key(identity=None)
