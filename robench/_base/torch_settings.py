"""Torch's settings of the whole process: values, hooks for all modules, and modes left entered.

Each of them changes what later victims answer or learn. A plugin can leave any of them behind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

ANY: Any = object()
"""Stands for a value that a fresh process need not have."""
HOOKS = (
    ("torch.nn.modules.module", "_global_forward_pre_hooks"),
    ("torch.nn.modules.module", "_global_forward_hooks"),
    ("torch.nn.modules.module", "_global_forward_hooks_always_called"),
    ("torch.nn.modules.module", "_global_forward_hooks_with_kwargs"),
    ("torch.nn.modules.module", "_global_backward_pre_hooks"),
    ("torch.nn.modules.module", "_global_backward_hooks"),
    ("torch.nn.modules.module", "_global_module_registration_hooks"),
    ("torch.nn.modules.module", "_global_buffer_registration_hooks"),
    ("torch.nn.modules.module", "_global_parameter_registration_hooks"),
    ("torch.optim.optimizer", "_global_optimizer_pre_hooks"),
    ("torch.optim.optimizer", "_global_optimizer_post_hooks"),
)
"""Module and name of torch's tables of hooks that are called for every module or optimizer."""
PRECISIONS = (
    "",
    "cuda.matmul",
    "cudnn",
    "cudnn.conv",
    "cudnn.rnn",
    "mkldnn",
    "mkldnn.matmul",
    "mkldnn.conv",
    "mkldnn.rnn",
)
"""Parts of ``torch.backends`` that have a precision of float32 of their own."""
_entered: list[Any] = []
"""Guards of torch that must not be collected as garbage, because that would undo them."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: its name for people.
        get: reads it.
        set: sets it.
        usual: its value in a fresh process, where every fresh process has the same.
    """

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], object]
    usual: Any = ANY


