"""Make the held-out substitution set of mini-reviews from WordNet 3.0.

    python -m scripts.make_held_out_set FOLDER

``FOLDER`` holds NLTK's WordNet, as files or in an archive. The same WordNet gives the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from pathlib import Path

from robench._base.embedded import embedded_path
from robench._base.files import write_text
from robench.models.encoders import ENCODERS, load_tokenizer
from robench.tasks.base import DataSource
from robench.tasks.registry import TASKS
from robench.text.embedding_neighbours import whole_words
from robench.text.substitutions import SubstitutionSet, load_substitutions
from robench.text.words import split_words

TARGET = ("mini_reviews_held_out", "substitutions.json")
"""The embedded file."""


def held_out(
    vocabulary: Iterable[str], synonyms: SubstitutionSet, known: Iterable[str]
) -> dict[str, Sequence[str]]:
    """Return the words of ``vocabulary`` that have synonyms among ``known``, sorted."""
    kept = set(known)
    found = {
        word: [other for other in synonyms.of(word, "cased") if other in kept]
        for word in sorted({word.lower() for word in vocabulary})
    }
    return {word: listed for word, listed in found.items() if listed}


def rendered(content: Mapping[str, Sequence[str]]) -> str:
    """Return the JSON text, with one head on a line."""
    lines = [f"{dumps(head)}: {dumps(list(listed))}" for head, listed in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def make(data: Path) -> str:
    """Return the text of the file that WordNet in ``data`` gives."""
    splits = TASKS.get("mini-reviews")().load(DataSource())
    examples = [*splits.train, *splits.dev, *splits.test]
    words = {word for each in examples for word in split_words(each.fields["text"])}
    tokenizer = load_tokenizer(ENCODERS["tiny"])
    known = whole_words(tokenizer, len(tokenizer.get_vocab()))
    return rendered(held_out(words, load_substitutions("wordnet", data), known))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    write_text(embedded_path(*TARGET), make(parser.parse_args(arguments).data))


if __name__ == "__main__":
    main()
