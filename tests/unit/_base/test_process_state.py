"""Settings of the process that are set back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules import module as modules
from torch.optim import optimizer
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from robench._base.process_state import ProcessState


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    before = ProcessState()
    yield
    before.restore()


ONEDNN: Any = torch.backends.mkldnn
ENTERED: list[Any] = []
"""Contexts that a plugin never left; they are kept, as a global name of a plugin would."""


def enter(context: Any) -> None:
    ENTERED.append(context)
    context.__enter__()


class Seeing(TorchFunctionMode):
    """Sees every function, and cannot be left in its own way."""

    def __exit__(self, *_: object) -> None:
        raise RuntimeError("stays")


class Watching(TorchDispatchMode):
    """Doubles every product."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        return found * 2 if "mul" in str(func) else found

    def __exit__(self, *_: object) -> None:
        raise RuntimeError("stays")


CHANGES: dict[str, Callable[[Path], Any]] = {
    "the working folder": lambda folder: os.chdir(folder),
    "Python's recursion limit": lambda _: sys.setrecursionlimit(4321),
    "NumPy's handling of errors": lambda _: np.seterr(divide="raise"),
    "torch's default dtype": lambda _: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda _: torch.set_default_device("meta"),
    "torch's number of threads": lambda _: torch.set_num_threads(3),
    "torch's gradient mode": lambda _: torch.set_grad_enabled(False),
    "torch's deterministic algorithms": lambda _: torch.use_deterministic_algorithms(
        not torch.are_deterministic_algorithms_enabled()
    ),
    "torch's precision of float32 products": lambda _: torch.set_float32_matmul_precision("medium"),
    "torch's autocast": lambda _: torch.set_autocast_enabled("cpu", True),
    "torch's autocast on CUDA": lambda _: torch.set_autocast_dtype("cuda", torch.bfloat16),
    "torch's cache of autocast": lambda _: torch.set_autocast_cache_enabled(False),
    "torch's hooks for saved tensors": lambda _: enter(
        torch.autograd.graph.saved_tensors_hooks(lambda each: each, lambda each: each)
    ),
    "torch's inference mode": lambda _: enter(torch.inference_mode()),
    "torch's forward gradients": lambda _: torch._C._set_fwd_grad_enabled(False),
    "torch's threads of gradients": lambda _: torch._C._set_multithreading_enabled(False),
    "torch's detection of anomalies": lambda _: torch.autograd.set_detect_anomaly(True),
    "torch's modes for functions": lambda _: enter(Seeing()),
    "torch's modes for operators": lambda _: enter(Watching()),  # type: ignore[no-untyped-call]
    "torch's filling of new memory": lambda _: setattr(
        torch.utils.deterministic, "fill_uninitialized_memory", False
    ),
    "the rounding of tiny numbers to zero": lambda _: torch.set_flush_denormal(True),
    "torch's precision of float32 (mkldnn.matmul)": lambda _: setattr(
        ONEDNN.matmul, "fp32_precision", "bf16"
    ),
    "oneDNN's enabled mode": lambda _: setattr(torch.backends.mkldnn, "enabled", False),
    "CUDA's allow bf16 reduced precision reduction mode": lambda _: setattr(
        torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", False
    ),
    "torch's math kernel of attention": lambda _: torch.backends.cuda.enable_math_sdp(False),
    "torch's fast path of attention": lambda _: torch.backends.mha.set_fastpath_enabled(False),
    "cuDNN's deterministic mode": lambda _: setattr(
        torch.backends.cudnn, "deterministic", not torch.backends.cudnn.deterministic
    ),
    "cuDNN's benchmark mode": lambda _: setattr(
        torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_set_back_and_named(name: str, tmp_path: Path) -> None:
    before = ProcessState()
    CHANGES[name](tmp_path)
    changed = before.restore()
    # Settings of float32 products follow each other.
    assert name in changed
    assert len(changed) == 1 or "precision" in name or "inference" in name
    assert ProcessState().restore() == before.restore() == []


def test_nothing_is_said_where_nothing_changed() -> None:
    assert ProcessState().restore() == []


def test_the_usual_values_count_where_torch_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        before = ProcessState()
    torch.set_default_dtype(torch.float64)
    assert before.restore() == ["torch's default dtype"]
    assert torch.get_default_dtype() == torch.float32


def test_a_removed_folder_does_no_harm(tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    os.chdir(place)
    place.rmdir()
    assert ProcessState().restore() == []


def _nothing(*_: Any) -> None:
    return None


def _same(tensor: Any) -> Any:
    return tensor


REGISTER: dict[str, Callable[[Any], Any]] = {
    "forward pre": modules.register_module_forward_pre_hook,
    "forward": modules.register_module_forward_hook,
    "forward with kwargs": lambda hook: modules.register_module_forward_hook(
        hook, with_kwargs=True, always_call=True
    ),
    "backward": modules.register_module_backward_hook,
    "full backward": modules.register_module_full_backward_hook,
    "full backward pre": modules.register_module_full_backward_pre_hook,
    "module": modules.register_module_module_registration_hook,
    "buffer": modules.register_module_buffer_registration_hook,
    "parameter": modules.register_module_parameter_registration_hook,
    "optimizer pre": optimizer.register_optimizer_step_pre_hook,
    "optimizer post": optimizer.register_optimizer_step_post_hook,
}


@pytest.mark.parametrize("kind", REGISTER)
def test_a_hook_for_all_modules_is_removed_and_those_from_before_stay(kind: str) -> None:
    kept = modules.register_module_forward_hook(_nothing)
    try:
        before = ProcessState()
        REGISTER[kind](lambda *_: None)
        assert before.restore() == ["torch's hooks for all modules"]
        assert list(modules._global_forward_hooks.values()) == [_nothing]
        assert modules._global_is_full_backward_hook is None
    finally:
        kept.remove()
    assert ProcessState().restore() == []
    # Each kind of backward hooks can be registered again.
    for name in ("backward", "full backward"):
        REGISTER[name](_nothing).remove()
        modules._global_is_full_backward_hook = None


def test_a_hook_that_its_plugin_removes_is_no_change() -> None:
    before = ProcessState()
    modules.register_module_full_backward_hook(_nothing).remove()
    assert before.restore() == []
    modules._global_is_full_backward_hook = None


def test_a_device_that_a_plugin_never_left_is_left_and_the_programs_own_stays() -> None:
    torch.set_default_device("meta")
    before = ProcessState()
    enter(torch.device("cpu"))
    assert torch.get_default_device().type == "cpu"
    assert before.restore() == ["torch's modes for functions"]
    assert torch.get_default_device().type == "meta"
    assert torch.zeros(1).device.type == "meta"
    torch.set_default_device(None)
    assert torch.zeros(1).device.type == "cpu"


def test_modes_of_the_program_that_a_plugin_left_are_entered_again() -> None:
    own, operators = TorchFunctionMode(), TorchDispatchMode()
    with own, operators:
        before = ProcessState()
        TorchDispatchMode.__exit__(operators, None, None, None)
        TorchFunctionMode.__exit__(own, None, None, None)
        changed = before.restore()
        assert changed == ["torch's modes for functions", "torch's modes for operators"]
    assert ProcessState().restore() == []


def test_saved_hooks_of_the_program_stay_below_those_of_a_plugin() -> None:
    with torch.autograd.graph.saved_tensors_hooks(_same, _same):
        before = ProcessState()
        for _ in range(2):
            enter(torch.autograd.graph.saved_tensors_hooks(lambda each: each, lambda each: each))
        assert before.restore() == ["torch's hooks for saved tensors"]
        top: Any = torch._C._autograd._top_saved_tensors_default_hooks(True)
        assert top == (_same, _same)
    assert ProcessState().restore() == []


def test_hooks_for_saved_tensors_that_a_plugin_forbids_are_allowed_again() -> None:
    before = ProcessState()
    torch._C._autograd._saved_tensors_hooks_disable("no")
    assert before.restore() == ["torch's hooks for saved tensors"]
    with torch.autograd.graph.saved_tensors_hooks(_same, _same):
        pass


def test_gradients_work_after_an_inference_mode_that_was_never_left() -> None:
    before = ProcessState()
    enter(torch.inference_mode())
    changed = before.restore()
    assert changed[0] == "torch's inference mode"
    weight = torch.ones(2, requires_grad=True)
    (weight * 2).sum().backward()
    assert weight.grad is not None
    ENTERED.clear()
    assert (torch.is_inference_mode_enabled(), torch.is_grad_enabled()) == (False, True)


def test_a_precision_set_in_torchs_old_and_new_way_is_set_back() -> None:
    before, usual = ProcessState(), torch.get_float32_matmul_precision()
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    with pytest.raises(RuntimeError, match="mix of the legacy and new"):
        torch.get_float32_matmul_precision()
    assert "torch's precision of float32 products" in before.restore()
    assert torch.get_float32_matmul_precision() == usual
    assert before.restore() == []