def torch_settings() -> tuple[Setting, ...]:
    """Return torch's settings, where torch is loaded; else none.

    Their order is that in which they have to be set back.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return ()
    return (*interceptors(), *_modes(torch), *_numbers(torch), *_backends(torch.backends))


def interceptors() -> tuple[Setting, ...]:
    """Return what can change the answers of every module: hooks for all modules, and modes."""
    if "torch" not in sys.modules:
        return ()
    return (
        Setting("torch's hooks for all modules", _hooks, _set_hooks, [{} for _ in HOOKS]),
        Setting("torch's modes for functions", _function_modes, _set_function_modes, []),
        Setting("torch's modes for operators", _dispatch_modes, _set_dispatch_modes, []),
    )


def _hooks() -> list[dict[Any, Any]]:
    return [dict(_table(module, name)) for module, name in HOOKS]


def _set_hooks(wanted: Sequence[dict[Any, Any]]) -> None:
    for (module, name), hooks in zip(HOOKS, wanted, strict=True):
        table = _table(module, name)
        table.clear()
        table.update(hooks)
    modules: Any = sys.modules["torch.nn.modules.module"]
    # Torch allows one kind of backward hooks, and keeps the kind after the last was removed.
    if not modules._global_backward_hooks:
        modules._global_is_full_backward_hook = None


def _table(module: str, name: str) -> dict[Any, Any]:
    table: dict[Any, Any] = getattr(sys.modules.get(module), name, {})
    return table


def _function_modes() -> list[Any]:
    """Return the modes that see every function of torch; the default device is none of them."""
    import torch
    from torch.overrides import _get_current_function_mode_stack as stack

    usual = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return [mode for mode in stack() if mode is not usual]


def _set_function_modes(wanted: Sequence[Any]) -> None:
    from torch.overrides import TorchFunctionMode
    from torch.utils._device import DeviceContext

    # The methods are torch's own, because those of a plugin may do anything. The context of
    # ``with torch.device`` lies above others, as every mode does, and a default device below.
    def kind(mode: Any) -> Any:
        below = isinstance(mode, DeviceContext) and hasattr(mode, "old_device")
        return DeviceContext if below else TorchFunctionMode

    for mode in reversed(_function_modes()):
        kind(mode).__exit__(mode, None, None, None)
    for mode in wanted:
        kind(mode).__enter__(mode)


def _dispatch_modes() -> list[Any]:
    from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

    return list(_get_current_dispatch_mode_stack())


def _set_dispatch_modes(wanted: Sequence[Any]) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    for mode in reversed(_dispatch_modes()):
        TorchDispatchMode.__exit__(mode, None, None, None)
    for mode in wanted:
        TorchDispatchMode.__enter__(mode)


def _modes(torch: Any) -> tuple[Setting, ...]:
    """Return what a ``with`` block of torch sets and a plugin may leave entered."""
    own, autograd = torch._C, torch._C._autograd
    return (
        Setting("torch's hooks for saved tensors", partial(_saved_hooks, autograd),
                partial(_set_saved_hooks, autograd), (None, None)),
        Setting("torch's inference mode", torch.is_inference_mode_enabled, _set_inference, False),
        Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled, True),
        Setting("torch's forward gradients", own._is_fwd_grad_enabled,
                own._set_fwd_grad_enabled, True),
        Setting("torch's threads of gradients", own._is_multithreading_enabled,
                own._set_multithreading_enabled, True),
        Setting("torch's detection of anomalies",
                lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
                lambda both: torch.set_anomaly_enabled(*both), (False, True)),
        *(
            Setting(f"torch's autocast{' on CUDA' * (kind == 'cuda')}",
                    partial(_autocast, torch, kind), partial(_set_autocast, torch, kind))
            for kind in ("cpu", "cuda")
        ),
        Setting("torch's cache of autocast", torch.is_autocast_cache_enabled,
                torch.set_autocast_cache_enabled, True),
    )  # fmt: skip


def _saved_hooks(autograd: Any) -> tuple[Any, str | None]:
    """Return the hooks that are called first, and why there may be none."""
    why: str | None = autograd._saved_tensors_hooks_get_disabled_error_message()
    return autograd._top_saved_tensors_default_hooks(True), why


def _set_saved_hooks(autograd: Any, wanted: tuple[Any, str | None]) -> None:
    hooks, why = wanted
    autograd._saved_tensors_hooks_enable()
    while (top := autograd._top_saved_tensors_default_hooks(True)) not in (None, hooks):
        autograd._pop_saved_tensors_default_hooks()
    if top != hooks:
        autograd._push_saved_tensors_default_hooks(*hooks)
    if why is not None:
        autograd._saved_tensors_hooks_disable(why)


def _set_inference(on: bool) -> None:
    import torch

    # Torch can only enter another mode above, and leaves it where the object is collected.
    _entered.append(mode := torch.inference_mode(on))
    mode.__enter__()


def _autocast(torch: Any, kind: str) -> tuple[bool, Any]:
    return torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)


def _set_autocast(torch: Any, kind: str, wanted: tuple[bool, Any]) -> None:
    torch.set_autocast_enabled(kind, wanted[0])
    torch.set_autocast_dtype(kind, wanted[1])


def _numbers(torch: Any) -> tuple[Setting, ...]:
    """Return the settings of numbers and of the device."""
    return (
        Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype,
                torch.float32),
        # Setting the usual device itself would cost time at every call of torch.
        Setting("torch's default device", lambda: str(torch.get_default_device()),
                lambda device: torch.set_default_device(None if device == "cpu" else device),
                "cpu"),
        Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        Setting("torch's deterministic algorithms",
                lambda: (torch.are_deterministic_algorithms_enabled(),
                         torch.is_deterministic_algorithms_warn_only_enabled()),
                lambda both: torch.use_deterministic_algorithms(both[0], warn_only=both[1])),
        Setting("torch's filling of new memory",
                *attribute(torch.utils.deterministic, "fill_uninitialized_memory")),
        Setting("torch's precision of float32 products", torch.get_float32_matmul_precision,
                torch.set_float32_matmul_precision),
        Setting("the rounding of tiny numbers to zero", _flushes, torch.set_flush_denormal, False),
    )  # fmt: skip


def _flushes() -> bool:
    """Return whether the processor takes numbers below the smallest normal one for zero."""
    return sys.float_info.min * _half() == 0.0


def _half() -> float:
    # A function, so that Python does not compute the product beforehand.
    return 0.5


def _backends(backends: Any) -> tuple[Setting, ...]:
    """Return the settings that choose the libraries and the kernels below torch."""
    cuda, products = backends.cuda, backends.cuda.matmul
    parts = [(name, _part(backends, name)) for name in PRECISIONS]
    kernels = ("flash", "mem_efficient", "math", "cudnn")
    attributes = (
        *(("cuDNN", backends.cudnn, name) for name in ("enabled", "deterministic", "benchmark")),
        *(("oneDNN", backends.mkldnn, name) for name in ("enabled", "deterministic")),
        ("CUDA", products, "allow_fp16_reduced_precision_reduction"),
        ("CUDA", products, "allow_bf16_reduced_precision_reduction"),
    )
    return (
        *(
            Setting(f"torch's precision of float32 ({name or 'all'})",
                    *attribute(part, "fp32_precision"))
            for name, part in parts
            if hasattr(part, "fp32_precision")
        ),
        *(
            Setting(f"{library}'s {name.replace('_', ' ')} mode", *attribute(part, name))
            for library, part, name in attributes
            if hasattr(part, name)
        ),
        *(
            Setting(f"torch's {name} kernel of attention", getattr(cuda, f"{name}_sdp_enabled"),
                    getattr(cuda, f"enable_{name}_sdp"))
            for name in kernels
        ),
        Setting("torch's fast path of attention", backends.mha.get_fastpath_enabled,
                backends.mha.set_fastpath_enabled),
    )  # fmt: skip


def _part(backends: Any, name: str) -> Any:
    for each in name.split(".") if name else ():
        backends = getattr(backends, each, None)
    return backends


def attribute(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    """Return what reads and what sets an attribute."""
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)
