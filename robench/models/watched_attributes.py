"""What else decides a victim's answers: plain attributes of its modules, its settings, tensors.

``robench.search.unchanged`` compares a victim's weights, hooks and methods, and the values of the
victim's own attributes. ``watch`` gives a victim one more such attribute, whose value is what the
modules below hold now. So a change of ``LayerNorm.eps`` is found as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

NAME: Final = "modules_and_settings"
"""Name of the attribute; a sentence about a changed victim names it."""
WRITTEN_WHILE_ASKED: Final = ("cached", "seq_len", "reference_compile", "attention_type")
"""Parts of names that models of transformers write themselves while they are asked."""
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Attributes(str):
    """A text that is shown as what the modules of a victim hold at that moment.

    ``robench.search.unchanged`` compares texts as they are shown.

    Args:
        victim: has ``model``, and perhaps ``tokenizer``.
    """

    __slots__ = ("_victim",)
    _victim: object

    def __new__(cls, victim: object) -> Attributes:
        """Make the text of a victim; its characters are always the same."""
        made = super().__new__(cls, NAME)
        made._victim = victim
        return made

    def __repr__(self) -> str:
        whole = blake2b(digest_size=16)
        for line in _lines(self._victim):
            whole.update(line.encode("utf-8", "backslashreplace"))
            whole.update(b"\n")
        return whole.hexdigest()


def watch(victim: object) -> None:
    """Let later comparisons of a victim cover what its modules hold.

    A victim without modules of torch stays as it is.
    """
    if hasattr(getattr(victim, "model", None), "named_modules") and hasattr(victim, "__dict__"):
        setattr(victim, NAME, Attributes(victim))


def load_watched(load: Callable[[Any, str], Any], source: Any, device: str) -> Any:
    """Load a victim by ``load(source, device)``, and watch it."""
    victim = load(source, device)
    watch(victim)
    return victim


def _lines(victim: Any) -> Iterator[str]:
    """Yield a line for each value that is compared, in a fixed order."""
    for name, module in victim.model.named_modules():
        yield from _values(f"module {name}", vars(module))
        config: Any = getattr(module, "config", None)
        if hasattr(config, "to_dict"):
            yield from _settings(f"config {name}", config.to_dict())
    tokenizer = getattr(victim, "tokenizer", None)
    if hasattr(tokenizer, "__dict__"):
        yield from _values("tokenizer", vars(tokenizer))


def _values(owner: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plain values and the tensors among attributes; others have parts of their own."""
    import torch

    for name, value in sorted(values.items()):
        if any(each in name for each in WRITTEN_WHILE_ASKED):
            continue
        if isinstance(value, torch.Tensor):
            yield f"{owner}.{name} {_digest(value)}"
        elif _is_plain(value):
            yield f"{owner}.{name} {value!r}"


def _settings(owner: str, settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in sorted(settings.items(), key=lambda item: str(item[0])):
        if not any(each in str(name) for each in WRITTEN_WHILE_ASKED):
            yield f"{owner}.{name} {value!r}"


def _is_plain(value: object) -> bool:
    # Numbers and texts of other classes may show anything.
    if type(value) is tuple:
        return all(_is_plain(each) for each in value)
    return type(value) in _PLAIN


def _digest(tensor: Any) -> str:
    """Return a digest of a tensor's type, shape and content."""
    import torch

    if tensor.is_sparse or tensor.is_quantized or tensor.is_meta:
        return f"{tensor.dtype} {tuple(tensor.shape)}"
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    digest = blake2b(f"{tensor.dtype} {tuple(tensor.shape)} ".encode(), digest_size=16)
    digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
