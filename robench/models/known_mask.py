"""An attention mask of which the processor knows whether anything is padded.

Encoders ask whether a mask is all ones, because attention is faster without a mask. On a GPU, this
question waits for everything that was queued before. The mask of this module answers it at once.
Every other operation on it is an ordinary one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_ASKS_ALL = frozenset({torch.all, Tensor.all})
_SAME_MEANING = frozenset({Tensor.to, Tensor.bool, Tensor.long, Tensor.int, Tensor.float})
"""Operations after which the mask is ones and zeros as before."""
_EQUALS = frozenset({torch.eq, Tensor.eq, Tensor.__eq__})


class KnownMask(Tensor):
    """A mask of ones and zeros; ``whole`` says whether there is no zero."""

    whole: bool

    @classmethod
    def __torch_function__(
        cls,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer whether all are ones; do anything else with the plain tensor."""
        mask = args[0] if args and isinstance(args[0], cls) else None
        if mask is not None and func in _ASKS_ALL and len(args) == 1 and not kwargs:
            return mask.whole
        with torch._C.DisableTorchFunctionSubclass():
            plain = [each.as_subclass(Tensor) if isinstance(each, cls) else each for each in args]
            named = {
                name: each.as_subclass(Tensor) if isinstance(each, cls) else each
                for name, each in (kwargs or {}).items()
            }
            result = func(*plain, **named)
        same = func in _SAME_MEANING or (func in _EQUALS and args[1:] == (1,))
        if mask is not None and same and isinstance(result, Tensor):
            return known_mask(result, mask.whole)
        return result


def known_mask(mask: Tensor, whole: bool) -> Tensor:
    """Return ``mask`` ``(batch, tokens)``, which knows whether it is all ones."""
    with torch._C.DisableTorchFunctionSubclass():
        known: Any = mask.as_subclass(KnownMask)
    known.whole = whole
    return known  # type: ignore[no-any-return]
