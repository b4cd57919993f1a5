"""How fast searches go: the engine against TextAttack and against bare forwards on pre-tokenised input, in one run.

    python benchmarks/attack_throughput.py [--words 100] [--attack pwws] [--victim tiny] [--skip textattack] [--quick]

A query is a row that a search needed of the victim, the clean text included, as TextAttack counts it; repeats answered from memory and the rows of the
engine's verdicts are not counted. Rates are rows per second of CPU time, one thread. For each victim, attack and length there are three repetitions, in
each of which all contestants take their turn:

* *engine*: a run over whole texts, clean predictions and verdicts included.
* *limit*: the same model asked about the very rows that the engine asks about, in full batches of one length (the engine's batch size, half or twice it,
  whichever is fastest), token ids at hand as tensors. It runs alongside the engine, so a machine that speeds up or slows down does so for both. Like the
  engine it works the last layer out for the first token only; *whole* is the same with every token, as the model does when it is called.
* *TextAttack* 0.3.11 as shipped: its wrapper, which pads every row to 512 tokens, and its search (that of PWWSRen2019; AlzantotGeneticAlgorithm) over the same
  texts and substitutes, in a process of its own.
* *fixed*: TextAttack with ``padding=True``, to the longest row of a batch.

Also: two workers over one; a search in bf16 over the fp32 limit, and its verdicts beside those in fp32; memory after 100 and after 1000 texts; where there is a
GPU, the engine over bare forwards on it. Texts are synthetic (mini-reviews, strung together), and so is what victims know: ``tiny`` is trained for seconds,
``wide`` has 4 layers x 256 of random weights. What the project wants of a figure stands beside it; nothing is asserted. The last line is JSON.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any

import click
import torch
from throughput.limit import Limit
from throughput.peer import Peer
from throughput.report import Row, figures, other_table, throughput_table
from throughput.searches import make_load, measure
from throughput.steady import steady
from throughput.subjects import MAX_TOKENS, density, load_victim, make_jobs, make_victim
from throughput.workers import bare_rate, shift

PARTS = ("textattack", "workers", "reduced", "memory", "gpu")
FEW = 100


@dataclass(frozen=True)
class Plan:
    """What is measured. ``seconds``: of CPU time, about, for each contestant in each repetition; ``many``: texts for memory and verdicts."""

    words: Sequence[int]
    attacks: Sequence[str]
    victims: Sequence[str]
    examples: int | None
    skip: Sequence[str]
    seconds: float
    repeats: int
    many: int
    shifts: int
    folder: Path

    def victim(self, name: str) -> Path:
        """Folder of a victim, made if need be."""
        folder = self.folder / name
        if not folder.exists():
            tell(f"making the victim '{name}'")
            make_victim(name, folder)
        return folder


def tell(what: str) -> None:
    """Progress."""
    click.echo(what, err=True)


def rates(plan: Plan) -> Iterator[Row]:
    """Engine, limit and TextAttack: every victim, length and attack."""
    for name in plan.victims:
        plan.victim(name)
    with nullcontext() if "textattack" in plan.skip else Peer(plan.folder) as peer:
        for name in plan.victims:
            victim = load_victim(plan.victim(name))
            for words in plan.words:
                limit, whole = Limit(victim, words), Limit(victim, words, whole=True)
                for attack in plan.attacks:
                    tell(f"{name}, {attack}, {words} words")
                    load = make_load(
                        victim, attack, words, limit.expected * plan.seconds, plan.examples
                    )
                    row = Row(name, attack, words)
                    for _ in range(plan.repeats):
                        row.runs.append(measure(victim, limit, whole, attack, load))
                        if peer is not None:
                            row.shipped += peer.measure(
                                name, attack, words, fixed=False, seconds=plan.seconds
                            )
                            row.fixed += peer.measure(
                                name, attack, words, fixed=True, seconds=plan.seconds
                            )
                    yield row


def reduced(plan: Plan) -> dict[str, Any]:
    """PWWS searching in bf16 over bare forwards in fp32; and bare forwards in bf16 over these, which is all that a change of precision can bring."""
    found: dict[str, Any] = {}
    for name in plan.victims:
        victim, prefix = load_victim(plan.victim(name)), "" if name == "tiny" else f"{name}_"
        for words in plan.words:
            tell(f"{name} in bf16, {words} words")
            limit, whole, bare = (
                Limit(victim, words),
                Limit(victim, words, whole=True),
                Limit(victim, words, "bf16"),
            )
            load = make_load(victim, "pwws", words, limit.expected * plan.seconds, plan.examples)
            runs = [
                measure(victim, limit, whole, "pwws", load, "bf16") for _ in range(plan.repeats)
            ]
            over, over_whole = (
                median(run.engine.rate / clock(run).rate for run in runs)
                for clock in (attrgetter("limit"), attrgetter("whole"))
            )
            found.setdefault(f"{prefix}reduced_over_limit", {})[str(words)] = round(over, 4)
            found.setdefault(f"{prefix}reduced_over_whole_forwards", {})[str(words)] = round(
                over_whole, 4
            )
            found.setdefault(f"{prefix}reduced_limit_over_limit", {})[str(words)] = round(
                bare.expected / limit.expected, 4
            )
    return found


def memory(plan: Plan) -> dict[str, Any]:
    """Resident memory along a run over short texts, and the same texts' verdicts in bf16."""
    tell(f"{plan.many} texts of 20 words, memory and verdicts")
    few = min(FEW, plan.many // 2)
    seen = steady(plan.victim("tiny"), 20, plan.many, few)
    return {
        f"rss_mb_after_{few}": round(seen["rss_mb_after_few"], 1),
        f"rss_mb_after_{plan.many}": round(seen["rss_mb_after_all"], 1),
        "fooled_in_fp32": seen["fooled_in_fp32"],
        "fooled_in_bf16": seen["fooled_in_bf16"],
        "verdict_examples": plan.many,
        "reduced_verdict_difference": round(
            abs(seen["fooled_in_fp32"] - seen["fooled_in_bf16"]) / plan.many, 4
        ),
        "reduced_verdicts_that_differ": round(seen["verdicts_that_differ"] / plan.many, 4),
    }


def two_workers(plan: Plan) -> dict[str, Any]:
    """Rows a second of two workers over those of one, in turns, and the same of bare forwards."""
    folder = plan.victim("tiny")
    jobs = list(make_jobs(load_victim(folder), 100, plan.shifts))
    ratios, bare, starts = [], [], []
    for turn in range(min(plan.repeats, 2)):
        tell(f"one worker, then two, turn {turn + 1}")
        one, two = shift(folder, "pwws", jobs, 1), shift(folder, "pwws", jobs, 2)
        ratios.append(two.rate / one.rate)
        bare.append(
            bare_rate(folder, 100, 2, plan.seconds) / bare_rate(folder, 100, 1, plan.seconds)
        )
        starts += [one.start_seconds, two.start_seconds]
    return {
        "two_workers_over_one": round(median(ratios), 4),
        "two_bare_processes_over_one": round(median(bare), 4),
        "worker_start_seconds": round(median(starts), 2),
    }


def on_gpu(plan: Plan) -> dict[str, Any]:
    """PWWS in bf16 over bare forwards in bf16: BERT-base's shape at the longest rows, and ``tiny``."""
    found: dict[str, Any] = {}
    for name, lengths in (("base", [MAX_TOKENS - 2]), ("tiny", list(plan.words))):
        victim = load_victim(plan.victim(name), "cuda")
        for words in lengths:
            tell(f"{name} on the GPU, {words} words")
            limit, whole = Limit(victim, words, "bf16"), Limit(victim, words, "bf16", whole=True)
            load = make_load(victim, "pwws", words, limit.expected * plan.seconds, plan.examples)
            runs = [
                measure(victim, limit, whole, "pwws", load, "bf16") for _ in range(plan.repeats + 1)
            ][1:]
            ratio = median(run.engine.rate / run.limit.rate for run in runs)
            found.setdefault(f"gpu_{name}_engine_over_limit", {})[str(words)] = round(ratio, 4)
            found.setdefault(f"gpu_{name}_engine_rows_per_second", {})[str(words)] = round(
                median(run.engine.rate for run in runs), 1
            )
    return found


def others(plan: Plan) -> dict[str, Any]:
    """All figures but those of ``rates``."""
    found: dict[str, Any] = {}
    for name, part in (
        ("reduced", reduced),
        ("memory", memory),
        ("workers", two_workers),
        ("gpu", on_gpu),
    ):
        if name not in plan.skip and (name != "gpu" or torch.cuda.is_available()):
            found |= part(plan)
    return found


def head(plan: Plan) -> str:
    """What the tables rest on."""
    folder = plan.victim(plan.victims[0])
    share, each = density(list(islice(make_jobs(load_victim(folder), max(plan.words), 4), 4)))
    return (
        f"Synthetic texts (mini-reviews strung together), {share:.0%} of the words with {each:.1f} substitutes on the mean; one thread; fp32.\n"
        f"Rows through the victim per CPU second; engine/limit: median (lowest–highest) of {plan.repeats}. 'fixed' is TextAttack with padding=True.\n"
        "Two workers are timed by the clock from the moment both are ready: their start (worker_start_seconds) is left out. That needs two idle cores."
    )


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option(
    "--words",
    type=click.IntRange(4, MAX_TOKENS - 2),
    multiple=True,
    default=(20, 100, 250),
    show_default=True,
    help="Length of the texts.",
)
@click.option(
    "--attack",
    "attacks",
    type=click.Choice(["pwws", "genetic"]),
    multiple=True,
    default=("pwws", "genetic"),
    show_default=True,
)
@click.option(
    "--victim",
    "victims",
    type=click.Choice(["tiny", "wide"]),
    multiple=True,
    default=("tiny", "wide"),
    show_default=True,
)
@click.option(
    "--examples",
    type=click.IntRange(1),
    help="Texts of a run, instead of as many as fill its time.",
)
@click.option("--skip", type=click.Choice(PARTS), multiple=True, help="Leave a part out.")
@click.option(
    "--seconds",
    default=4.0,
    show_default=True,
    help="CPU time of each contestant in each repetition, about.",
)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--quick",
    is_flag=True,
    help="Everything once, in a few seconds each: says that it works, and no more.",
)
def main(quick: bool, seconds: float, repeats: int, **chosen: Any) -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    sizes: dict[str, Any] = {"seconds": seconds, "repeats": repeats, "many": 1000, "shifts": 200}
    if quick:
        sizes = {"seconds": 0.3, "repeats": 1, "many": 40, "shifts": 6}
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(**chosen, **sizes, folder=Path(folder))
        rows, found = list(rates(plan)), others(plan)
        click.echo(f"{head(plan)}\n\n{throughput_table(rows)}")
    if found:
        click.echo(f"\n{other_table(found)}")
    click.echo(json.dumps(figures(rows) | found, allow_nan=False))


if __name__ == "__main__":
    main()
