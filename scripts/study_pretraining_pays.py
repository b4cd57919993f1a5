"""Measure whether the pre-training of the embedded ``tiny`` encoder pays.

IMDB sentiment is fine-tuned from its weights and from random weights. Both arms share everything
else: architecture, tokenizer, data, head (pooled [CLS], then 256 ReLU units), epochs, and the
choice of the learning rate. The chosen rate has the best accuracy on 1,000 dev reviews with the
first seed, in a grid that grows until its best value is at neither end. The tested weights are
those of the epoch that is best on the dev reviews.

Every finished fit is appended to ``--log`` at once, and a restart skips it. Fits run in parallel in
single-threaded processes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from scripts.pretraining.study_data import (
    BATCH,
    EPOCHS,
    MAX_LENGTH,
    Split,
    buckets,
    load_splits,
)

logger = logging.getLogger("study_pretraining_pays")

ARMS = ("tiny", "random")
START_GRID = (3e-4, 1e-3, 3e-3)
STEP = 10**0.5
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Fit:
    """One fine-tuning run.

    ``weights`` is the beginning of the hash of the pre-trained weights, so that fits of other
    weights in an old log do not count.
    """

    arm: str
    reviews: int
    rate: float
    seed: int
    weights: str

    @property
    def key(self) -> str:
        """The name of the fit, equal for equal fits."""
        return f"{self.arm}-{self.reviews}-{self.rate:.1e}-{self.seed}-{self.weights}"


class Classifier(nn.Module):
    """Encoder, pooled [CLS], 256 ReLU units, two classes."""

    def __init__(self, model: Path, arm: str) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(
            model, attn_implementation="eager", trust_remote_code=False
        )
        self.encoder = (
            AutoModel.from_pretrained(model, config=config, trust_remote_code=False)
            if arm == "tiny"
            else AutoModel.from_config(config, trust_remote_code=False)
        )
        self.head = nn.Sequential(nn.Linear(config.hidden_size, 256), nn.ReLU(), nn.Linear(256, 2))

    def forward(self, ids: Tensor) -> Tensor:
        """Return logits [reviews, 2] of token ids [reviews, length], where 0 is padding."""
        pooled = self.encoder(input_ids=ids, attention_mask=(ids != 0).long()).pooler_output
        logits: Tensor = self.head(pooled)
        return logits


def accuracy(model: Classifier, split: Split) -> float:
    """Return the share of reviews that are classified correctly, 0..1."""
    model.eval()
    right = 0
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for ids, labels in buckets(split, None):
            right += int((model(ids).argmax(-1) == labels).sum())
    model.train()
    return right / len(split.labels)


def run_fit(fit: Fit, model_folder: Path, splits: dict[str, Split]) -> dict[str, Any]:
    """Fine-tune once.

    Returns:
        The record of the fit, with the ``dev`` and ``test`` accuracy (0..1) of its best epoch.
    """
    torch.set_num_threads(1)
    torch.manual_seed(fit.seed)
    rng = np.random.default_rng(fit.seed)
    model = Classifier(model_folder, fit.arm)
    train = Split(splits["train"].ids[: fit.reviews], splits["train"].labels[: fit.reviews])
    epochs = EPOCHS[fit.reviews]
    total = epochs * math.ceil(fit.reviews / BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=fit.rate, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (0.1 * total), (total - step) / (0.9 * total))
    )
    best: dict[str, Any] = {"dev": -1.0}
    kept: dict[str, Tensor] = {}
    for epoch in range(epochs):
        for ids, labels in buckets(train, rng):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(ids)
            loss = nn.functional.cross_entropy(logits.float(), labels)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
        dev = accuracy(model, splits["dev"])
        if dev > best["dev"]:
            best = {"dev": dev, "epoch": epoch + 1}
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(kept)
    return {**asdict(fit), "key": fit.key, **best, "test": accuracy(model, splits["test"])}


class Study:
    """The finished fits, and the means to run more."""

    def __init__(self, model: Path, log: Path, splits: dict[str, Split], processes: int) -> None:
        self.model, self.log, self.splits, self.processes = model, log, splits, processes
        self.weights = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:12]
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        self.done: dict[str, dict[str, Any]] = {
            row["key"]: row for row in map(json.loads, lines) if row["weights"] == self.weights
        }

    def fit(self, arm: str, reviews: int, rate: float, seed: int) -> Fit:
        """Return a fit with this study's weights."""
        return Fit(arm, reviews, rate, seed, self.weights)

    def run(self, fits: Iterable[Fit]) -> None:
        """Run the fits that are not finished yet, and log each one as soon as it ends."""
        todo = [fit for fit in fits if fit.key not in self.done]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(self.processes, mp_context=get_context("spawn")) as pool:
            for future in as_completed(
                [pool.submit(run_fit, fit, self.model, self.splits) for fit in todo]
            ):
                row = future.result()
                self.done[row["key"]] = row
                with self.log.open("a", encoding="utf-8") as handle:
                    handle.write(json.dumps(row) + "\n")
                logger.info(
                    "%s: dev %.3f, test %.3f, epoch %d",
                    row["key"],
                    row["dev"],
                    row["test"],
                    row["epoch"],
                )

    def search(self) -> dict[tuple[str, int], float]:
        """Return the best rate for each arm and number of reviews, with the first seed.

        A grid grows while its best rate is at one of its ends.
        """
        grids = {(arm, reviews): sorted(START_GRID) for reviews in EPOCHS for arm in ARMS}
        while True:
            fits: list[Fit] = []
            for (arm, reviews), grid in grids.items():
                fits += [self.fit(arm, reviews, rate, SEEDS[0]) for rate in grid]
            self.run(fits)
            best = {}
            grown = False
            for (arm, reviews), grid in grids.items():
                at = self._best_index(arm, reviews, grid)
                best[arm, reviews] = grid[at]
                if at in (0, len(grid) - 1):
                    grown = True
                    grid.insert(0, grid[0] / STEP) if at == 0 else grid.append(grid[-1] * STEP)
            if not grown:
                return best

    def _best_index(self, arm: str, reviews: int, grid: list[float]) -> int:
        """Return the index of the rate with the best dev accuracy.

        Of equally good rates, the one nearer to the middle is taken, so that the grid does not grow
        without need.
        """
        centre = len(grid) // 2

        def merit(index: int) -> tuple[float, int]:
            fit = self.fit(arm, reviews, grid[index], SEEDS[0])
            return self.done[fit.key]["dev"], -abs(index - centre)

        return max(range(len(grid)), key=merit)

    def _chosen(self, best: dict[tuple[str, int], float], arm: str, reviews: int) -> list[Any]:
        """Return the fits of all seeds at the chosen rate."""
        rate = best[arm, reviews]
        return [self.done[self.fit(arm, reviews, rate, seed).key] for seed in SEEDS]

    def report(self, best: dict[tuple[str, int], float]) -> dict[str, Any]:
        """Return all fits, the chosen rates and the gains.

        A gain is the mean over the seeds of the test accuracy of ``tiny`` minus that of ``random``.
        """
        summary = []
        for reviews in EPOCHS:
            chosen = {arm: self._chosen(best, arm, reviews) for arm in ARMS}
            means = {}
            for arm, rows in chosen.items():
                means[arm] = float(np.mean([row["test"] for row in rows]))
            variance = sum(mean * (1 - mean) for mean in means.values())
            error = math.sqrt(variance / len(self.splits["test"].labels))
            gains = [
                a["test"] - b["test"] for a, b in zip(chosen["tiny"], chosen["random"], strict=True)
            ]
            summary.append(
                {
                    "reviews": reviews,
                    "chosen": chosen,
                    "mean_test": means,
                    "gain": float(np.mean(gains)),
                    "gain_se": error,
                }
            )
        sizes = {name: len(split.labels) for name, split in self.splits.items()}
        return {
            "weights_sha256": self.weights,
            "sizes": sizes,
            "epochs": EPOCHS,
            "summary": summary,
            "fits": sorted(self.done.values(), key=lambda row: row["key"]),
        }


