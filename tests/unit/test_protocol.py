"""Tests of the named protocols and of the choices that an evaluation may make in them."""

from __future__ import annotations

import pytest

from robench._base.errors import UsageError
from robench.protocol import DEFAULT_PROTOCOL, PROTOCOLS, get_protocol


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_a_name_gives_the_protocol_with_the_usual_choices(name: str) -> None:
    protocol = get_protocol(name)

    assert protocol == PROTOCOLS[name]
    assert (protocol.unknown, protocol.temperature) == ("allowed", "none")


def test_choices_are_part_of_the_name_and_change_nothing_else() -> None:
    base = get_protocol("subword")

    chosen = get_protocol("subword(unknown=forbidden, temperature=dev)")

    assert chosen.name == "subword(unknown=forbidden, temperature=dev)"
    assert (chosen.unknown, chosen.temperature) == ("forbidden", "dev")
    assert chosen.base == base
    assert chosen != base


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (
            "rift2021(temperature=dev,unknown=forbidden)",
            "rift2021(unknown=forbidden, temperature=dev)",
        ),
        ("rift2021( unknown = forbidden )", "rift2021(unknown=forbidden)"),
        ("rift2021(unknown=allowed)", "rift2021"),
        ("rift2021()", "rift2021"),
    ],
)
def test_a_name_has_one_spelling(written: str, name: str) -> None:
    assert get_protocol(written).name == name


def test_choosing_again_replaces_the_earlier_choice() -> None:
    once = PROTOCOLS[DEFAULT_PROTOCOL].choosing(unknown="forbidden")

    assert once.choosing(temperature="dev").name == f"{DEFAULT_PROTOCOL}(temperature=dev)"
    assert once.choosing() == PROTOCOLS[DEFAULT_PROTOCOL]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rift21", "There is no protocol 'rift21'. Did you mean 'rift2021'?"),
        ("rift(unknown=forbidden)", "There is no protocol 'rift(unknown=forbidden)'."),
        ("rift2021(", "There is no protocol 'rift2021('."),
        (
            "rift2021(unknwon=forbidden)",
            "Protocol 'rift2021(unknwon=forbidden)' has no choice 'unknwon=forbidden'. The choices "
            "are: unknown=allowed|forbidden; temperature=none|dev.",
        ),
        ("rift2021(unknown)", "has no choice 'unknown'"),
        ("rift2021(temperature=2)", "has no choice 'temperature=2'"),
    ],
)
def test_unknown_names_and_choices_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        get_protocol(name)

    assert sentence in str(caught.value)
