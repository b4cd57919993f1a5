"""The published data; skipped unless ROBENCH_DATA names a folder that holds them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from robench import TASKS, DataSource, Splits
from robench.tasks import imdb, snli
from robench.tasks.assets import ASSETS, find_asset
from robench.tasks.checks import check_splits
from robench.tasks.frozen import content_key

DATA = os.environ.get("ROBENCH_DATA", "")
pytestmark = pytest.mark.skipif(
    not DATA, reason="ROBENCH_DATA names no folder with the published data"
)
SOURCE = DataSource(Path(DATA), hub=False)


@pytest.fixture(scope="module")
def reviews() -> Splits:
    return TASKS.get("imdb")().load(SOURCE)


def check_shape(splits: Splits, labels: int) -> None:
    parts = (splits.train, splits.dev, splits.test)
    for part in parts:
        assert [example.id for example in part] == sorted(example.id for example in part)
        assert all(
            example.label in range(labels) and all(example.fields.values()) for example in part
        )
    ids = [example.id for part in parts for example in part]
    assert len(ids) == len(set(ids))
    judged = {content_key(example) for part in (splits.dev, splits.test) for example in part}
    assert len(judged) == len(splits.dev) + len(splits.test) == 2000
    assert not judged & {content_key(example) for example in splits.train}


def test_imdb_splits_pass_the_guard_and_share_no_text(reviews: Splits) -> None:
    check_shape(reviews, 2)
    assert (
        Counter(example.label for example in reviews.test)
        == Counter(example.label for example in reviews.dev)
        == {0: 500, 1: 500}
    )
    assert reviews.digest == imdb.TEST_GUARD.digest
    # 25,000 less 123 texts of the test half, 1,000 dev reviews and 2 repetitions of dev texts.
    assert len(reviews.train) == 23_875
    everything = [*reviews.train, *reviews.dev, *reviews.test]
    assert not any("<br />" in example.fields["text"] for example in everything)


def test_imdb_with_the_list_of_jia_et_al_changes_the_test_examples_only(reviews: Splits) -> None:
    path = Path(DATA) / "imdb_test_files.txt"
    if not path.is_file():
        pytest.skip("imdb_test_files.txt is not in ROBENCH_DATA")
    splits = TASKS.get("imdb")().load(SOURCE, ids=path)
    assert Counter(example.label for example in splits.test) == {1: 491, 0: 509}
    assert splits.test_name == "list-imdb_test_files"
    assert splits.dev == reviews.dev
    assert splits.train == reviews.train


@pytest.mark.parametrize(
    ("pool", "size"), [("cad", 8_330), ("sick", 9_927), ("snli-dev", 7_151), ("small", 25_408)]
)
def test_snli_pools_have_their_published_sizes(pool: str, size: int) -> None:
    splits = TASKS.get("snli")().load(SOURCE, train_pool=pool)
    check_shape(splits, 3)
    assert (
        Counter(example.label for example in splits.test)
        == Counter(example.label for example in splits.dev)
        == {0: 334, 1: 333, 2: 333}
    )
    assert splits.digest == snli.TEST_GUARD.digest
    assert (len(splits.train), splits.train_pool) == (size, pool)


def test_sst2_splits_pass_the_guard() -> None:
    splits = TASKS.get("sst2")().load(SOURCE)
    check_splits("sst2", TASKS.get("sst2"), splits)
    assert Counter(example.label for example in splits.test) == {0: 428, 1: 444}
    assert Counter(example.label for example in splits.dev) == {0: 500, 1: 500}
    # 67,349 less the phrases whose texts are test or dev texts.
    assert len(splits.train) == 66_344


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("advglue-sst2", {0: 72, 1: 76}),
        ("advglue-qqp", {0: 46, 1: 32}),
        ("advglue-mnli", {0: 32, 1: 39, 2: 50}),
        ("advglue-mnli-mm", {0: 60, 1: 45, 2: 57}),
        ("advglue-qnli", {0: 74, 1: 74}),
        ("advglue-rte", {0: 35, 1: 46}),
    ],
)
def test_advglue_passes_the_guard(name: str, counts: dict[int, int]) -> None:
    splits = TASKS.get(name)().load(SOURCE)
    check_splits(name, TASKS.get(name), splits, training=False)
    assert Counter(example.label for example in splits.test) == counts


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_assets_are_found_in_the_data_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robench.tasks.assets.cache_folder", lambda: tmp_path)
    assert find_asset(name, Path(DATA)).stat().st_size > 0
