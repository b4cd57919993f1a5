"""A toy task of composed sentences, which needs no files: was the outing good or bad?"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from robench import (
    TASKS,
    DataSource,
    Splits,
    Task,
    UsageError,
    digest,
    make_examples,
    pick_balanced,
    without,
)

TEST_SIZE = 40
DEV_SIZE = 20

OUTINGS = ("walk", "picnic", "trip", "holiday", "party", "visit")
GOOD = ("lovely", "pleasant", "fun", "wonderful", "great")
BAD = ("dreadful", "boring", "awful", "sad", "terrible")
HAPPY = (
    "we laughed all day",
    "everyone was happy",
    "the children smiled",
    "nobody wanted to leave",
)
UNHAPPY = (
    "we cried all day",
    "everyone was tired",
    "the children complained",
    "nobody wanted to stay",
)


@TASKS.register("outings")
class Outings(Task):
    """Was the outing good or bad? A toy of 240 composed sentences.

    It shows how a task is written. Results on it are no evidence about real text.
    """

    labels = ("bad", "good")
    attackable = "text"
    max_tokens = 24
    substitutions = str(Path(__file__).with_name("substitutions.json"))
    licence = "MIT"
    paper = "none: a toy"

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Compose the sentences and split them by the rule of the core.

        By this rule the examples with the smallest content hashes are the test examples.
        """
        if train_pool not in (None, *self.train_pools):
            raise UsageError(
                f"Task 'outings' has no training pool '{train_pool}'."
                f" It takes: {', '.join(self.train_pools)}."
            )
        if ids is not None:
            raise UsageError("Task 'outings' has one list of test examples; leave --ids out.")
        examples = make_examples("outings", [({"text": text}, label) for text, label in compose()])
        test = pick_balanced(examples, TEST_SIZE, len(self.labels))
        dev = pick_balanced(without(examples, test), DEV_SIZE, len(self.labels))
        return Splits(
            train=without(examples, test, dev),
            dev=dev,
            test=test,
            train_pool=self.train_pools[0],
            test_name=f"frozen-{TEST_SIZE}",
            digest=digest(test),
            origin="composed by robench-example",
        )


def compose() -> list[tuple[str, int]]:
    """Return every sentence with its label."""
    sides = ((BAD, UNHAPPY, 0), (GOOD, HAPPY, 1))
    sentences = []
    for words, endings, label in sides:
        for outing, word, ending in product(OUTINGS, words, endings):
            sentences.append((f"The {outing} was {word} and {ending}.", label))
    return sentences
