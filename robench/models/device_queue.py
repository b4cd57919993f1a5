"""The queue of a classifier on a GPU: several forward passes in flight, with no waiting between.

``Victim.logits`` copies the rows, computes, and waits for the answers. Here the copies go from and
to pinned memory without waiting, and an event says when the answers are there. So the processor
packs the next rows while the GPU computes.

A search in bf16 asks a copy of the classifier whose weights are in bf16. Under autocast each
forward pass would convert the weights anew. Everything in fp32 (clean texts, verdicts, doubtful
answers) asks the classifier itself.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robench._base.environment import Precision
from robench.models.classifier import TextClassifier
from robench.models.forward_graphs import ForwardGraphs
from robench.models.known_mask import known_mask
from robench.models.moving import on_device

_NOWHERE = nullcontext()
DEPTH = 3
"""Forward passes in flight: one runs, one waits for it, and one is being packed."""


class DeviceQueue:
    """``ForwardQueue`` of one classifier.

    Args:
        model: the classifier, in eval mode and on ``device``.
        device: a torch device string.
        segments: whether the classifier gets token types.

    Attributes:
        depth: see ``ForwardQueue``.
    """

    depth = DEPTH

    def __init__(self, model: TextClassifier, device: str, segments: bool) -> None:
        self._device = torch.device(device)
        self._segments = segments
        self._models: dict[Precision, TextClassifier] = {"fp32": model}
        self._cuda = self._device.type == "cuda"
        self._graphs = ForwardGraphs(self._device) if self._cuda else None

    def submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> PendingLogits:
        """Queue a forward pass; ``Victim.logits`` describes the arguments."""
        with torch.inference_mode(), torch.cuda.device(self._device) if self._cuda else _NOWHERE:
            return self._submit(ids, lengths, types, precision)

    def _submit(
        self,
        ids: NDArray[np.int32],
        lengths: NDArray[np.int32],
        types: NDArray[np.int8] | None,
        precision: Precision,
    ) -> PendingLogits:
        whole = bool(lengths.min() == ids.shape[1])
        rows = [self._moved(ids), self._moved(lengths)]
        if types is not None and self._segments:
            rows.append(self._moved(np.array(np.broadcast_to(types, ids.shape))))
        model = self._model(precision)

        def forward(inputs: Tensor, real: Tensor, token_types: Tensor | None = None) -> Tensor:
            mask = torch.arange(inputs.shape[1], device=inputs.device) < real[:, None]
            return model.features(
                inputs.long(),
                known_mask(mask.long(), whole),
                None if token_types is None else token_types.long(),
            )

        if self._graphs is None:
            features = forward(*rows)
        else:
            features = self._graphs.run((ids.shape, whole, precision), forward, rows)
        return PendingLogits(model.classify(features))

    def _moved(self, array: NDArray[Any]) -> Tensor:
        """Copy an array to the device without waiting."""
        return on_device(torch.from_numpy(np.ascontiguousarray(array)), self._device)

    def _model(self, precision: Precision) -> TextClassifier:
        """Return the classifier with weights of a precision; the copy is made when it is needed."""
        found = self._models.get(precision)
        if found is None:
            found = self._models[precision] = self._models["fp32"].in_bf16()
        return found


class PendingLogits:
    """The answers of a forward pass on a device; see ``PendingAnswers``."""

    def __init__(self, logits: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if not logits.is_cuda:
            self._host = logits
            return
        self._host = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
        self._host.copy_(logits, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(logits.device))

    def ready(self) -> bool:
        """Return whether the answers are in the processor's memory."""
        return self._event is None or bool(self._event.query())

    def result(self) -> NDArray[np.float32]:
        """Wait for the answers and return them, ``(rows, classes)``."""
        if self._event is not None:
            self._event.synchronize()
        answers: NDArray[np.float32] = self._host.numpy()
        return answers
