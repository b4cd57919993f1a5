"""Measure everything that depends on a GPU, in one call of less than four minutes.

    python benchmarks/gpu.py [--part engine --part training] [--device cpu --quick]

* *engine*: rows per second of PWWS in bf16, for six combinations of an encoder and a length of the
  texts, against bare forwards in the best of three ways (``throughput.bare``).
* *training*: a RIFT step of a 12-layer encoder on 32 texts of at most 300 tokens, against its bare
  passes and a step like the release's (``training_step.py``), and the operations that it starts.
* *dev*: the dev scores of an epoch, clean and under the convex-hull attack.
* *surface*: the surface of 1,000 reviews of 230 words with the embedded language model. Fewer
  reviews are built where time is short, and the seconds are those of 1,000 in proportion.

Encoders have random weights, which cost as much as trained ones. A part that fails, or for which no
time is left, is named in the last line. The last line is JSON, with the name of the device.
"""

from __future__ import annotations

import json
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import torch

PARTS = ("training", "engine", "dev", "surface", "compile")
COMPILING = 60
"""Seconds that the last part may need, because it compiles."""
CASES = (
    ("base", 298),
    ("minilm", 298),
    ("minilm", 100),
    ("minilm", 20),
    ("small", 250),
    ("small", 20),
)
"""Encoder and number of words of each engine run, the most important first."""


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        device: a torch device string.
        quick: run everything once with tiny sizes. The figures then mean nothing.
        ends: clock time (``perf_counter``) after which no further part begins.
        folder: where victims and surfaces are written.
    """

    device: str
    quick: bool
    ends: float
    folder: Path

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.ends - perf_counter()


class NoTimeLeft(Exception):
    """The time of the benchmark is over."""


def engine(plan: Plan) -> dict[str, Any]:
    """Measure the engine against bare forwards in bf16."""
    from throughput.bare import bare_rates
    from throughput.searches import engine_clock, make_load
    from throughput.subjects import load_victim, make_victim

    found: dict[str, Any] = {}
    for name, words in (("small", 8),) if plan.quick else CASES:
        if plan.left < 8:
            raise NoTimeLeft
        folder = plan.folder / name
        if not folder.exists():
            make_victim(name, folder)
        victim = load_victim(folder, plan.device)
        sizes = (8,) if plan.quick else (64, 128, 256) if words > 200 else (512, 1024, 2048)
        bare = bare_rates(victim, words, sizes, 6.0)
        best = max(bare.values())
        rows = 60.0 if plan.quick else min(best * 2.0, 60_000.0)
        # The first run warms up: kernels are chosen and memory is reserved.
        engine_clock(victim, "pwws", make_load(victim, "pwws", words, rows / 8, None))
        clock = engine_clock(victim, "pwws", make_load(victim, "pwws", words, rows, None))
        found[f"{name}_{words}"] = {
            "engine": round(clock.rate),
            **bare,
            "engine_over_best": round(clock.rate / best, 3),
        }
        show(f"{name}, {words} words: {found[f'{name}_{words}']}")
    return {"engine": found}


def training(plan: Plan) -> dict[str, Any]:
    """Measure a step of RIFT."""
    from training_step import count_operations, make_batches, make_setting, measure, ratio

    from robench.models.frozen_encoder import frozen_encoder
    from robench.models.row_attention import packs

    shape, tokens, size = ("tiny", 12, 4) if plan.quick else ("base", 300, 32)
    setting = make_setting(shape, tokens, plan.device, "bf16")
    number, repeats = (1, 1) if plan.quick else (4, 3)
    batches = make_batches(setting, size, number)
    seconds = measure(setting, batches, repeats)
    found = {
        f"{name}_seconds": round(sorted(totals)[len(totals) // 2] / number, 4)
        for name, totals in seconds.items()
    }
    found["over_bare"] = round(ratio(seconds, "step", "bare"), 3)
    found["over_release_like"] = round(ratio(seconds, "release_like", "step"), 3)
    found |= count_operations(setting, batches[-1])
    found["lean_copy"] = frozen_encoder(setting.model) is not None
    found["without_padding"] = packs(setting.device)
    if plan.device.startswith("cuda"):
        found["peak_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    show(f"training: {found}")
    return {"training": found}


def dev(plan: Plan) -> dict[str, Any]:
    """Measure the dev scores of an epoch."""
    from throughput.made_up import make_examples
    from training_step import VOCABULARY, make_setting

    from robench.training.selection import score_on_dev

    shape, tokens, number = ("tiny", 12, 6) if plan.quick else ("base", 300, 256)
    setting = make_setting(shape, tokens, plan.device, "bf16")
    examples = make_examples(tokens, number, VOCABULARY)
    seconds = []
    # The first time warms up.
    for _ in range(2):
        began = perf_counter()
        with setting.precise():
            score_on_dev(setting.model, examples, 64, plan.device, hull=True, seed=0)
        seconds.append(perf_counter() - began)
    show(f"dev: {seconds[-1]:.2f} s for {number} examples")
    return {"dev": {"examples_per_second": round(number / seconds[-1], 1), "examples": number}}


def surface(plan: Plan) -> dict[str, Any]:
    """Measure how long the surface of 1,000 reviews takes."""
    from throughput.surfaces import build_surface_of

    words, number = (12, 2) if plan.quick else (230, 1000)
    first = max(1, number // 50)
    few = build_surface_of(first, words, plan.device, plan.folder)
    possible = int(min(number, max(first, plan.left * 0.8 / (few / first))))
    seconds = build_surface_of(possible, words, plan.device, plan.folder)
    show(f"surface: {seconds:.1f} s for {possible} reviews")
    each = seconds / possible
    return {"surface": {"seconds_of_1000": round(each * 1000, 1), "reviews": possible}}


def compiled(plan: Plan) -> dict[str, Any]:
    """Measure the passes of the inner maximisation with and without ``torch.compile``."""
    from compiled_pass import compare

    if plan.left < COMPILING and not plan.quick:
        raise NoTimeLeft
    shape, tokens, size = ("tiny", 12, 4) if plan.quick else ("base", 300, 32)
    found = compare(shape, plan.device, tokens, size, 2 if plan.quick else 4, 3)
    show(f"compile: {found}")
    return {"compile": found}


def show(line: str) -> None:
    """Print a line of progress on stderr."""
    click.echo(line, err=True)


def card(device: str) -> str:
    """Return the name of the device for people."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"CPU {platform.machine()}, {torch.get_num_threads()} threads"


