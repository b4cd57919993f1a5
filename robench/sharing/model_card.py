"""The model card of a victim: ``README.md``, made from its card and from records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import read_bytes
from robench._base.errors import UsageError
from robench._base.escaping import NAME, cell, code, markdown, one_line, shorten
from robench._base.files import write_text
from robench.models.fetched_encoders import training_data_of
from robench.models.victim_folder import README
from robench.records.record import Record
from robench.records.record_files import RecordsOnDisk, find_records
from robench.records.run_folder import RunFolder
from robench.records.shown_records import NOTE, shown_part
from robench.records.statistics import accuracy_under_attack, clean_accuracy, wilson

MARK = "<!-- Made by robench, which replaces this file. Keep your own text elsewhere. -->"
"""A line of every model card, so that no file of the user is replaced."""
EXAMPLE = "USER/NAME"
"""Stands for the repository where it is not known."""


def write_model_card(folder: Path, card: Mapping[str, Any], records: Iterable[Record]) -> Path:
    """Write ``README.md`` into a victim's folder and return its path.

    No file that is hashed changes. A card that would stay the same is not written.

    Raises:
        UsageError: there is a ``README.md`` that robench did not make.
        RobenchError: the file cannot be written.
    """
    if not is_ours(folder):
        raise UsageError(
            f"'{folder / README}' was not made by robench, so it is not replaced. Move it away."
        )
    path, text = folder / README, model_card(card, records)
    if not path.is_file() or read_bytes(path) != text.encode():
        write_text(path, text)
    return path


def is_ours(folder: Path) -> bool:
    """Return whether robench may write a victim's ``README.md``: it is missing, or robench's.

    Raises:
        RobenchError: there is something of that name that cannot be read.
    """
    path = folder / README
    return not path.exists() or MARK.encode() in read_bytes(path)


def records_beside(folder: Path) -> Path | None:
    """Return the folder of records of the run that trained a victim; None where there is none."""
    run = RunFolder(folder.resolve().parent.parent)
    found = run.victims == folder.resolve().parent and run.records.is_dir()
    return run.records if found else None


def read_records_for(card: Mapping[str, Any], folder: Path | None) -> RecordsOnDisk:
    """Return the records of one victim in ``folder``, and those that cannot be read."""
    if folder is None:
        return RecordsOnDisk({}, {})
    found = find_records(folder)
    mine = {
        name: record
        for name, record in found.records.items()
        if record.victim.sha256 == card["sha256"]
    }
    return RecordsOnDisk(mine, found.damaged)


def model_card(
    card: Mapping[str, Any],
    records: Iterable[Record],
    repo: str = EXAMPLE,
    licence: str = "unknown",
) -> str:
    """Return the model card as Markdown with YAML front matter.

    Args:
        card: the contents of ``victim.json``.
        records: the records of this victim; others must not be given.
        repo: ``USER/NAME`` on the hub, for the examples.
        licence: the hub's name of a licence, such as ``mit``.
    """
    judged = sorted(
        map(shown_part, records),
        key=lambda each: (each.task.file_part, each.attack.label, each.limit or 0),
    )
    synthetic = any(each.task.synthetic for each in judged) or _is_synthetic(card["task"])
    title = markdown(f"{shorten(card['name'], NAME)} on {shorten(card['task'], NAME)}")
    parts = [
        _front_matter(card, synthetic, licence),
        MARK,
        f"# {title}",
        "A text classifier that was fine-tuned with robench, an adversarial-robustness benchmark. "
        "In the words of a benchmark it is a *victim*: a model that attacks are tried on.",
        "## How it was made",
        _facts(card),
        "## Robustness",
        *_robustness(judged),
        "## How to use it",
        *_usage(card, repo),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(card, judged, synthetic)),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(card: Mapping[str, Any], synthetic: bool, licence: str) -> str:
    """Return the YAML block that the hub reads."""
    from huggingface_hub import ModelCardData

    # The name of a file is no data set of the hub.
    known = not synthetic and card["task"] in _built_in_tasks()
    data = ModelCardData(
        license=licence,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["robench", "adversarial-robustness", f"defense:{one_line(card['name'], NAME)}"],
        datasets=[card["task"]] if known else None,
        metrics=["accuracy"],
    )
    return f"---\n{data.to_yaml()}\n---"


def _facts(card: Mapping[str, Any]) -> str:
    made = card.get("ingredients", {})
    options = made.get("options", {})
    dev = card.get("dev_accuracy")
    rows = {
        "task": card["task"],
        "labels": ", ".join(card["labels"]),
        "fields": ", ".join(card["fields"]) + f" (attacks change {card['attackable']})",
        "defense": card["name"],
        "options": ", ".join(f"{name}={value}" for name, value in sorted(options.items())),
        "encoder": card.get("encoder"),
        "protocol": card["protocol"],
        "window": f"{card['max_tokens']} tokens",
        "seed": card.get("seed"),
        "answers": _answers(card),
        "training data": (
            f"{card['train_examples']:,} examples, pool '{made.get('train_pool', 'unknown')}'"
            if "train_examples" in card
            else None
        ),
        "dev accuracy": (
            f"{100 * dev:.1f} % of {card['dev_examples']:,} examples" if dev is not None else None
        ),
        "epoch": _epoch(card),
        "robench": card.get("versions", {}).get("robench"),
        "SHA-256 of the weights": code(card["sha256"]),
    }
    lines = ["| | |", "|---|---|"]
    for name, value in rows.items():
        if value not in (None, ""):
            lines.append(f"| {name} | {cell(value, NOTE)} |")
    return "\n".join(lines)


_RULES = {
    "robust": "the most robust on dev among those within {margin:.1f} points of the best clean dev "
    "accuracy",
    "clean": "the highest clean dev accuracy",
    "last": "the last one",
    "paper": "the highest dev accuracy under the convex-hull attack",
}
"""Rule that chose the epoch -> what it prefers."""


def _epoch(card: Mapping[str, Any]) -> str | None:
    """Return which epoch was kept and by which rule; None where it is unknown."""
    if "selected_epoch" not in card:
        return None
    selection = card.get("selection")
    if selection is None:  # an older robench trained it
        return str(card["selected_epoch"])
    kept = selection["epochs"][selection["kept"] - 1]
    text = f"{selection['kept']} of {len(selection['epochs'])} (dev {100 * kept['clean']:.1f} %"
    if kept["attacked"] is not None:
        text += f", under the convex-hull attack {100 * kept['attacked']:.1f} %"
    why = _RULES[selection["rule"]].format(margin=100 * (selection["margin"] or 0))
    return f"{text}): {why} (select={selection['rule']})"


def _answers(card: Mapping[str, Any]) -> str | None:
    """Return how a randomised victim answers; None for any other."""
    smoothing = card.get("smoothing")
    if smoothing is None:
        return None
    how = "the mean probability" if smoothing["answer"] == "mean" else "the votes"
    return f"{how} of {smoothing['draws']} random variants of each text ({smoothing['kind']})"


def _robustness(records: Sequence[Record]) -> list[str]:
    if not records:
        return ["No attack has been measured on this victim yet, so nothing is known."]
    lines = [
        "| test set | attack | n | clean accuracy | accuracy under attack | protocol |",
        "|---|---|---|---|---|---|",
    ]
    for record in records:
        n = f"{record.counts.n:,}"
        if record.limit is not None:
            n += f" of {record.task.examples:,} (limited run)"
        cells = [
            record.task.other_test or record.task.name,
            record.attack.label + _conditions(record),
            n,
            *_rates(record),
            record.protocol.name,
        ]
        lines.append("| " + " | ".join(cell(each, NOTE) for each in cells) + " |")
    note = (
        "Accuracy in % of all n examples, with its 95 % Wilson interval. The interval covers the "
        "choice of the test examples, not other trainings."
    )
    return ["\n".join(lines), note]


def _conditions(record: Record) -> str:
    """Return what besides the attack's options decides its rate."""
    words = []
    if record.search.budget is not None:
        words.append(f"{record.search.budget:,} queries")
    if record.surface.outside:
        words.append("texts of its own")
    elif record.surface.constrained:
        words.append("language model")
    return f" ({', '.join(words)})" if words else ""


