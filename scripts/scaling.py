"""Work out what the paper's full tables take on 1, 8 and 64 cards, from measured rates.

    python -m scripts.scaling            # print the tables
    python -m scripts.scaling --write    # put them into docs/scaling.md

The rates of a card are in ``scripts/scaling_rates.json``. The queries are those of the records in
``leaderboards/records``. ``--write`` also writes ``robench/embedded/query_counts.json``, from which
``robench evaluate --dry-run`` estimates queries where an attack was never run.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, Final

import click
from tabulate import tabulate

from robench.tasks.registry import TASKS
from robench.tasks.snli import TRAIN_SIZE

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "scaling.md"
COUNTS: Final = ROOT / "robench" / "embedded" / "query_counts.json"
RATES: Final = ROOT / "scripts" / "scaling_rates.json"
BEGIN, END = "<!-- tables: python -m scripts.scaling --write -->", "<!-- end of the tables -->"

ENCODERS: Final = ("bert-base-uncased", "roberta-base")
TASK_NAMES: Final = ("imdb", "snli")
ATTACKS: Final = ("genetic", "pwws")
ROWS: Final = ("standard", "ascc", "ascc+weight-decay", "ascc+mixout", "rift")
"""The rows of the RIFT paper: Standard, Adv-Base, Adv-PTWD, Adv-Mixout and RIFT."""
SEEDS: Final = 3
EXAMPLES: Final = 1000
CARDS: Final = (1, 8, 64)
# IMDB's 25,000 without the 1,000 dev examples and the texts that also occur in the test half.
_TRAIN: Final = {"imdb": 23_875, "snli": TRAIN_SIZE}


@dataclass(frozen=True)
class Count:
    """Queries for each judged example in records of one attack on one task.

    Attributes:
        asked: queries, one number a record.
        forwarded: rows that went through the victim.
    """

    asked: tuple[float, ...]
    forwarded: tuple[float, ...]


@dataclass(frozen=True)
class Amount:
    """A number, and how it was found."""

    value: float
    how: str


def read_counts(folder: Path) -> dict[str, dict[str, Count]]:
    """Return attack -> task -> its queries, from the records of all boards.

    Randomised victims are left out: each of their answers takes many rows.
    """
    found: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    # A record may be on two boards.
    paths = {path.name: path for path in sorted(folder.glob("*/*.json"))}
    for path in paths.values():
        record = json.loads(path.read_bytes())
        if "attack" not in record or record.get("limit") is not None:
            continue
        if record["victim"].get("smoothing") is not None:
            continue
        attack, examples = record["attack"], sum(record["counts"].values())
        # Options change the number of queries.
        if attack["label"] == attack["name"] and record["search"]["budget"] is None:
            cost = record["cost"]
            name = attack["name"], record["task"]["name"]
            found[name].append((cost["asked"] / examples, cost["forwarded"] / examples))
    counts: dict[str, dict[str, Count]] = defaultdict(dict)
    for (attack, task), pairs in sorted(found.items()):
        counts[attack][task] = Count(*zip(*sorted(pairs), strict=True))
    return dict(counts)


def shipped(counts: Mapping[str, Mapping[str, Count]], texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``query_counts.json``: the least and the most of each task."""
    return {
        "about": "Queries for each judged example in the records of robench's boards: the least "
        "and the most. Made by scripts/scaling.py.",
        "attacks": {
            attack: [
                {
                    "task": task,
                    "asked": _ends(count.asked),
                    "forwarded": _ends(count.forwarded),
                    # 0: not measured, so the counts say nothing of texts of other tasks.
                    "changes": texts[task]["changes"] if task in texts else 0.0,
                    "records": len(count.asked),
                }
                for task, count in tasks.items()
            ]
            for attack, tasks in counts.items()
        },
    }


def _ends(values: Sequence[float]) -> list[float]:
    return [round(min(values), 3), round(max(values), 3)]