def measured(plan: Plan, parts: Sequence[str]) -> dict[str, Any]:
    """Run the parts one after another; a part that fails does not end the others."""
    known: dict[str, Callable[[Plan], dict[str, Any]]] = {
        "training": training,
        "engine": engine,
        "dev": dev,
        "surface": surface,
        "compile": compiled,
    }
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name in parts:
        began = perf_counter()
        try:
            if plan.left < 5:
                raise NoTimeLeft
            found |= known[name](plan)
        except NoTimeLeft:
            missing[name] = "no time was left"
        # Whatever breaks, the other parts' figures were paid for. Losses that differ exit.
        except (Exception, SystemExit) as error:
            missing[name] = f"{type(error).__name__}: {error}"[:300]
        show(f"{name}: {perf_counter() - began:.1f} s in all")
        if plan.device.startswith("cuda"):
            torch.cuda.empty_cache()
    return found | ({"missing": missing} if missing else {})


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, default=PARTS)
@click.option("--device", default="cuda", show_default=True)
@click.option("--seconds", default=225.0, show_default=True, help="No part begins after this time.")
@click.option("--quick", is_flag=True, help="Tiny sizes. The figures then mean nothing.")
def main(parts: tuple[str, ...], device: str, seconds: float, quick: bool) -> None:
    """Measure and report."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise click.UsageError("There is no GPU here. Use --device cpu --quick for a trial.")
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(device, quick, perf_counter() + seconds, Path(folder))
        began = perf_counter()
        found = measured(plan, parts)
    report = {
        "device": card(device),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        **found,
        "seconds": round(perf_counter() - began, 1),
    }
    click.echo(json.dumps(report, allow_nan=False))


if __name__ == "__main__":
    main()
