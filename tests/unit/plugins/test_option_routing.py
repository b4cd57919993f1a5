from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, create_model

from robench._base.errors import UsageError
from robench.plugins.option_routing import check_owners, label, options_of
from robench.plugins.options import Options, build_options


class Rift(Options):
    alpha: float = Field(0.1, description="x")
    epochs: int = Field(20, description="x")
    clip: float | None = Field(None, description="x")


class Standard(Options):
    epochs: int = Field(20, description="x")


class Genetic(Options):
    population: int = Field(60, description="x")
    name: str = Field("a", description="x")


DEFENSES: dict[str, type[Options]] = {"rift": Rift, "standard": Standard}
ATTACKS: dict[str, type[Options]] = {"genetic": Genetic}


def test_a_kind_reaches_every_plugin_that_has_the_option() -> None:
    defenses, attacks = options_of(
        {"defense.alpha": "0.3", "defense.epochs": "2", "attack.population": "5"}, DEFENSES, ATTACKS
    )
    assert defenses == {"rift": {"alpha": "0.3", "epochs": "2"}, "standard": {"epochs": "2"}}
    assert attacks == {"genetic": {"population": "5"}}


@pytest.mark.parametrize(
    "given",
    [{"rift.epochs": "3", "defense.epochs": "2"}, {"defense.epochs": "2", "rift.epochs": "3"}],
)
def test_a_plugins_own_name_wins_in_either_order(given: dict[str, str]) -> None:
    assert options_of(given, DEFENSES, ATTACKS)[0] == {
        "rift": {"epochs": "3"},
        "standard": {"epochs": "2"},
    }


def test_none_is_none_only_where_it_may_be() -> None:
    defenses, attacks = options_of({"rift.clip": "none", "genetic.name": "none"}, DEFENSES, ATTACKS)
    assert defenses["rift"] == {"clip": None}
    assert attacks["genetic"] == {"name": "none"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"defense.beta": "1"},
            r"Option 'defense.beta': there is no 'beta' among the options of 'rift' and 'standard'. Known: alpha, clip, epochs.",
        ),
        ({"rift.beta": "1"}, r"there is no 'beta' among the options of 'rift'"),
        (
            {"mixout.alpha": "1"},
            r"'mixout' is none of the chosen defenses \(rift, standard\) or attacks \(genetic\)",
        ),
        ({"attack": "1"}, r"must have the form defense.NAME"),
        ({"attack.": "1"}, r"must have the form defense.NAME"),
    ],
)
def test_what_reaches_nobody_is_one_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        options_of(given, DEFENSES, ATTACKS)


@pytest.mark.parametrize(
    "key",
    ["defense.x", "attack.x", "mixout+rift.x", "rift+mixout.x", "mixout.x", "rift.x", "genetic.x"],
)
def test_the_owner_of_an_option_is_known_by_the_names_alone(key: str) -> None:
    check_owners([key], ["mixout+rift"], ["genetic"])


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (
            "ascc.x",
            r"^Option 'ascc\.x': 'ascc' is none of the chosen defenses \(mixout\+rift\) or attacks \(none\)\.$",
        ),
        ("attack.x", r"^Option 'attack\.x': 'attack' is none of the chosen "),
        ("rift", r"^Option 'rift' must have the form "),
    ],
)
def test_an_option_of_nobody_is_refused_by_the_names_alone(key: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_owners(["mixout.x", key], ["mixout+rift"], [])


# Options as a stack of ``mixout`` and ``rift`` has them.
MEMBERS: dict[str, Any] = {
    "mixout.alpha": (float, 1.0),
    "mixout.p": (float, 0.6),
    "rift.alpha": (float, 0.1),
    "rift.clip": (float | None, 1.0),
}
JOINT = create_model("JOINT", __base__=Standard, **MEMBERS)
TOGETHER: dict[str, type[Options]] = {"mixout+rift": JOINT, "rift": Rift}


def test_a_members_option_reaches_it_alone_and_joined() -> None:
    assert options_of({"rift.alpha": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {"rift.alpha": "2"},
        "rift": {"alpha": "2"},
    }
    assert options_of({"mixout.p": "0.1"}, TOGETHER, {})[0] == {
        "mixout+rift": {"mixout.p": "0.1"},
        "rift": {},
    }
    assert options_of({"rift.clip": "none"}, TOGETHER, {})[0] == {
        "mixout+rift": {"rift.clip": None},
        "rift": {"clip": None},
    }


def test_the_loops_options_belong_to_the_whole() -> None:
    assert options_of({"defense.epochs": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {"epochs": "2"},
        "rift": {"epochs": "2"},
    }
    assert options_of({"rift+mixout.epochs": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {"epochs": "2"},
        "rift": {},
    }
    assert options_of({"rift.epochs": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {},
        "rift": {"epochs": "2"},
    }
    with pytest.raises(
        UsageError,
        match=r"of 'rift' in 'mixout\+rift'\. Known: alpha, clip\. It is one of the whole: say defense\.epochs\.",
    ):
        options_of({"rift.epochs": "2"}, {"mixout+rift": JOINT}, {})


def test_a_short_name_reaches_the_member_that_has_it() -> None:
    assert options_of({"defense.p": "0.1"}, TOGETHER, {})[0] == {
        "mixout+rift": {"mixout.p": "0.1"},
        "rift": {},
    }
    assert options_of({"defense.mixout.p": "0.1"}, TOGETHER, {})[0] == {
        "mixout+rift": {"mixout.p": "0.1"},
        "rift": {},
    }
    with pytest.raises(
        UsageError,
        match=r"Option 'alpha' of 'mixout\+rift' could be mixout.alpha or rift.alpha. Say which: --option mixout.alpha=VALUE",
    ):
        options_of({"defense.alpha": "2"}, TOGETHER, {})


def test_the_more_is_named_the_more_it_counts() -> None:
    given = {"mixout+rift.p": "3", "mixout.p": "2", "defense.p": "1"}
    for order in (given, dict(reversed(given.items()))):
        assert options_of(order, TOGETHER, {})[0]["mixout+rift"] == {"mixout.p": "3"}
    assert options_of({"mixout.p": "2", "defense.p": "1"}, TOGETHER, {})[0]["mixout+rift"] == {
        "mixout.p": "2"
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("defense.p", "defense.mixout.p"),
        ("mixout+rift.p", "rift+mixout.p"),
        ("mixout+rift.p", "mixout+rift.mixout.p"),
    ],
)
def test_two_spellings_of_one_option_that_count_the_same_must_agree(one: str, other: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"--option .* and .* are the same option, given as '2' and as '3'\. Give it once\.",
    ):
        options_of({one: "2", other: "3"}, TOGETHER, {})
    assert options_of({one: "2", other: "2"}, TOGETHER, {})[0]["mixout+rift"] == {"mixout.p": "2"}


def test_without_attacks_an_attacks_option_is_refused() -> None:
    with pytest.raises(UsageError, match=r"attacks \(none\)"):
        options_of({"attack.population": "5"}, DEFENSES, {})


def test_a_label_names_what_is_unusual() -> None:
    assert label("rift", Rift(), Rift()) == "rift"
    assert (
        label("rift", build_options(Rift, {"epochs": "2", "alpha": "0.25"}, "x"), Rift())
        == "rift(alpha=0.25, epochs=2)"
    )
    assert label("rift", Rift(), Rift(clip=1.0)) == "rift(clip=null)"
    assert label("genetic", Genetic(name="b"), Genetic()) == "genetic(name=b)"
