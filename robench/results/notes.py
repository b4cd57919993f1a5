"""What stands beneath a table: what its columns mean, and under which conditions its numbers hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from robench.protocol import Protocol
from robench.results.record import Record

MEANINGS = """\
All accuracies are in % of all n examples, with the 95 % Wilson interval for the choice of those examples in brackets.

- **Clean accuracy**: classified rightly when nobody attacks.
- **Under an attack's name**: accuracy under that attack: right without it and not fooled by it. An example that is wrong without attack counts as not robust.
- **Worst case**: right under every attack of the table, decided example by example, for each seed by itself.
- **Seeds**: how many trainings, each judged on the same n examples. With several: their mean ± their sample standard deviation, and the interval at the
  mean for n examples, not n times seeds. The interval is about other examples for these trainings; what another training may bring is what ± shows.
- **`—`**: there is no record. **`error`**: at least one example ended in an error, so the cell has no number.
- **Under attack** (every cell): accuracy under that attack with that seed. **Attack success rate**: fooled, in % of the examples that were right without
  attack. **Asked**: questions put to the victim.

Rows are sorted by worst case; overlapping intervals are not told apart by the order."""

PAIRED = """\
The best row against every other, on the same examples and for each seed by itself, by the worst case over attacks: examples that are robust under the
best row only, under the other only, and the two-sided p-value of the exact McNemar test. The best row was chosen by these numbers and nothing is
corrected for the number of rows. It is about these trainings, as the intervals are."""

TRUTH = """\
Some attack searched most of the spaces whole, so robustness itself is known, but for the examples that merely held. **Truth**: from the share of all n
examples that are proved robust to the share that no attack fools. **Above the truth**: how many points the accuracy under an attack is too high, from
counting every example that is not proved as robust to counting none."""

OUTSIDE = (
    "**Outside the surface**: these attacks write texts of their own. Neither the substitution set nor the language model bounds what they may change, "
    "nothing is proved, and their numbers do not compare with those of attacks inside the surface, which stand in tables of their own."
)


def synthetic_notice(records: Iterable[Record]) -> str:
    """A sentence that says so when the task's texts are synthetic; empty when they are not."""
    if any(record.task.synthetic for record in records):
        return "Synthetic task: its texts were composed for this project. It shows that everything works and says nothing about real text."
    return ""


def conditions(records: Sequence[Record]) -> list[str]:
    """Lines on what the records have in common; a line names all values where they differ."""
    if not records:
        return ["There are no records yet."]
    limits = {record.limit for record in records if record.limit is not None}
    return [
        f"Task: {_all(records, _task)}."
        + (" **A limited run: not comparable with a board.**" if limits else ""),
        f"Digest of the test examples: {_all(records, lambda r: f'`{r.task.digest}`')}.",
        f"Encoder: {_all(records, lambda r: f'{r.encoder.name}, files `{r.encoder.sha256}`')}.",
        *[
            f"Protocol {name}: {summary}"
            for name, summary in sorted({(r.protocol.name, _protocol(r.protocol)) for r in records})
        ],
        f"Surface: {_all(records, lambda r: f'`{r.surface.key}`')}; language model: {_all(records, lambda r: r.surface.language_model)}.",
        *(
            [OUTSIDE]
            if any(record.surface.outside for record in records)
            else [f"Bound by the language model: {_bound(records)}."]
        ),
        f"Questions an example: {_all(records, lambda r: 'as many as the attack asks' if r.search.budget is None else f'at most {r.search.budget}')}.",
        f"Precision: training {_all(records, lambda r: r.victim.precision)}, search {_all(records, lambda r: r.search.precision)}, verdict fp32.",
        *_disbelieved(records),
        *[
            f"Finding on {label}, seed {seed}: {finding}"
            for label, seed, finding in _findings(records)
        ],
        f"robench {_all(records, lambda r: r.software.robench)} on {_all(records, lambda r: r.software.device)}.",
    ]


def _all(records: Iterable[Record], value: Callable[[Record], str]) -> str:
    return "; ".join(sorted({value(record) for record in records}))


def _task(record: Record) -> str:
    judged = (
        f"{record.counts.n} of {record.task.examples}"
        if record.limit is not None
        else f"all {record.task.examples}"
    )
    return f"{record.task.name}, {judged} test examples ({record.task.test_name}), trained on pool '{record.task.train_pool}'"


def _protocol(protocol: Protocol) -> str:
    return (
        f"{protocol.summary} Tokens: {protocol.tokens}; lookup: {protocol.lookup}; surface: {protocol.surface}; language model: "
        f"±{protocol.lm_radius} words, at most {protocol.lm_threshold:g} nats below the original; pair segments: {'yes' if protocol.pair_segments else 'no'}."
    )


def _bound(records: Iterable[Record]) -> str:
    bound = sorted({(record.attack.label, record.surface.constrained) for record in records})
    return ", ".join(f"{label} {'yes' if constrained else 'no'}" for label, constrained in bound)


def _disbelieved(records: Sequence[Record]) -> list[str]:
    """One line on successes in the search that the verdict denied; none where there are none."""
    cells = [
        f"{r.defense.label} under {r.attack.label}, seed {r.search.seed}: {r.disbelieved}"
        for r in records
        if r.disbelieved
    ]
    return (
        [
            f"Held although the search claimed a success or an answer to it was one, which the verdict denied: {'; '.join(sorted(cells))}."
        ]
        if cells
        else []
    )


def _findings(records: Iterable[Record]) -> list[tuple[str, int, str]]:
    return sorted(
        {
            (record.defense.label, record.search.seed, finding)
            for record in records
            for finding in record.victim.findings
        }
    )
