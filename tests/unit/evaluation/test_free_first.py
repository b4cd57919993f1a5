"""The order of work beside another run."""

from __future__ import annotations

from robench.evaluation.free_first import free_first


def test_the_order_stays_where_nobody_else_works() -> None:
    assert list(free_first("abc", lambda _: False)) == [0, 1, 2]


def test_it_waits_for_the_first_where_others_work_on_everything() -> None:
    assert list(free_first("abc", lambda _: True)) == [0, 1, 2]


def test_what_is_busy_comes_last_and_as_soon_as_it_is_free() -> None:
    busy, taken = {"a", "b"}, []
    for number in free_first("abcd", lambda part: part in busy):
        taken.append("abcd"[number])
        if taken == ["c"]:
            busy.remove("b")
    assert taken == ["c", "b", "d", "a"]


def test_nothing_is_asked_where_there_is_nothing() -> None:
    assert list(free_first("", lambda _: 1 / 0 > 0)) == []
