"""Texts below a table: the conditions that its numbers hold under."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import JsonValue

from robench._base.escaping import TEXT, Markdown, code, markdown
from robench.models.fetched_encoders import training_data_of
from robench.protocol import Protocol
from robench.records.fresh_notes import fresh_lines
from robench.records.record import Record
from robench.records.time_notes import time_lines
from robench.records.unknown_notes import unknown_lines
from robench.text.punkt import is_of_nltk

OUTSIDE = Markdown(
    "**Outside the surface**: these attacks write texts of their own. Neither the substitution "
    "set nor the language model limits their changes, and they prove nothing. Their numbers do "
    "not compare with those of attacks inside the surface, which are in separate tables."
)


TEMPERATURES = {"none": "as trained", "dev": "fitted on dev"}
"""Value of ``Protocol.temperature`` -> words for readers."""


def synthetic_notice(records: Iterable[Record]) -> str:
    """Return a warning if a task's texts are synthetic, and an empty text otherwise."""
    if any(record.task.synthetic for record in records):
        return (
            "Synthetic task: its texts were composed for this project. It shows that everything "
            "works and says nothing about real text."
        )
    return ""


def conditions(records: Sequence[Record]) -> list[str]:
    """Return the conditions of the records, one per line, for Markdown.

    A line lists all values where the records differ. A line with markup is a ``Markdown``, in which
    every text of a record is escaped.
    """
    if not records:
        return ["There are no records yet."]
    return [
        _task_line(records),
        Markdown(
            f"Digest of the test examples: {_values(records, lambda r: code(r.task.digest))}."
        ),
        *_encoder_lines(records),
        *encoder_data_lines(records),
        *_given_lines(records),
        *randomised_lines(records),
        *_protocol_lines(records),
        *_surface_lines(records),
        *_scores_lines(records),
        *unknown_lines(records),
        f"Queries per example: {_values(records, _budget)}.",
        *_temperature_lines(records),
        _precision_line(records),
        *_disbelieved_lines(records),
        f"robench {_values(records, lambda r: r.software.robench)} "
        f"on {_values(records, lambda r: r.software.device)}.",
        *time_lines(records),
        *_code_lines(records),
    ]


def _code_lines(records: Sequence[Record]) -> list[str]:
    """Return a line that names the rows for which code of a model's folder ran."""
    rows = sorted({record.row for record in records if record.software.foreign_code})
    if not rows:
        return []
    return [
        Markdown(
            f"**Code of a model's folder ran** (--trust-remote-code): {markdown(', '.join(rows))}. "
            "Such code can change every result of its run."
        )
    ]


def _values(records: Iterable[Record], value: Callable[[Record], str]) -> str:
    """Return the distinct values of the records, sorted."""
    return "; ".join(sorted({value(record) for record in records}))


def _task_line(records: Sequence[Record]) -> str:
    line = markdown(f"Task: {_values(records, _task)}.", TEXT)
    if any(record.limit is not None for record in records):
        return Markdown(f"{line} **A limited run: not comparable with a board.**")
    return line


def _task(record: Record) -> str:
    size = record.task.examples
    judged = f"all {size}" if record.limit is None else f"{record.counts.n} of {size}"
    text = f"{record.task.name}, {judged} test examples ({record.task.test_name})"
    if record.task.other_test is not None:
        text += f", which come from {record.task.other_test} and not from the task's own test set"
    if record.encoder is None:
        return text
    return f"{text}, trained on pool '{record.task.train_pool}'"


def _encoder_lines(records: Iterable[Record]) -> list[str]:
    encoders = {(each.encoder.name, each.encoder.sha256) for each in records if each.encoder}
    if not encoders:
        return []
    texts = [f"{markdown(name)}, files {code(sha256)}" for name, sha256 in sorted(encoders)]
    return [Markdown(f"Encoder: {'; '.join(texts)}.")]


def encoder_data_lines(records: Iterable[Record]) -> list[str]:
    """Return what readers must know about the texts that the encoders were trained on before."""
    hashes = {record.encoder.sha256 for record in records if record.encoder is not None}
    return [text for text in map(training_data_of, sorted(hashes)) if text]


def _given_lines(records: Iterable[Record]) -> list[str]:
    """Return one line for each victim that the user gave."""
    return sorted({_given(record) for record in records if record.victim.name is not None})


def _given(record: Record) -> str:
    victim, given = record.victim, record.victim.given
    if given is None:
        defense = (
            "" if record.defense is None else f", which trained it with {record.defense.label}"
        )
        text = markdown(f"Row {record.row}: a saved victim of robench{defense}; weights", TEXT)
        return Markdown(f"{text} {code(victim.sha256)}.")
    parts = [] if given.architecture is None else [given.architecture]
    if given.max_tokens is not None:
        parts.append(f"reads at most {given.max_tokens} tokens")
    if given.label_map:
        pairs = [f"{theirs} is {ours}" for theirs, ours in sorted(given.label_map.items())]
        parts.append(f"labels: {', '.join(pairs)}")
    if not given.repeatable:
        parts.append("it has no version, so that no later run uses its trials")
    what = "a function" if victim.kind == "function" else f"the model '{given.source}'"
    details = "".join(f"; {part}" for part in parts)
    whole = f"Row {record.row}: {what}, which robench did not train{details}; identity"
    return Markdown(
        f"{markdown(whole, TEXT)} {code(victim.sha256)}. Its seeds are those of the search."
    )


