"""SNLI: does a premise entail a hypothesis (Bowman et al. 2015)?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from robench._base.errors import UsageError
from robench.tasks import hub
from robench.tasks.base import DataSource, Splits, Task
from robench.tasks.example import Example
from robench.tasks.frozen import TEST_SIZE, RawRow, identify, make_examples, without
from robench.tasks.guard import Guard
from robench.tasks.nli_files import POOL_FILES, Pair, layout, official
from robench.tasks.publisher_files import FoundFiles, describe_missing, find_files
from robench.tasks.registry import TASKS
from robench.tasks.splits import choose_train_pool, make_splits, pick_listed

HUB = "stanfordnlp/snli"
DEV_SIZE = 1000
TRAIN_SIZE = 549_367
"""Labelled pairs in the published training file: 550,152, less 785 without a gold label."""

TEST_GUARD = Guard(
    (3368, 3219, 3237),
    "198569db4b9a1adfd83eafb0443ea0368666404ef67babd133027b5bca02ee44",
    "2841e74e3f45cbdb58abac1321fee34d8108d4a299641a508075c21be65fa3fadca9a9033588f8ec43fc6ebe50b1047f00f6",
)
DEV_GUARD = Guard(
    (3329, 3235, 3278),
    "79da22d826085a43e6d4f3a2d2c60fc494b7698136518962ecf9f3e77373be12",
    "c00a61be660bd372725aa7edc21c25e1fb4ebc7ebd0a93b0e514087563c49576596c9ad148559f9bfae580de8ddf358cb1d0",
)

_HUB_SPLITS = {official("train"): "train", official("dev"): "validation", official("test"): "test"}


@TASKS.register("snli")
class Snli(Task):
    """Sentence pairs; the hypothesis may be attacked, the premise never.

    Labels are in the hub's order. (ASCC and RIFT: contradiction 1, neutral 2.)

    Test: the frozen 1000 (334 / 333 / 333) of the 9,824 labelled official test pairs.
    Dev: 1,000 of the 9,842 official dev pairs, picked by the same rule, so that dev is the same for
    every training pool. Pairs without a gold label ("-", on the hub -1) are dropped.

    Training pools (``--train-pool``):

    * ``train``: the official 549,367 pairs;
    * ``cad``: 1,666 of them and their 6,664 human revisions (Kaushik et al. 2020,
      ``NLI/original/train.tsv`` and ``NLI/revised_combined/train.tsv``);
    * ``sick``: the 9,927 pairs of SICK (Marelli et al. 2014, all three parts, sentence A as the
      premise);
    * ``snli-dev``: the official dev pairs that are not in our dev;
    * ``small``: the last three together.

    Each pool loses every pair whose premise (case folded) is also a premise of dev or of the
    official test pairs, so that an epoch is chosen on premises that training has not seen. Of the
    small pools only ``snli-dev`` loses any: 1,691 of 8,842, because each premise has three
    hypotheses.
    """

    labels = ("entailment", "neutral", "contradiction")
    fields = ("premise", "hypothesis")
    attackable = "hypothesis"
    max_tokens = 80
    training = {"epochs": 20, "batch_size": 120}  # noqa: RUF012 (RIFT, appendix A.1)
    licence = "CC BY-SA 4.0"
    paper = "Bowman et al. 2015, A large annotated corpus for learning natural language inference"
    train_pools = ("train", "cad", "sick", "snli-dev", "small")

    def load(
        self, source: DataSource, *, train_pool: str | None = None, ids: Path | None = None
    ) -> Splits:
        """Read ``snli_1.0_{train,dev,test}.jsonl`` from the folder, its archives, or the hub.

        On the hub the dataset is ``stanfordnlp/snli``. See ``Task.load``.
        """
        pool = choose_train_pool("snli", self.train_pools, train_pool)
        wanted = {official("dev"), official("test"), *POOL_FILES[pool]}
        found = find_files(source.folder, layout(wanted), lambda files: wanted <= files.keys())
        _check_pool_files(source, pool, found)
        test_pairs, dev_pairs, origin = _read_test_and_dev(source, found)
        test_all = make_examples("snli", _rows(test_pairs))
        dev_all = make_examples("snli", _rows(dev_pairs))
        dev = DEV_GUARD.pick(
            "The dev examples of snli",
            without(dev_all, test_all),
            DEV_SIZE,
            _rows(dev_pairs),
            origin,
        )
        if ids is None:
            test = TEST_GUARD.pick(
                "The frozen test examples of snli", test_all, TEST_SIZE, _rows(test_pairs), origin
            )
        else:
            test = pick_listed(ids, test_all, _ids_by_name(test_pairs))
        train_all, train_origin = _read_pool(source, pool, found, dev_pairs)
        train = _without_premises_of(train_all, dev, test_all)
        if train_origin not in origin:
            origin = f"{origin}; train: {train_origin}"
        return make_splits(train, dev, test, pool=pool, ids=ids, origin=origin)


def _check_pool_files(source: DataSource, pool: str, found: FoundFiles[list[Pair]]) -> None:
    """Raise UsageError if the pool needs a file that is neither found nor on the hub."""
    for key in POOL_FILES[pool]:
        if key not in found.files and key not in _HUB_SPLITS:
            raise UsageError(
                f"{describe_missing(key, source.folder)}. "
                f"The pool '{pool}' needs it: put it there, or choose another --train-pool."
            )


def _rows(pairs: Iterable[Pair]) -> list[RawRow]:
    return [
        ({"premise": pair.premise, "hypothesis": pair.hypothesis}, pair.label) for pair in pairs
    ]


def _ids_by_name(pairs: Sequence[Pair]) -> dict[str, str]:
    """Return SNLI's pairID -> id; pairs without a pairID (the hub's) are left out."""
    ids = identify("snli", _rows(pairs))
    return {pair.name: identity for pair, identity in zip(pairs, ids, strict=True) if pair.name}


def _without_premises_of(train: Iterable[Example], *others: Iterable[Example]) -> list[Example]:
    """Return the examples whose premise (case folded) is not a premise of ``others``."""
    barred = {example.fields["premise"].casefold() for part in others for example in part}
    return [example for example in train if example.fields["premise"].casefold() not in barred]


def _read_test_and_dev(
    source: DataSource, found: FoundFiles[list[Pair]]
) -> tuple[list[Pair], list[Pair], str]:
    """Return the official test pairs, the official dev pairs and where they come from.

    Both come from the folder, or both from the hub.
    """
    test, dev = official("test"), official("dev")
    if test in found.files and dev in found.files:
        return found.files[test], found.files[dev], found.origin
    place = describe_missing("snli_1.0_test.jsonl and snli_1.0_dev.jsonl", source.folder)
    if not source.hub:
        raise UsageError(f"{place}. Name the folder that holds SNLI with --data.")
    try:
        return _hub_pairs(test), _hub_pairs(dev), f"hub {HUB}"
    except hub.HubUnavailable as error:
        raise UsageError(
            f"{place}, and {error.reason}. Name the folder that holds SNLI with --data."
        ) from error


def _hub_pairs(key: str) -> list[Pair]:
    rows = hub.read_rows(HUB, _HUB_SPLITS[key], ("premise", "hypothesis", "label"))
    return [
        Pair(premise, hypothesis, int(label)) for premise, hypothesis, label in rows if label >= 0
    ]


def _read_pool(
    source: DataSource, pool: str, found: FoundFiles[list[Pair]], dev_pairs: Sequence[Pair]
) -> tuple[list[Example], str]:
    """Return all examples of the pool and where they come from."""
    if pool == "train":
        pairs, origin = _read_official_train(source, found)
        return make_examples("snli", _rows(pairs)), origin
    pairs = []
    for key in POOL_FILES[pool]:
        # The dev pairs may come from the hub while the other files lie in the folder.
        pairs += dev_pairs if key == official("dev") else found.files[key]
    return make_examples("snli", _rows(pairs)), found.origin


def _read_official_train(
    source: DataSource, found: FoundFiles[list[Pair]]
) -> tuple[list[Pair], str]:
    key = official("train")
    if key in found.files:
        pairs, origin = found.files[key], found.origin
    else:
        place = describe_missing(key, source.folder)
        way_out = (
            "Fetch SNLI 1.0, or train on a pool that needs less: "
            "--train-pool small (or cad, sick, snli-dev)."
        )
        if not source.hub:
            raise UsageError(f"{place}. {way_out}")
        try:
            pairs, origin = _hub_pairs(key), f"hub {HUB}"
        except hub.HubUnavailable as error:
            raise UsageError(f"{place}, and {error.reason}. {way_out}") from error
    if len(pairs) != TRAIN_SIZE:
        raise UsageError(
            f"SNLI's training file ({origin}) has {len(pairs):,} labelled pairs instead of "
            f"{TRAIN_SIZE:,}: it is incomplete. Fetch it again. "
            "For pairs of your own, name their file: --task FILE."
        )
    return pairs, origin
