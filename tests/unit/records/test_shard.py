"""Shards: every example is in exactly one, and all have the same number of them."""

from __future__ import annotations

import pytest

from robench import Example
from robench._base.errors import UsageError
from robench.evaluation.request import build_request
from robench.records.shard import Shard


@pytest.mark.parametrize("examples", [4, 5, 30, 1000])
@pytest.mark.parametrize("of", [1, 2, 3, 4])
def test_the_shards_of_a_list_are_equal_and_make_up_the_list(examples: int, of: int) -> None:
    whole = list(range(examples))
    shares = [Shard(of=of, number=number).share(whole) for number in range(1, of + 1)]
    assert sorted(each for share in shares for each in share) == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_shares_are_spread_over_the_list() -> None:
    assert Shard.parse("2/3").share("abcdefgh") == ["b", "e", "h"]


def test_a_shard_is_written_as_it_is_read() -> None:
    shard = Shard.parse(" 2/12 ")
    assert (shard.number, shard.of, str(shard), shard.folder_name) == (2, 12, "2/12", "2-of-12")
    assert Shard.of_folder("2-of-12") == shard


@pytest.mark.parametrize("name", ["0-of-4", "5-of-4", "a-of-b", "1-of-4x", "01-of-4", ""])
def test_other_folders_are_no_shards(name: str) -> None:
    assert Shard.of_folder(name) is None


@pytest.mark.parametrize("text", ["", "1", "1/", "a/b", "1/2/3", "-1/4", "1.0/4", "1/0", "0/4"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["5/4", "1/1000000"])
def test_a_number_beyond_the_last_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the first number goes from 1 to the second"):
        Shard.parse(text)


def test_a_request_reads_a_shard_and_has_its_folder(tmp_path: object) -> None:
    request = build_request(defenses=("x",), shard="3/4", out=str(tmp_path))
    assert request.shard == Shard(of=4, number=3)
    assert request.own_folder.trials.parts[-3:] == ("shards", "3-of-4", "trials")
    whole = build_request(defenses=("x",), out=str(tmp_path))
    assert whole.own_folder.root == whole.out
    examples = [Example(f"toy/{number}", {"text": "a"}, 0) for number in range(7)]
    assert list(request.share(examples)) == [examples[2], examples[6]]