def as_markdown(report: dict[str, Any]) -> str:
    """Return the study as a page; every figure comes from ``report``."""
    sizes = report["sizes"]
    lines = [
        "# Does pre-training the embedded encoder pay?",
        "",
        "This study compares two starting points for IMDB sentiment: the weights of `tiny`",
        f"({report['weights_sha256']}), and random weights of the same architecture.",
        "`scripts/study_pretraining_pays.py` runs it.",
        "",
        "- **Model**: pooled [CLS] and a head of 256 ReLU units, "
        f"at most {MAX_LENGTH} pieces for each",
        "  review.",
        f"- **Training**: batch {BATCH}, AdamW, 10 % warm-up and linear decay, bf16 autocast.",
        "- **Selection**: learning rates were chosen on "
        f"{sizes['dev']:,} development reviews cut from",
        "  the training part, with the first seed. The same reviews chose the epoch.",
        f"- **Test**: n = {sizes['test']:,} test reviews, half of them positive. "
        "No test review was in",
        "  the pre-training text.",
        "",
        "| training reviews | tiny, test | random, test | gain, points "
        "| standard error (test sample) |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in report["summary"]:
        means = row["mean_test"]
        lines.append(
            f"| {row['reviews']:,} | {100 * means['tiny']:.1f} % | {100 * means['random']:.1f} % "
            f"| {100 * row['gain']:+.1f} | {100 * row['gain_se']:.1f} |"
        )
    lines += [
        "",
        f"The values are means of {len(SEEDS)} seeds. "
        "The standard error is that of two independent",
        "samples. Both arms share their samples, "
        "so it is an upper bound for the test sample's part.",
        "",
        "All fits follow. The search over rates used the first seed only:",
        "",
    ]
    lines += [
        "| arm | training reviews | rate | seed | best epoch | dev | test | chosen rate |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    chosen: set[str] = set()
    for row in report["summary"]:
        for fits in row["chosen"].values():
            chosen.update(fit["key"] for fit in fits)
    ordered = sorted(
        report["fits"], key=lambda row: (row["reviews"], row["arm"], row["rate"], row["seed"])
    )
    for fit in ordered:
        mark = "yes" if fit["key"] in chosen else ""
        lines.append(
            f"| {fit['arm']} | {fit['reviews']:,} | {fit['rate']:.1e} | {fit['seed']} "
            f"| {fit['epoch']} of {report['epochs'][fit['reviews']]} "
            f"| {100 * fit['dev']:.1f} % | {100 * fit['test']:.1f} % | {mark} |"
        )
    return "\n".join(lines) + "\n"


@click.command(help="Compare fine-tuning from the tiny weights with fine-tuning from random ones.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    envvar="ROBENCH_DATA",
    required=True,
    help="Folder of the IMDB data.",
)
@click.option(
    "--model",
    type=click.Path(path_type=Path, exists=True),
    default=Path("robench/embedded/tiny"),
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("docs/studies"), show_default=True
)
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    default=Path("docs/studies/pretraining-pays.jsonl"),
    show_default=True,
)
@click.option("--processes", default=2, show_default=True)
@click.option("--nice", default=0, help="Lower the process's priority by this much.")
def main(data: Path, model: Path, out: Path, log: Path, processes: int, nice: int) -> None:
    """Run from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    os.nice(nice)
    study = Study(model, log, load_splits(data, model), processes)
    best = study.search()
    fits: list[Fit] = []
    for (arm, reviews), rate in best.items():
        fits += [study.fit(arm, reviews, rate, seed) for seed in SEEDS]
    study.run(fits)
    report = study.report(best)
    out.mkdir(parents=True, exist_ok=True)
    (out / "pretraining-pays.json").write_text(
        json.dumps(report, indent=2) + "\n", encoding="utf-8"
    )
    page = as_markdown(report)
    (out / "pretraining-pays.md").write_text(page, encoding="utf-8")
    click.echo(page)


if __name__ == "__main__":
    main()
