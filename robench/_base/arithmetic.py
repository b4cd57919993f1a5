"""Ask for matrix products in which a row's result does not depend on the rows beside it.

robench promises the same trials for any number of workers. So a text must get the same logits, bit
for bit, whatever other texts share its forward pass. Matrix libraries do not promise that: they
choose a kernel by the number of rows, and another kernel adds in another order.

On x86-64 torch computes fp32 products with Intel's MKL. On Intel processors the results of MKL's
usual kernels depend on the number of rows below about 16 rows. The environment variable
``MKL_CBWR=AUTO,STRICT`` ("conditional numerical reproducibility") makes them independent. MKL reads
the variable once, at its first product. So robench sets it when robench is imported, and worker
processes inherit it. On other makers' processors MKL takes other kernels, which were found
independent from four rows up without the setting (measured on AMD). There the variable would
choose slower kernels, so robench leaves it alone.

This is a request, not a proof. ``robench.search.packing`` tries the real model before a search.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from robench._base.environment import Precision

VARIABLE = "MKL_CBWR"
"""The environment variable that MKL reads at its first product."""
STRICT = "AUTO,STRICT"
"""The best instruction set of the processor, with sums in one order for any number of rows."""
OFF = "OFF"
"""The value that leaves MKL as it is."""
DEFAULT = "default"
"""What ``products`` returns where MKL is left as it is."""
_WIDTHS = ((128, 512), (512, 128), (384, 1536))
"""Inner and outer widths of the products that ``independent_rows`` tries, as in small encoders."""
COUNTS = (8, 9, 11, 14, 16, 23, 32, 37, 52, 64, 79, 96, 127, 128, 250, 600)
"""Numbers of rows that are compared with a larger product; kernels change between them."""


def request_strict_products() -> None:
    """Set ``MKL_CBWR`` on Intel processors, unless the user has set it.

    It has an effect only before the first matrix product of the process.
    """
    if VARIABLE not in os.environ and _made_by_intel():
        os.environ[VARIABLE] = STRICT


def products() -> str:
    """Return the setting of matrix products that is in effect, for keys and for people.

    Returns:
        The value of ``MKL_CBWR``, such as ``"AUTO,STRICT"``; ``"default"`` where the variable is
        not set, or where it was set too late to have an effect.
    """
    value = os.environ.get(VARIABLE, OFF)
    return DEFAULT if _too_late() or value == OFF else value


def warning() -> str | None:
    """Return one sentence where the strict setting was wanted and came too late, else None."""
    if not _too_late():
        return None
    return (
        f"Torch had computed before robench was imported, so {VARIABLE}={STRICT} has no effect "
        f"here: import robench first, or set the variable before the program starts. "
        f"Without it this processor may need slower, fixed batches."
    )


@cache
def _too_late() -> bool:
    """Whether MKL had read its setting before a strict one was made.

    The variable is then set to ``OFF``, which stands for MKL as it is. Worker processes inherit the
    environment, and they must compute as this process does.
    """
    if not os.environ.get(VARIABLE, "").upper().endswith(",STRICT"):
        return False
    import torch

    if not torch.backends.mkl.is_available() or independent_rows():
        return False
    os.environ[VARIABLE] = OFF
    return True


_blocks: list[int] = []
"""Numbers of threads to give back, one for each block of ``one_thread`` that is open."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread for the length of the block.

    With several threads torch divides a product's rows among them, so a row's last bits depend on
    how many rows go with it. A program that never loaded torch does not load it here. Blocks may
    overlap, as those of two generators do: the last one that ends gives the threads back.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    _blocks.append(torch.get_num_threads())
    try:
        torch.set_num_threads(1)
        yield
    finally:
        before = max(_blocks)
        _blocks.pop()
        torch.set_num_threads(1 if _blocks else before)


@cache
def independent_rows() -> bool:
    """Return whether fp32 rows on the CPU are the same beside any other rows.

    It takes some milliseconds, with one torch thread.
    """
    return all(rows_agree(inner, outer, 640, COUNTS) for inner, outer in _WIDTHS)


def rows_agree(
    inner: int,
    outer: int,
    whole: int,
    counts: Iterable[int] = (),
    *,
    precision: Precision = "fp32",
    device: str = "cpu",
) -> bool:
    """Whether a product's rows are the same, bit for bit, in another order and in fewer rows.

    The numbers are chosen so that every exact sum is zero. What is computed is then nothing but
    rounding errors, and these change with the order of the sum. So one product shows what random
    numbers would show in one row of thousands.

    Args:
        inner, outer: widths of the product, rows of ``inner`` to rows of ``outer`` numbers.
        whole: rows of the product that the others are compared with.
        counts: numbers of rows that are tried, at the beginning and at the end of the rows. Those
            of ``whole`` and more are left out.
        precision: of the numbers.
        device: a torch device string.
    """
    import torch

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    # On the device itself: large products take seconds to draw on a CPU.
    random = torch.Generator(device).manual_seed(inner + outer + whole)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=random, device=device)

    half, numbers = draw(outer, (inner + 1) // 2), draw(whole, (inner + 1) // 2)
    mixed = torch.randperm(inner, generator=random, device=device)
    weights = torch.cat([half, half], dim=1)[:, :inner][:, mixed].to(dtype)
    rows = torch.cat([numbers, -numbers], dim=1)[:, :inner][:, mixed].to(dtype)
    # As small as the rounding errors, so that it matters when the bias is added.
    bias = (1e-6 * draw(outer)).to(dtype)
    order = torch.randperm(whole, generator=random, device=device)

    def product(some: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(some.contiguous(), weights, bias)

    with one_thread(), torch.inference_mode():
        reference = product(rows)
        if not torch.equal(product(rows[order]), reference[order]):
            return False
        return all(
            torch.equal(product(rows[:count].clone()), reference[:count])
            and torch.equal(product(rows[-count:].clone()), reference[-count:])
            for count in counts
            if count < whole
        )


def _made_by_intel() -> bool:
    """Whether this is an Intel processor; Linux says so in one of the first lines of a file."""
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("vendor_id"):
                    return "GenuineIntel" in line
                if not line.strip():  # the end of the first processor's lines
                    break
    except OSError:
        pass
    # On Linux ``platform.processor`` would start a program, at every import.
    return sys.platform != "linux" and "GenuineIntel" in platform.processor()