def _rates(record: Record) -> tuple[str, str]:
    counts = record.counts
    if counts.error:
        reason = f"none: {counts.error} examples ended in an error"
        return reason, reason
    return (
        _rate(clean_accuracy(counts), counts.n),
        _rate(accuracy_under_attack(counts), counts.n),
    )


def _rate(rate: float, n: int) -> str:
    low, high = wilson(rate, n)
    return f"{100 * rate:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _usage(card: Mapping[str, Any], repo: str) -> list[str]:
    fields = [shorten(name, NAME) for name in card["fields"]]
    texts = [_quoted(f"the {name}") for name in fields]
    given = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
    robench = f"""```python
import robench

victim = robench.load_victim({_quoted(f"hf:{repo}")})  # or a folder
print(victim.predict({given}))
```"""
    if card["schema"] == 1:
        return [
            robench,
            "transformers cannot load this folder: an older robench wrote it, and its head lies "
            "in a file of its own.",
        ]
    if len(texts) == 1:
        asked = texts[0]
    else:
        names = ["text", "text_pair"] if len(texts) == 2 else fields
        pairs = [f"{_quoted(name)}: {text}" for name, text in zip(names, texts, strict=True)]
        asked = f"{{{', '.join(pairs)}}}"
    transformers = f"""```python
from transformers import pipeline

classify = pipeline("text-classification", model={_quoted(repo)}, trust_remote_code=True)
print(classify({asked}))
```"""
    return [
        "With robench:",
        robench,
        "With transformers. The code of this folder only imports robench's classes, so robench "
        "must be installed:",
        transformers,
        f"{_agreement(card)} The encoder's plain tokenizer would give others: "
        f"protocol {code(card['protocol'])} lays out the words in its own way.",
    ]


