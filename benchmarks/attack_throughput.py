"""Measure the throughput of searches: the engine against TextAttack and against bare forwards.

    python benchmarks/attack_throughput.py [--words 100] [--attack pwws] [--victim tiny]
        [--skip textattack] [--quick]
    python benchmarks/attack_throughput.py --simulated [--attack pwws] [--processes 2] [--quick]

A query is a row that a search needs from the victim, the clean text included, as TextAttack counts
it. Repeated rows that are answered from memory, and the rows of the engine's verdicts, are not
counted. Rates are rows per second of CPU time in one thread. For each victim, attack and length
there are three repetitions. In each of them, all contestants run in turn:

* *engine*: a run over whole texts, with clean predictions and verdicts.
* *limit*: the same model on the same rows as the engine, in full batches of one length, with token
  ids that are tensors already. The batch size is that of the engine, half of it or twice it,
  whichever is fastest. The limit runs alongside the engine, so that changes of the machine's speed
  affect both. Like the engine, it computes the last layer for the first token only. *whole*
  computes it for every token, as the model does when it is called.
* *TextAttack* 0.3.11 as shipped: its wrapper, which pads every row to 512 tokens, and its search
  (that of PWWSRen2019; AlzantotGeneticAlgorithm) on the same texts and substitutes, in a process of
  its own.
* *fixed*: TextAttack with ``padding=True``, which pads to the longest row of a batch.

The benchmark also measures two workers against one; a search in bf16 against the fp32 limit, and
its verdicts against those in fp32; memory after 100 and after 1000 texts; and on a GPU, the engine
against bare forwards. Texts are synthetic (mini-reviews joined together). The victim ``tiny`` is
trained for seconds, and ``wide`` has 4 layers x 256 of random weights. The table shows the
project's targets beside the figures; nothing is asserted. The last line is JSON.

With ``--simulated`` it measures nothing but how long a GPU would wait for the engine
(``throughput/simulated.py``). That takes a minute and needs no GPU. ``--processes`` lets several
search processes share that GPU (``throughput/several.py``).
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
from throughput.report import ThroughputRow, figures, other_table, throughput_table
from throughput.searches import make_load, measure
from throughput.several import SharedIdleness, several, several_figures, several_table
from throughput.simulated import RATES as SIMULATED
from throughput.simulated import Idleness, idle_figures, idle_table, measure_idleness
from throughput.steady import steady
from throughput.subjects import MAX_TOKENS, density, load_victim, make_jobs, make_victim
from throughput.workers import bare_rate, shift

PARTS = ("textattack", "workers", "reduced", "memory", "gpu")
FEW = 100


@dataclass(frozen=True)
class BenchmarkPlan:
    """What is measured.

    Attributes:
        words: lengths of the texts.
        attacks: names of the attacks.
        victims: names of the victims.
        examples: number of texts in a run; None for as many as fill its time.
        skip: parts that are left out.
        seconds: approximate CPU time of each contestant in each repetition.
        repeats: number of repetitions.
        many: number of texts for memory and verdicts.
        shifts: number of texts for the workers.
        folder: where victims are written.
    """

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
        """Return the folder of a victim, which is made if it does not exist."""
        folder = self.folder / name
        if not folder.exists():
            show_progress(f"making the victim '{name}'")
            make_victim(name, folder)
        return folder


def show_progress(what: str) -> None:
    """Print one line on stderr."""
    click.echo(what, err=True)


def rates(plan: BenchmarkPlan) -> Iterator[ThroughputRow]:
    """Measure engine, limit and TextAttack for every victim, length and attack."""
    for name in plan.victims:
        plan.victim(name)
    with nullcontext() if "textattack" in plan.skip else Peer(plan.folder) as peer:
        for name in plan.victims:
            victim = load_victim(plan.victim(name))
            for words in plan.words:
                limit, whole = Limit(victim, words), Limit(victim, words, whole=True)
                for attack in plan.attacks:
                    show_progress(f"{name}, {attack}, {words} words")
                    load = make_load(
                        victim, attack, words, limit.expected * plan.seconds, plan.examples
                    )
                    row = ThroughputRow(name, attack, words)
                    for _ in range(plan.repeats):
                        row.runs.append(measure(victim, limit, whole, attack, load))
                        if peer is None:
                            continue
                        asked = (name, attack, words)
                        row.shipped += peer.measure(*asked, fixed=False, seconds=plan.seconds)
                        row.fixed += peer.measure(*asked, fixed=True, seconds=plan.seconds)
                    yield row


def reduced(plan: BenchmarkPlan) -> dict[str, Any]:
    """Measure PWWS in bf16 against bare forwards in fp32.

    Bare forwards in bf16 against those in fp32 show the most that a change of precision can gain.
    """
    found: dict[str, Any] = {}
    for name in plan.victims:
        victim, prefix = load_victim(plan.victim(name)), "" if name == "tiny" else f"{name}_"
        for words in plan.words:
            show_progress(f"{name} in bf16, {words} words")
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


def memory(plan: BenchmarkPlan) -> dict[str, Any]:
    """Measure resident memory along a run over short texts, and compare verdicts in bf16."""
    show_progress(f"{plan.many} texts of 20 words, memory and verdicts")
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


def two_workers(plan: BenchmarkPlan) -> dict[str, Any]:
    """Measure two workers against one, in turns, and the same for bare forwards."""
    folder = plan.victim("tiny")
    jobs = list(make_jobs(load_victim(folder), 100, plan.shifts))
    ratios, bare, starts = [], [], []
    for turn in range(min(plan.repeats, 2)):
        show_progress(f"one worker, then two, turn {turn + 1}")
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


def on_gpu(plan: BenchmarkPlan) -> dict[str, Any]:
    """Measure PWWS against bare forwards, both in bf16, on a GPU.

    The victims are one of BERT-base's shape at the longest rows, and ``tiny``.
    """
    found: dict[str, Any] = {}
    for name, lengths in (("base", [MAX_TOKENS - 2]), ("tiny", list(plan.words))):
        victim = load_victim(plan.victim(name), "cuda")
        for words in lengths:
            show_progress(f"{name} on the GPU, {words} words")
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


def idleness(attacks: Sequence[str], repeats: int, quick: bool) -> Iterator[list[Idleness]]:
    """Measure every simulated device under each attack, ``repeats`` times."""
    for attack in attacks:
        for rate, goal in SIMULATED.items():
            show_progress(f"{attack}, a device of {rate:,} rows/s, {goal.words} words")
            yield [
                measure_idleness(rate, goal.words, attack, 2_000 if quick else None)
                for _ in range(repeats)
            ]


def shared_idleness(
    attacks: Sequence[str], processes: Sequence[int], repeats: int, quick: bool
) -> Iterator[list[SharedIdleness]]:
    """Measure every simulated device for several numbers of search processes."""
    for attack in attacks:
        for rate, goal in SIMULATED.items():
            for number in processes:
                show_progress(f"{attack}, {rate:,} rows/s, {number} search processes")
                rows = 2_000 if quick else None
                yield from several(rate, goal.words, attack, number, repeats, rows)


def others(plan: BenchmarkPlan) -> dict[str, Any]:
    """Measure all figures except those of ``rates``."""
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


def head(plan: BenchmarkPlan) -> str:
    """Return the text that explains the tables."""
    folder = plan.victim(plan.victims[0])
    share, each = density(list(islice(make_jobs(load_victim(folder), max(plan.words), 4), 4)))
    return (
        f"Synthetic texts (mini-reviews joined together); {share:.0%} of the words have {each:.1f} "
        "substitutes on average; one thread; fp32.\n"
        "Rows through the victim per CPU second; engine/limit: median (lowest–highest) of "
        f"{plan.repeats}. 'fixed' is TextAttack with padding=True.\n"
        "Two workers are timed by the clock from the moment when both are ready: their start "
        "(worker_start_seconds) is left out. That needs two idle cores."
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
    help="Number of texts in a run (default: as many as fill its time).",
)
@click.option("--skip", type=click.Choice(PARTS), multiple=True, help="Leave a part out.")
@click.option(
    "--seconds",
    default=4.0,
    show_default=True,
    help="Approximate CPU time of each contestant in each repetition.",
)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--simulated",
    is_flag=True,
    help="Measure only how long simulated devices would stand idle.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    multiple=True,
    help="With --simulated: search processes that share the device.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Run everything once, briefly. The figures then mean nothing.",
)
def main(
    quick: bool,
    seconds: float,
    repeats: int,
    simulated: bool,
    processes: tuple[int, ...],
    **chosen: Any,
) -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    if processes and not simulated:
        raise click.UsageError("--processes needs --simulated.")
    if processes:
        shared = list(shared_idleness(chosen["attacks"], processes, 1 if quick else repeats, quick))
        click.echo(several_table(shared))
        click.echo(json.dumps(several_figures(shared), allow_nan=False))
        return
    if simulated:
        found = list(idleness(chosen["attacks"], 1 if quick else repeats, quick))
        click.echo(idle_table(found))
        click.echo(json.dumps(idle_figures(found), allow_nan=False))
        return
    sizes: dict[str, Any] = {"seconds": seconds, "repeats": repeats, "many": 1000, "shifts": 200}
    if quick:
        sizes = {"seconds": 0.3, "repeats": 1, "many": 40, "shifts": 6}
    with tempfile.TemporaryDirectory() as folder:
        plan = BenchmarkPlan(**chosen, **sizes, folder=Path(folder))
        rows, further = list(rates(plan)), others(plan)
        click.echo(f"{head(plan)}\n\n{throughput_table(rows)}")
    if further:
        click.echo(f"\n{other_table(further)}")
    click.echo(json.dumps(figures(rows) | further, allow_nan=False))


if __name__ == "__main__":
    main()