def randomised_lines(records: Sequence[Record]) -> list[str]:
    """Return one line for each way in which rows answer at random, with those rows.

    Further lines say how often the texts that fool them do so with fresh random variants.
    """
    rows: dict[str, set[str]] = {}
    for record in records:
        if record.victim.smoothing is not None:
            rows.setdefault(_randomised(record.victim.smoothing), set()).add(record.row)
    lines = [f"Randomised: {', '.join(sorted(rows[how]))} ({how})." for how in sorted(rows)]
    return [*lines, *fresh_lines(records)]


def _randomised(smoothing: Mapping[str, JsonValue]) -> str:
    draws, kind = smoothing["draws"], smoothing["kind"]
    if kind == "function":
        return f"the mean over {draws} calls of the function for each text"
    what = "votes" if smoothing["answer"] == "votes" else "mean probability"
    return f"the {what} of {draws} random variants of each text, by {kind}"


def _protocol_lines(records: Iterable[Record]) -> list[str]:
    texts = {(record.protocol.name, _protocol(record.protocol)) for record in records}
    return [f"Protocol {name}: {text}" for name, text in sorted(texts)]


def _protocol(protocol: Protocol) -> str:
    return (
        f"{protocol.summary} Tokens: {protocol.tokens}; lookup: {protocol.lookup}; "
        f"surface: {protocol.surface}; language model: ±{protocol.lm_radius} words, "
        f"at most {protocol.lm_threshold:g} nats below the original; "
        f"pair segments: {'yes' if protocol.pair_segments else 'no'}; substitutes that the victim "
        f"reads as its unknown token: {protocol.unknown}; "
        f"temperature: {TEMPERATURES[protocol.temperature]}."
    )


def _surface_lines(records: Sequence[Record]) -> list[str]:
    keys = _values(records, lambda r: code(r.surface.key))
    models = markdown(_values(records, lambda r: r.surface.language_model), TEXT)
    line = Markdown(f"Surface: {keys}; language model: {models}.")
    if any(record.surface.outside for record in records):
        return [line, OUTSIDE]
    # An attack that searches for nothing replaces no word, so nothing binds it.
    records = [record for record in records if record.attack.searches]
    if not records:
        return [line]
    attacks = sorted({(record.attack.label, record.surface.constrained) for record in records})
    answers = [f"{label} {'yes' if constrained else 'no'}" for label, constrained in attacks]
    lines = [
        line,
        *_set_lines(records),
        f"Constrained by the language model: {', '.join(answers)}.",
    ]
    counts = sorted(
        {
            (record.attack.label, f"{record.surface.unattackable} of {record.counts.n}")
            for record in records
            if record.surface.unattackable is not None
        }
    )
    if counts:
        texts = [f"{label} {number}" for label, number in counts]
        lines.append(f"Examples without a word that may be replaced: {', '.join(texts)}.")
    return lines


def _set_lines(records: Sequence[Record]) -> list[str]:
    """Return which substitution set each attack searched, where this is known."""
    sets = sorted(
        {
            (record.attack.label, _set_name(record))
            for record in records
            if record.surface.substitutions is not None
        }
    )
    if not sets:
        return []
    texts = [f"{markdown(label)} {name}" for label, name in sets]
    return [Markdown(f"Substitution sets: {', '.join(texts)}.")]


def _set_name(record: Record) -> Markdown:
    """Return the name of the set; that of a file, which can change, with a short hash."""
    name, sha256 = record.surface.substitutions or "", record.surface.substitutions_sha256
    of_file = record.attack.label.partition("(")[0].endswith(".json")
    text = markdown(name)
    return Markdown(f"{text} ({code(sha256[:8])})") if of_file and sha256 else text


def _scores_lines(records: Iterable[Record]) -> list[str]:
    """Return what a file of scores lacks, and whether NLTK's own Punkt split the texts."""
    surfaces = [record.surface for record in records]
    lines = {each.scores.sentence for each in surfaces if each.scores is not None}
    splitters = {each.splitter or "" for each in surfaces}
    lines |= {f"Sentences: NLTK's own Punkt ({each})." for each in splitters if is_of_nltk(each)}
    return sorted(lines)


def _budget(record: Record) -> str:
    budget = record.search.budget
    return "no limit" if budget is None else f"at most {budget}"


def _precision_line(records: Sequence[Record]) -> str:
    search = _values(records, lambda r: r.search.precision)
    known = {record.victim.precision for record in records if record.victim.precision}
    training = f"training {'; '.join(sorted(known))}, " if known else ""
    return f"Precision: {training}search {search}, verdict fp32."


def _temperature_lines(records: Iterable[Record]) -> list[str]:
    """Return a line with the temperature of each victim that has one."""
    found = {
        (record.row, record.search.seed, f"{record.victim.temperature:.4g}")
        for record in records
        if record.victim.temperature is not None
    }
    if not found:
        return []
    each = [f"{row}, seed {seed}: {value}" for row, seed, value in sorted(found)]
    return [f"Temperatures, by which the logits of the searches were divided: {'; '.join(each)}."]


def _disbelieved_lines(records: Sequence[Record]) -> list[str]:
    """Return a line about successes of the search that the verdict did not confirm, if any."""
    cells = [
        f"{r.row} under {r.attack.label}, seed {r.search.seed}: {r.disbelieved}"
        for r in records
        if r.disbelieved
    ]
    if not cells:
        return []
    return [
        "Examples that held although the search saw the victim fooled, because the verdict did "
        f"not confirm it: {'; '.join(sorted(cells))}."
    ]


def health_lines(records: Iterable[Record]) -> list[str]:
    """Return what the health checks of the victims found, one line each."""
    findings = {
        (record.row, record.search.seed, finding)
        for record in records
        for finding in record.victim.findings
    }
    return [f"{label}, seed {seed}: {finding}" for label, seed, finding in sorted(findings)]
