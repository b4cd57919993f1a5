"""Train the Punkt parameters that robench ships.

    python -m scripts.train_punkt --data DIR        (default: ``ROBENCH_DATA``)

Text: unlabelled IMDB reviews (Maas et al. 2011), without those that equal a test review. The
reviews with the smallest SHA-256 are taken, so the result depends neither on the order of the files
nor on whether a folder or archives are read. Method: NLTK's ``PunktTrainer`` (Kiss and Strunk 2006)
with its defaults, plus abbreviations that the trainer cannot find by itself (see ``KNOWN``).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nltk.tokenize.punkt import PunktTrainer

from scripts.pretraining.text import iter_reviews, select_reviews

logger = logging.getLogger(__name__)

# Reviewers write these abbreviations with and without their period. In Punkt's likelihood, a single
# occurrence without it almost excludes a type as an abbreviation, so it cannot learn them from any
# amount of this text. An English reader would add these.
KNOWN = (
    *("a.m", "p.m", "e.g", "i.e", "etc", "vs", "u.s", "st", "jr", "sr"),
    *("mr", "mrs", "ms", "dr", "prof", "rev", "gen", "col", "capt", "lt", "sgt", "gov", "sen"),
)
DEFAULT_OUT = (
    Path(__file__).resolve().parent.parent / "robench" / "embedded" / "punkt" / "english.json"
)


def pick(texts: Iterable[str], count: int) -> list[str]:
    """Return the ``count`` texts with the smallest SHA-256, in that order."""
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())[:count]


def train(texts: Iterable[str], rare: int) -> dict[str, Any]:
    """Return Punkt parameters as plain, sorted data.

    Orthographic contexts of words that occur fewer than ``rare`` times are dropped.
    """
    trainer = PunktTrainer()
    for text in texts:
        trainer.train(text, finalize=False)
    trainer.finalize_training()
    trainer.freq_threshold(ortho_thresh=rare)
    parameters = trainer.get_params()
    by_flags: dict[int, list[str]] = defaultdict(list)
    for word, flags in parameters.ortho_context.items():
        if flags:
            by_flags[flags].append(word)
    return {
        "abbreviations": sorted(parameters.abbrev_types | set(KNOWN)),
        "collocations": sorted(list(pair) for pair in parameters.collocations),
        "sentence_starters": sorted(parameters.sent_starters),
        "orthography": {str(flags): sorted(words) for flags, words in sorted(by_flags.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the Punkt parameters that robench ships.")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("ROBENCH_DATA"),
        help="folder with aclImdb/ or its archives (default: ROBENCH_DATA)",
    )
    parser.add_argument(
        "--reviews", type=int, default=20_000, help="how many unlabelled reviews to train on"
    )
    parser.add_argument(
        "--rare",
        type=int,
        default=5,
        help="drop the orthography of words seen fewer times than this",
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.data is None:
        parser.error("name the data folder with --data or ROBENCH_DATA")
    kept, counts = select_reviews(
        (folder, text)
        for folder, text in iter_reviews(Path(arguments.data))
        if folder not in ("train/pos", "train/neg")
    )
    texts = pick(kept, arguments.reviews)
    logger.info("%d unlabelled reviews kept %s; training on %d", len(kept), counts, len(texts))
    parameters = train(texts, arguments.rare)
    arguments.out.write_text(
        json.dumps(parameters, ensure_ascii=False, indent=0, sort_keys=True) + "\n",
        encoding="utf-8",
    )
    logger.info(
        "%s: %s", arguments.out.name, {name: len(value) for name, value in parameters.items()}
    )


if __name__ == "__main__":
    main()
