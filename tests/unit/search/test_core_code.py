"""Whether replaced code of the core is found and put back."""

from __future__ import annotations

import builtins
import copy
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from saved_victims import victim

from robench._base import errors, intervals
from robench.evaluation import process_guard
from robench.models import probabilities
from robench.search import example_run, judge
from robench.search.attack import Verdict
from robench.search.core_code import CoreCode
from robench.search.example_run import ExampleRun

Change = Callable[[], object]


def other(*_: object, **__: object) -> None:
    """Stand in the place of a function."""


def _set(owner: Any, name: str, value: Any = other) -> Change:
    if isinstance(owner, type):
        return lambda: type.__setattr__(owner, name, value)
    return lambda: setattr(owner, name, value)


CHANGES: dict[str, Change] = {
    "robench.search.example_run.ExampleRun._proved": _set(
        ExampleRun, "_proved", property(lambda self: True)
    ),
    "robench.search.example_run.ExampleRun.added": _set(ExampleRun, "added", 1),
    "robench.search.example_run.ExampleRun.__setattr__": _set(ExampleRun, "__setattr__"),
    "robench.search.example_run.judge_choice": _set(example_run, "judge_choice"),
    "robench.search.example_run.Trial": _set(example_run, "Trial"),
    "robench.search.example_run.len": _set(example_run, "len", other),
    "robench.search.judge.UNCHANGED": _set(judge, "UNCHANGED", "fine"),
    "robench.search.attack.Verdict.HELD": _set(Verdict, "HELD", Verdict.FOOLED),
    "robench._base.errors.RobenchError": _set(errors, "RobenchError"),
    "robench.evaluation.process_guard.ProcessState": _set(process_guard, "ProcessState"),
    "builtins.max": _set(builtins, "max", other),
    "numpy.argmax": _set(np, "argmax"),
    "torch.nn.functional.linear": _set(torch.nn.functional, "linear"),
    "torch.nn.modules.linear.Linear.forward": _set(torch.nn.Linear, "forward"),
    "torch.nn.modules.linear.Linear.__call__": _set(torch.nn.Linear, "__call__"),
    "torch.nn.parameter.Parameter.__add__": _set(torch.nn.Parameter, "__add__"),
}


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return victim().model


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_put_back(name: str, model: torch.nn.Module) -> None:
    code = CoreCode(model)
    assert code.restored() == []
    CHANGES[name]()
    assert code.restored() == [name]
    assert code.restored() == []


def _functions() -> list[Any]:
    """Return functions of several kinds: of a module, of a class, with a decorator."""
    decorated: list[Any] = [process_guard.same_process, intervals.wilson]
    plain: list[Any] = [judge.judge_text, vars(ExampleRun)["__init__"], probabilities.exact_softmax]
    return [*plain, *(each.__wrapped__ for each in decorated)]


@pytest.mark.parametrize("number", range(5))
def test_a_function_with_other_code_is_found(number: int) -> None:
    function: Any = _functions()[number]
    code, before = CoreCode(), function.__code__
    function.__code__ = before.replace(co_name="other")
    (name,) = code.restored()
    assert name.startswith("robench.")
    assert function.__code__ is before
    assert code.restored() == []


def test_other_defaults_are_found() -> None:
    def defaults(function: Any) -> tuple[Any, Any]:
        return function.__defaults__, function.__kwdefaults__

    for function in _functions():
        code, before = CoreCode(), defaults(function)
        function.__defaults__ = (1,)
        function.__kwdefaults__ = {"budget": 1}
        assert len(code.restored()) == 1
        assert defaults(function) == before
        assert code.restored() == []


def test_what_the_code_itself_does_is_no_change() -> None:
    subject = victim()
    code = CoreCode(subject.model)
    subject.probs_of_texts([{"text": "a fine film"}])
    copy.copy(subject)
    import robench.records.sandwich  # noqa: F401

    assert code.restored() == []


def test_a_comparison_is_quick(model: torch.nn.Module) -> None:
    code = CoreCode(model)
    start = perf_counter()
    code.restored()
    # Usual are 0.03 s.
    assert perf_counter() - start < 1
