"""Compare a pass of the inner maximisation with the same pass through ``torch.compile``.

    python benchmarks/compiled_pass.py [--shape base --device cuda] [--tokens 300] [--batch 32]

The pass is a forward through the lean copy of the encoder and a backward to its input, which RIFT
does ten times in each step. On a GPU the copy is in bf16, elsewhere in fp32. ``torch.compile`` gets
one layer with shapes that may change, because batches of texts have many lengths. Batches of
different lengths take turns. The first passes compile, and are counted apart. The last line is
JSON: the ratio, the seconds of compiling, and how many passes pay for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import click
import torch
from torch import Tensor
from training_step import SHAPES, make_batches, make_setting

from robench import Batch
from robench.models.classifier import TextClassifier
from robench.models.frozen_encoder import FrozenEncoder, _Layer
from robench.models.row_attention import RowAttention, RowLayout, packs, row_attention

TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Largest difference of the gradients, as a share of the largest gradient."""


@dataclass(frozen=True)
class Pass:
    """One batch of the inner maximisation.

    Attributes:
        entered: outputs of the embedding layer, ``(tokens, size)``.
        layout: where the texts are among the tokens.
        attend: attention for such texts.
    """

    entered: Tensor
    layout: RowLayout
    attend: RowAttention

    def gradient(self, encoder: FrozenEncoder) -> Tensor:
        """Return the gradient of a logit with respect to the input."""
        inputs = self.entered.clone().requires_grad_()
        logits = encoder.logits(inputs, self.layout, self.attend)
        (found,) = torch.autograd.grad(logits[:, 0].sum(), inputs)
        return found


def make_pass(model: TextClassifier, batch: Batch, dtype: torch.dtype) -> Pass:
    """Prepare one batch."""
    device = batch.input_ids.device
    layout = (RowLayout.packed if packs(device) else RowLayout.padded)(
        batch.attention_mask, batch.lengths
    )
    with torch.no_grad():
        outputs = model.embed(batch.input_ids, None, batch.attention_mask).flatten(0, 1)
    entered = outputs if layout.kept is None else outputs[layout.kept]
    return Pass(entered.to(dtype), layout.adding(dtype), row_attention(layout))


def seconds(passes: Sequence[Pass], encoder: FrozenEncoder, device: torch.device) -> float:
    """Return the time of all passes by the clock."""
    began = perf_counter()
    for each in passes:
        each.gradient(encoder)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - began


def compare(
    shape: str, device: str, tokens: int, batch: int, number: int, repeats: int
) -> dict[str, Any]:
    """Measure both in turn.

    Args:
        shape: of the encoder.
        device: torch device.
        tokens: most tokens of a text.
        batch: texts of a batch.
        number: batches of a repetition.
        repeats: repetitions.

    Raises:
        RuntimeError: the compiled pass gives other gradients.
    """
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    setting = make_setting(shape, tokens, device, "fp32")
    model = setting.model.eval().requires_grad_(requires_grad=False)
    encoder = FrozenEncoder(model, dtype)
    passes = [make_pass(model, each, dtype) for each in make_batches(setting, batch, number)]
    plain: Callable[..., Tensor] = _Layer.__call__
    fast = torch.compile(plain, dynamic=True)
    wanted = [each.gradient(encoder) for each in passes]
    times: dict[bool, list[float]] = {False: [], True: []}
    try:
        _Layer.__call__ = fast  # type: ignore[method-assign]
        began = perf_counter()
        for one, each in zip(wanted, passes, strict=True):
            error = (each.gradient(encoder) - one).abs().max() / one.abs().max()
            if error > TOLERANCE[dtype]:
                raise RuntimeError(f"the compiled pass gives other gradients ({error:.1e})")
        compiling = perf_counter() - began
        for _ in range(repeats):
            for compiled in (False, True):
                _Layer.__call__ = fast if compiled else plain  # type: ignore[method-assign]
                times[compiled].append(seconds(passes, encoder, setting.device))
    finally:
        _Layer.__call__ = plain  # type: ignore[method-assign]
    before, after = (median(times[each]) / number for each in (False, True))
    saved = before - after
    return {
        "compiled_over_plain": round(before / after, 3),
        "plain_seconds": round(before, 5),
        "compiled_seconds": round(after, 5),
        "compiling_seconds": round(compiling, 1),
        "passes_that_pay": None if saved <= 0 else round(compiling / saved),
    }


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--shape", type=click.Choice(list(SHAPES)), default="tiny", show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--tokens", type=click.IntRange(8), default=300, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=5, show_default=True)
def main(shape: str, device: str, tokens: int, batch: int, repeats: int) -> None:
    """Measure and report."""
    found = compare(shape, device, tokens, batch, 4, repeats)
    click.echo(
        f"{shape}, {device}: {found['plain_seconds']:.4f} s a pass, compiled "
        f"{found['compiled_seconds']:.4f} s; compiling took {found['compiling_seconds']:.0f} s"
    )
    click.echo(json.dumps({"shape": shape, "device": device, **found}))


if __name__ == "__main__":
    main()