def _quoted(text: str) -> str:
    """Return a string of Python for a block of code. It has one line and no raw character."""
    return json.dumps(text)


def _agreement(card: Mapping[str, Any]) -> str:
    if card.get("smoothing") is None:
        return "Both give the same probabilities."
    return (
        "The victim is randomised. robench answers from random variants of a text, and "
        "transformers gives the classifier's answer to the text itself."
    )


def _limits(card: Mapping[str, Any], records: Sequence[Record], synthetic: bool) -> list[str]:
    lines = []
    if synthetic:
        lines.append(
            "The texts of the task are synthetic. They were composed for robench, so the figures "
            "say nothing about real text."
        )
    if seen := training_data_of(str(card.get("ingredients", {}).get("encoder_sha256", ""))):
        lines.append(seen)
    if any(record.limit is not None for record in records):
        lines.append("A limited run judges only some of the test examples. It is not for a board.")
    if any(record.surface.language_model == "none" for record in records):
        lines.append("Runs without a language model: no attack was constrained by one.")
    lines += [
        "An accuracy under attack holds for that attack only. A stronger attack finds more.",
        "One training with one seed says little about the defense. Compare several seeds.",
        "The licence of the weights depends on the encoder and the training data. robench does "
        "not know it.",
    ]
    return lines


def _is_synthetic(task: str) -> bool:
    """Return whether a built-in task was composed for robench."""
    from robench.tasks.registry import TASKS

    return task in _built_in_tasks() and bool(TASKS.get(task).synthetic)


def _built_in_tasks() -> set[str]:
    from robench.tasks.registry import TASKS

    return {entry.name for entry in TASKS.entries() if entry.origin == "built-in"}
