"""Measure forward passes and training steps for some seconds, where a plan knows no time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from robench._base.reporting import Reporter
from robench.evaluation.cost_estimate import estimate
from robench.evaluation.cost_log import Done, Kind, Work, cost_log
from robench.evaluation.cost_parts import published_counts
from robench.evaluation.resolved import ResolvedRequest, ResolvedTask
from robench.evaluation.resolved_victims import TrainedVictim

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier

SECONDS: Final = 3.0
"""How long each measurement takes at least, after one pass that is not counted."""
ROWS: Final = {"cpu": 32, "cuda": 256}
"""Rows of a measured forward pass, by the kind of device."""
_PIECE: Final = 4
"""Examples of a measured surface that are built at once."""


def measure_missing(
    works: Iterable[Work], resolved: ResolvedRequest, report: Reporter | None
) -> None:
    """Measure what the works need and the log lacks, and add it to the log.

    A surface is built for the first examples. Of the victims, those that are trained are measured,
    because their encoder is known. Random token ids stand for the texts, as many as a text has
    words and special tokens.

    Args:
        works: the parts of the run.
        resolved: the request, with its victims.
        report: receives a sentence for each measurement.
    """
    log = cost_log()
    known, measured = log.read(), set[tuple[Kind, str, str, str]]()
    tasks = {task.name: task for task in resolved.tasks}
    victims = {
        (victim.fit.encoder_label, victim.fit.task): victim
        for task in resolved.tasks
        for victim in task.victims
        if isinstance(victim, TrainedVictim)
    }
    for work in works:
        kind: Kind = "step" if work.kind == "training" else "forward"
        name = (kind, work.model, work.precision, work.data)
        victim = victims.get((work.model, work.data.partition(" on ")[0]))
        if estimate(work, known, published_counts()).seconds is not None:
            continue
        if work.kind == "surface":
            done = _measured_surface(work, resolved)
        elif name in measured or victim is None:
            continue
        else:
            measured.add(name)
            done = _measured(kind, work, victim, tasks[victim.fit.task], resolved.device)
        log.add(done)
        known.append(done)
        if report is not None:
            report.message(_sentence(done))


def _sentence(done: Done) -> str:
    """Say what was measured."""
    work, rate = done.work, done.work.units / done.seconds
    what = {
        "surface": f"the surface of {work.data}: {rate:,.3g} examples",
        "step": f"training steps of {work.model} on {work.data}: {rate:,.3g} rows",
        "forward": f"forward passes of {work.model} on {work.data}: {rate:,.3g} rows",
    }
    return f"Measured {what[work.kind]} a second."


def _measured_surface(work: Work, resolved: ResolvedRequest) -> Done:
    """Return how long the surface of the first examples takes."""
    from robench.text.surface_building import build_surface

    request = next(
        resolved.surface_request(task, test, work.what)
        for task in resolved.tasks
        for test in task.tests
        if test.title == work.data
    )
    started, count = monotonic(), 0
    while count < len(request.examples) and monotonic() - started < SECONDS:
        # A few at a time, so that a slow language model ends soon after the time is over.
        build_surface(replace(request, examples=request.examples[count : count + _PIECE]))
        count = min(count + _PIECE, len(request.examples))
    return Done(
        work=work.model_copy(update={"units": count}),
        seconds=monotonic() - started,
        when=datetime.now(UTC).replace(microsecond=0),
    )


def _measured(
    kind: Kind, work: Work, victim: TrainedVictim, task: ResolvedTask, device: str
) -> Done:
    """Return how long forward passes or training steps of an encoder take."""
    from robench.models.classifier import TextClassifier
    from robench.models.encoders import attention_for, load_encoder

    encoder = load_encoder(victim.fit.info, attention_for(device, work.precision))
    model = TextClassifier(encoder, len(task.task.labels)).to(device)
    # Two special tokens at least; a window is never exceeded.
    length = min(int(work.words) + 2, task.task.max_tokens)
    batch = victim.fit.resolved.batch_size
    place = device.partition(":")[0]
    rows = batch if kind == "step" else ROWS.get(place, ROWS["cuda"])
    make = _step if kind == "step" else _forward
    count, seconds = _timed(make(model, rows, length, work.precision, device), device)
    return Done(
        work=work.model_copy(
            update={"kind": kind, "units": rows * count, "settings": place, "what": "", "row": ""}
        ),
        seconds=seconds,
        when=datetime.now(UTC).replace(microsecond=0),
    )


def _inputs(model: TextClassifier, rows: int, length: int, device: str) -> dict[str, Any]:
    import torch

    vocabulary = int(model.encoder.config.vocab_size)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary // 2, vocabulary, (rows, length), generator=generator)
    return {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)}


def _forward(
    model: TextClassifier, rows: int, length: int, precision: str, device: str
) -> Callable[[], None]:
    import torch

    model.eval()
    inputs = _inputs(model, rows, length, device)

    def run() -> None:
        with torch.inference_mode(), _autocast(precision, device):
            model(**inputs)

    return run


def _step(
    model: TextClassifier, rows: int, length: int, precision: str, device: str
) -> Callable[[], None]:
    import torch

    model.train()
    inputs = _inputs(model, rows, length, device)
    labels = torch.zeros(rows, dtype=torch.long, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-9)

    def run() -> None:
        with _autocast(precision, device):
            loss = torch.nn.functional.cross_entropy(model(**inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def _autocast(precision: str, device: str) -> Any:
    import torch

    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16")


def _timed(run: Callable[[], None], device: str) -> tuple[int, float]:
    """Return how often ``run`` ran, and the seconds that all of it took."""

    def wait() -> None:
        if device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(device)

    run()
    wait()
    started, count = monotonic(), 0
    while monotonic() - started < SECONDS:
        run()
        wait()
        count += 1
    return count, monotonic() - started
