"""The attack that is none: nothing is asked, and the accuracy under it is the clean accuracy."""

from __future__ import annotations

from robench import ATTACKS
from robench._base.reporting import Silent
from robench.evaluation.request import build_request
from robench.evaluation.resolve import resolve_request


def test_it_is_in_the_list_and_not_in_all() -> None:
    assert "none" in ATTACKS.names()
    assert not ATTACKS.get("none").in_all
    request = build_request(defenses=("standard",), attacks=("all",), lm="none", limit=2)
    names = [attack.name for attack in resolve_request(request, Silent()).attacks]
    assert "none" not in names
    assert "pwws" in names
    request = build_request(defenses=("standard",), attacks=("none",), lm="none", limit=2)
    assert [attack.name for attack in resolve_request(request, Silent()).attacks] == ["none"]


def test_it_searches_for_nothing_and_the_others_do() -> None:
    assert not ATTACKS.get("none").searches
    assert all(ATTACKS.get(name).searches for name in ATTACKS.names() if name != "none")