class Costs:
    """Seconds of the parts of the paper's tables on one card.

    Args:
        rates: the content of ``scaling_rates.json``.
        counts: what ``read_counts`` returned.
    """

    def __init__(self, rates: Mapping[str, Any], counts: Mapping[str, Mapping[str, Count]]) -> None:
        self._rates, self._counts = rates, counts
        self._speeds = {(each["shape"], each["words"]): each for each in rates["rows_per_second"]}

    def rows_per_second(self, task: str) -> Amount:
        """Return the rows a second of a search on 12 x 768."""
        long = self._speeds["12 x 768", 298]
        if task == "imdb":
            return Amount(long["engine"], "measured, at 298 words")
        small = self._speeds["6 x 384", 20]
        # The engine's own time for a row does not depend on the encoder; a pass over 12 layers of
        # 768 takes 8 times the arithmetic of one over 6 layers of 384.
        own = 1 / small["engine"] - 1 / small["forwards"]
        how = "derived: the engine's own time at 20 words, and 8 times the pass of 6 x 384"
        return Amount(1 / (own + 8 / small["forwards"]), how)

    def step_seconds(self, task: str) -> Amount:
        """Return the seconds of one RIFT step on 12 x 768."""
        step = self._rates["rift_step"]
        if task == "imdb":
            return Amount(step["seconds"], "measured, 32 x 300 tokens")
        batch = int(TASKS.get(task).training["batch_size"])
        texts = self._rates["texts"][task]
        # Three special tokens stand around the two texts of a pair.
        tokens = texts["words"] + texts["first_text_words"] + 3
        share = batch * tokens / (step["batch_size"] * step["tokens"])
        return Amount(
            step["seconds"] * share, f"derived: in proportion to {batch} x {tokens:.0f} tokens"
        )

    def over_rift(self, row: str, task: str) -> Amount:
        """Return the time of a training as a share of RIFT's."""
        if row == "rift":
            return Amount(1.0, "")
        seconds = self._rates["training_seconds"][task]
        member = row.partition("+")[0]
        added = "" if member == row else "; what is added to ascc is not counted"
        how = f"measured with 6 x 384, six trainings side by side{added}"
        return Amount(seconds[member] / seconds["rift"], how)

    def steps(self, task: str) -> int:
        """Return the steps of one training."""
        settings = TASKS.get(task).training
        return int(settings["epochs"]) * -(-_TRAIN[task] // int(settings["batch_size"]))

    def training(self, row: str, task: str) -> float:
        """Return the seconds of one training, without dev scoring."""
        step, share = self.step_seconds(task).value, self.over_rift(row, task).value
        return self.steps(task) * step * share

    def rows(self, attack: str, task: str) -> Amount:
        """Return the rows of one attack on all examples: the most of any record."""
        tasks = self._counts[attack]
        if task in tasks:
            most, number = max(tasks[task].forwarded), len(tasks[task].forwarded)
            how = f"the most of {_records(number)} of {task}, with a small encoder"
            return Amount(most * EXAMPLES, how)
        other = max(tasks, key=lambda name: max(tasks[name].asked))
        how = f"derived: all queries of the record of {other} with the most; no record of {task}"
        return Amount(max(tasks[other].asked) * EXAMPLES, how)

    def attack(self, attack: str, task: str) -> float:
        """Return the seconds of one attack on one victim."""
        return self.rows(attack, task).value / self.rows_per_second(task).value

    def victim(self, row: str, task: str) -> float:
        """Return the seconds of one training and of all attacks on the victim."""
        return self.training(row, task) + sum(self.attack(each, task) for each in ATTACKS)


def _records(number: int) -> str:
    return f"{number} record{'' if number == 1 else 's'}"


def longest(jobs: Iterable[float], cards: int) -> float:
    """Return when the last card is done, if each next longest job goes to the first free card."""
    loads = [0.0] * cards
    for job in sorted(jobs, reverse=True):
        loads[loads.index(min(loads))] += job
    return max(loads)


def tables(costs: Costs) -> str:
    """Return the tables of the page as Markdown."""
    victims = len(ENCODERS) * SEEDS
    jobs = {
        task: [costs.victim(row, task) for row in ROWS for _ in range(victims)]
        for task in TASK_NAMES
    }
    return "\n\n".join(
        (
            "### Rates",
            _markdown(("what", "value", "how it was found"), _rate_rows(costs)),
            "### One victim",
            _markdown(
                ("task", "row", "training", *ATTACKS),
                [
                    (
                        task,
                        f"`{row}`",
                        _time(costs.training(row, task)),
                        *[_time(costs.attack(attack, task)) for attack in ATTACKS],
                    )
                    for task in TASK_NAMES
                    for row in ROWS
                ],
            ),
            "### The full tables",
            fill(
                f"{len(ROWS)} rows, {len(ENCODERS)} encoders ({', '.join(ENCODERS)}), {SEEDS} "
                f"seeds: {victims * len(ROWS)} victims for each task, each under "
                f"{' and '.join(ATTACKS)} on {EXAMPLES} examples.",
                100,
            ),
            _markdown(
                ("task", "all cards together", *map(_cards, CARDS)),
                [
                    (title, _time(sum(chosen)), *[_time(longest(chosen, n)) for n in CARDS])
                    for title, chosen in (
                        *jobs.items(),
                        ("both", [job for each in jobs.values() for job in each]),
                    )
                ],
            ),
        )
    )


def _rate_rows(costs: Costs) -> list[tuple[str, str, str]]:
    rows = []
    for task in TASK_NAMES:
        for what, amount, shown in (
            ("rows a second of a search", costs.rows_per_second(task), ",.0f"),
            ("seconds of a RIFT step", costs.step_seconds(task), ".3f"),
            ("time of `standard` over `rift`", costs.over_rift("standard", task), ".2f"),
            ("time of `ascc` over `rift`", costs.over_rift("ascc", task), ".2f"),
            *((f"rows of {each}", costs.rows(each, task), ",.0f") for each in ATTACKS),
        ):
            rows.append((f"{task}: {what}", format(amount.value, shown), amount.how))
    return rows


def _cards(number: int) -> str:
    return f"{number} card{'' if number == 1 else 's'}"


def _time(seconds: float) -> str:
    """Write seconds with the unit that fits: ``"8 s"``, ``"2.3 min"``, ``"1.9 h"``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    left = {heads[0], "row", "how it was found"}
    sides = ["left" if head in left else "right" for head in heads]
    return tabulate(rows, heads, tablefmt="github", colalign=sides, disable_numparse=True)


def page(text: str, inserted: str) -> str:
    """Return the page with its tables exchanged.

    Raises:
        ValueError: the marks around the tables are missing.
    """
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{PAGE} lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{inserted}\n\n{END}{after}"


def made() -> tuple[str, str]:
    """Return the tables, and the text of ``query_counts.json``."""
    rates = json.loads(RATES.read_text())
    counts = read_counts(ROOT / "leaderboards" / "records")
    content = json.dumps(shipped(counts, rates["texts"]), indent=1) + "\n"
    return tables(Costs(rates, counts)), content


@click.command()
@click.option("--write", is_flag=True, help="Write the page and the counts that robench ships.")
def main(write: bool) -> None:
    """Print the tables of docs/scaling.md."""
    text, content = made()
    if write:
        PAGE.write_text(page(PAGE.read_text(), text))
        COUNTS.write_text(content)
    else:
        sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
