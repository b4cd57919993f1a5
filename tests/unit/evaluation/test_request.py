"""Requests: their defaults, and the values they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from robench._base.errors import UsageError
from robench._base.reporting import Reporter, Silent
from robench.evaluation.request import EvaluationRequest, build_request
from robench.protocol import get_protocol


def test_the_defaults_of_a_request() -> None:
    request = build_request(defenses=("rift",))
    assert (request.tasks, request.encoder, request.protocol, request.seeds, request.lm) == (
        ("mini-reviews",),
        "tiny",
        None,
        (0,),
        "tiny",
    )
    assert (request.limit, request.budget, request.workers, request.out) == (
        None,
        None,
        None,
        Path("runs"),
    )
    assert (request.precision, request.search_precision) == ("fp32", "fp32")


def test_a_request_is_frozen() -> None:
    request = build_request(defenses=("rift",))
    with pytest.raises(ValidationError, match="frozen"):
        request.limit = 3  # type: ignore[misc]


def test_duplicate_names_and_seeds_are_removed_and_the_order_is_kept() -> None:
    request = build_request(
        defenses=["b", "a", "b"], attacks=["y", "x", "y"], tasks=["t", "t"], seeds=[2, 0, 2]
    )
    assert (request.defenses, request.attacks, request.tasks, request.seeds) == (
        ("b", "a"),
        ("y", "x"),
        ("t",),
        (2, 0),
    )


def test_a_protocol_with_choices_is_split_into_protocol_and_choices() -> None:
    request = build_request(
        defenses=("a",), protocol="subword(unknown=forbidden)", temperature="dev"
    )

    assert (request.protocol, request.unknown, request.temperature) == (
        "subword",
        "forbidden",
        "dev",
    )
    assert request.judged_by(get_protocol("subword")) == get_protocol(
        "subword(unknown=forbidden, temperature=dev)"
    )


def test_the_usual_choices_leave_the_protocol_as_it_is() -> None:
    request = build_request(defenses=("a",), protocol="rift2021")

    assert request.judged_by(get_protocol("rift2021")) == get_protocol("rift2021")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"protocol": "rift2021(unknown=none)"},
            "Protocol 'rift2021(unknown=none)' has no choice 'unknown=none'.",
        ),
        (
            {"protocol": "rift(unknown=forbidden)"},
            "There is no protocol 'rift(unknown=forbidden)'.",
        ),
        ({"unknown": "never"}, "'unknown' of the evaluation: input should be 'allowed'"),
        ({"temperature": 2}, "'temperature' of the evaluation: input should be 'none' or 'dev'"),
    ],
)
def test_choices_that_do_not_exist_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_request(defenses=("a",), **values)

    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["limit", "budget", "workers"])
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_must_be_positive(name: str, value: int) -> None:
    with pytest.raises(UsageError, match=f"--{name} must be at least 1, got {value}"):
        build_request(defenses=("rift",), **{name: value})


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"budget": 10**16}, r"--budget must be at most 1e\+15, got 10000000000000000"),
        ({"seeds": (0, 10**16)}, r"--seed takes whole numbers up to 1e\+15, got 1000000"),
        ({"example_seconds": 1e300}, r"--example-seconds takes 0 .* up to 1e\+15 seconds"),
        ({"out": Path("a" * 300)}, r"--out cannot be 'aaa.*\(File name too long\)"),
    ],
)
def test_what_no_record_and_no_disk_can_hold_is_refused_before_the_run(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        build_request(defenses=("rift",), **values)


@pytest.mark.parametrize("values", [{"budget": 10**15}, {"seeds": (10**15,)}])
def test_the_largest_numbers_of_a_record_are_taken(values: dict[str, Any]) -> None:
    build_request(defenses=("rift",), **values)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"victims": (" ",)}, "--victim is empty"),
        ({"victims": ("a",), "names": ("",)}, "--name is empty"),
        ({"victims": ("a",), "names": ("x", "y")}, "There are 2 --name for 1 --victim"),
        ({"victims": ("a/m", "b/m/")}, "Two victims are called 'm'"),
        ({"victims": ("a/m", "b/n"), "names": ("n",)}, "Two victims are called 'n'"),
        ({"defenses": ("a",), "tasks": ()}, "Name at least one of the tasks"),
        ({"defenses": ("a",), "seeds": ("x",)}, "'seeds.0' of the evaluation"),
        (
            {"defenses": ("a",), "precision": "fp16"},
            "'precision' of the evaluation: input should be 'fp32' or 'bf16'",
        ),
        (
            {"defenses": ("a",), "search_precision": "fp16"},
            "'search_precision' of the evaluation: input should be 'fp32' or 'bf16'",
        ),
        (
            {"defenses": ("a",), "colour": "red"},
            "'colour' of the evaluation: extra inputs are not permitted",
        ),
        ({"defenses": ("a",), "limit": 2.5}, "'limit' of the evaluation"),
    ],
)
def test_a_wrong_value_gives_a_one_line_usage_error(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_request(**values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_victims_are_named_by_the_user_or_by_their_location() -> None:
    request = build_request(victims=("a/m/", "org/n", "C:\\models\\o"), names=("mine",))
    assert request.rows_of_victims == ("mine", "n", "o")
    assert build_request(defenses=("a",)).rows_of_victims == ()


def test_a_copy_keeps_the_other_values() -> None:
    request = EvaluationRequest(defenses=("a",), limit=3)
    assert request.model_copy(update={"limit": 5}) == EvaluationRequest(defenses=("a",), limit=5)


def test_silent_is_a_reporter() -> None:
    listener: Reporter = Silent()
    listener.started("data", "x", None)
    listener.advanced(1, None, "")
    listener.finished("")
    listener.message("")


def test_a_victim_in_the_home_folder_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/own/me")
    monkeypatch.setenv("USERPROFILE", "/own/me")
    request = build_request(victims=("~/v", "me/model", "hf:me/v2", "~nobody-of-this-name/v3"))
    assert request.victims == ("/own/me/v", "me/model", "hf:me/v2", "~nobody-of-this-name/v3")
