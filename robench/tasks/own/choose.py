"""Which column is the text, which is the label: what the user says, or a guess that is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robench._base.errors import UsageError
from robench._base.hints import did_you_mean
from robench.tasks.columns import DataColumns

TEXT_NAMES = (
    "text", "texts", "sentence", "sentences", "review", "reviews", "review_text", "content",
    "comment", "comment_text", "tweet", "body", "document", "message", "utterance", "abstract",
)  # fmt: skip
PAIR_NAMES = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("sentence_a", "sentence_b"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("text", "text_pair"),
    ("query", "passage"),
)
LABEL_NAMES = (
    "label", "labels", "gold", "gold_label", "category", "sentiment", "class", "target",
    "polarity", "is_duplicate", "emotion", "intent", "topic",
)  # fmt: skip
_WORDS_OF_A_NAME = 5
_LETTERS_OF_A_NAME = 60
_ENDS_OF_SENTENCES = (".", "!", "?")


@dataclass(frozen=True)
class Chosen:
    """The columns of one table.

    Attributes:
        texts: columns of the one text, or of the two texts of a pair.
        label: column of the label.
        attack: the one of ``texts`` that may be attacked.
        remarks: sentences about what was guessed.
    """

    texts: tuple[str, ...]
    label: str
    attack: str
    remarks: tuple[str, ...]


def choose_columns(table: str, names: Sequence[str], said: DataColumns) -> Chosen:
    """Choose the columns of a table.

    Args:
        table: the table's name in sentences.
        names: names of its columns.
        said: what the user says about them.

    Raises:
        UsageError: a column is missing, or a guess would have more than one answer.
    """
    _check_pair_has_text(said)
    text, pair = (
        _said(table, names, getattr(said, part), f"--{part}-column") for part in ("text", "pair")
    )
    said = replace(said, text=text, pair=pair)
    label = _said(table, names, said.label, "--label-column") or _guess_label(table, names, said)
    texts = _choose_texts(table, names, said, label)
    if label in texts or len(set(texts)) < len(texts):
        raise UsageError(
            f"The columns {', '.join([*texts, label])} of {table} must differ: "
            "a text, the second text of a pair, and a label."
        )
    attack = _said(table, names, said.attack, "--attack-column") or texts[-1]
    if attack not in texts:
        raise UsageError(
            f"--attack-column {attack} is no text of {table}: the texts are {', '.join(texts)}."
        )
    return Chosen(texts, label, attack, _remarks(table, said, texts, label, attack))


def _check_pair_has_text(said: DataColumns) -> None:
    if said.pair is not None and said.text is None:
        raise UsageError(
            "--pair-column names the second text of a pair. Name the first one with --text-column."
        )


def _said(table: str, names: Sequence[str], name: str | None, option: str) -> str | None:
    """Return the column that the user names; small and capital letters make no difference."""
    if name is None or name in names:
        return name
    alike = [each for each in names if _plain(each) == _plain(name)]
    if len(alike) == 1:
        return alike[0]
    raise UsageError(
        f"{option} {name}: {table} has no such column. It has: {_listed(names)}."
        f"{did_you_mean(name, names)}{_no_header(names)}"
    )


def _guess_label(table: str, names: Sequence[str], said: DataColumns) -> str:
    found = [name for name in names if _plain(name) in LABEL_NAMES]
    if not found and said.text is not None and len(names) == 2 + (said.pair is not None):
        found = [name for name in names if name not in {said.text, said.pair}]
    return _only(table, names, found, "label", "--label-column")


def _choose_texts(
    table: str, names: Sequence[str], said: DataColumns, label: str
) -> tuple[str, ...]:
    if said.text is not None:
        return (said.text,) if said.pair is None else (said.text, said.pair)
    by_plain = {_plain(name): name for name in names if name != label}
    pairs = [pair for pair in PAIR_NAMES if all(part in by_plain for part in pair)]
    taken = {part for pair in pairs for part in pair}
    singles = [name for part, name in by_plain.items() if part in TEXT_NAMES and part not in taken]
    if len(pairs) == 1 and not singles:
        return tuple(by_plain[part] for part in pairs[0])
    if pairs:
        many = [by_plain[part] for pair in pairs for part in pair] + singles
        return (_only(table, names, many, "text", "--text-column (and --pair-column)"),)
    if not singles and len(names) == 2:
        singles = list(by_plain.values())
    return (_only(table, names, singles, "text", "--text-column"),)


def _only(table: str, names: Sequence[str], found: Sequence[str], what: str, option: str) -> str:
    """Return the only candidate, or ask for the option."""
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"Several columns of {table} can be the {what}: {', '.join(found)}. "
            f"Name the one to use with {option}."
        )
    raise UsageError(
        f"No column of {table} looks like the {what}. It has: {_listed(names)}. "
        f"Name the column with {option}.{_no_header(names)}"
    )


def _no_header(names: Sequence[str]) -> str:
    """Return a sentence where the names of the columns look like a row of data."""
    looks_like_data = any(
        len(name) > _LETTERS_OF_A_NAME
        or len(name.split()) > _WORDS_OF_A_NAME
        or name.rstrip().endswith(_ENDS_OF_SENTENCES)
        or _is_number(name)
        for name in names
    )
    if not looks_like_data:
        return ""
    return (
        " The first line looks like data and not like names of columns: "
        "add a line of names on top, such as text,label."
    )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = [f"'{name[:40]}'" for name in names[:most]]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(shown) + more


def _remarks(
    table: str, said: DataColumns, texts: Sequence[str], label: str, attack: str
) -> tuple[str, ...]:
    """Say what was guessed, and how to change it."""
    guessed, options = [], []
    if said.text is None:
        many = len(texts) > 1
        shown = " and ".join(f"'{name}'" for name in texts)
        guessed.append(f"the {'texts' if many else 'text'}: {shown}")
        options.append("--text-column" + (" and --pair-column" if many else ""))
    if said.label is None:
        guessed.append(f"the label: '{label}'")
        options.append("--label-column")
    remarks = []
    if guessed:
        remarks.append(
            f"Columns of {table} that are used, by their names: {'; '.join(guessed)}. "
            f"Choose others with {' and '.join(options)}."
        )
    if len(texts) > 1 and said.attack is None:
        others = " and ".join(f"'{name}'" for name in texts if name != attack)
        remarks.append(
            f"The words of '{attack}' may be replaced, and those of {others} may not. "
            "--attack-column changes this."
        )
    return tuple(remarks)
