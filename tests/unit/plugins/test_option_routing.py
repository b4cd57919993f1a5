from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, create_model

from robench._base.errors import UsageError
from robench.plugins.option_routing import check_owners, label, route_options
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


@pytest.mark.parametrize("value", ["1e16", -(10**16)])
def test_a_number_that_no_record_can_hold_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"'alpha' of defense 'rift': a record holds numbers up"):
        build_options(Rift, {"alpha": value}, "defense 'rift'")
    assert build_options(Rift, {"alpha": "1e15"}, "defense 'rift'").alpha == 1e15


def test_an_option_of_a_kind_reaches_every_plugin_that_has_it() -> None:
    defenses, attacks = route_options(
        {"defense.alpha": "0.3", "defense.epochs": "2", "attack.population": "5"}, DEFENSES, ATTACKS
    )
    assert defenses == {"rift": {"alpha": "0.3", "epochs": "2"}, "standard": {"epochs": "2"}}
    assert attacks == {"genetic": {"population": "5"}}


@pytest.mark.parametrize(
    "given",
    [{"rift.epochs": "3", "defense.epochs": "2"}, {"defense.epochs": "2", "rift.epochs": "3"}],
)
def test_an_option_of_a_plugin_wins_over_one_of_its_kind(given: dict[str, str]) -> None:
    assert route_options(given, DEFENSES, ATTACKS)[0] == {
        "rift": {"epochs": "3"},
        "standard": {"epochs": "2"},
    }


def test_the_word_none_is_none_only_where_the_option_allows_it() -> None:
    defenses, attacks = route_options(
        {"rift.clip": "none", "genetic.name": "none"}, DEFENSES, ATTACKS
    )
    assert defenses["rift"] == {"clip": None}
    assert attacks["genetic"] == {"name": "none"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"defense.beta": "1"},
            r"Option 'defense.beta': there is no 'beta' among the options of "
            r"'rift' and 'standard'. Known: alpha, clip, epochs.",
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
def test_an_option_that_no_chosen_plugin_has_is_refused(
    given: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        route_options(given, DEFENSES, ATTACKS)


@pytest.mark.parametrize(
    "key",
    ["defense.x", "attack.x", "mixout+rift.x", "rift+mixout.x", "mixout.x", "rift.x", "genetic.x"],
)
def test_the_names_alone_show_that_an_option_belongs_to_a_plugin(key: str) -> None:
    check_owners([key], ["mixout+rift"], ["genetic"])


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (
            "ascc.x",
            r"^Option 'ascc\.x': 'ascc' is none of the chosen "
            r"defenses \(mixout\+rift\) or attacks \(none\)\.$",
        ),
        ("attack.x", r"^Option 'attack\.x': 'attack' is none of the chosen "),
        ("rift", r"^Option 'rift' must have the form "),
    ],
)
def test_the_names_alone_show_that_an_option_belongs_to_no_plugin(key: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        check_owners(["mixout.x", key], ["mixout+rift"], [])


# The options of a joint defense of ``mixout`` and ``rift``.
MEMBERS: dict[str, Any] = {
    "mixout.alpha": (float, 1.0),
    "mixout.p": (float, 0.6),
    "rift.alpha": (float, 0.1),
    "rift.clip": (float | None, 1.0),
}
JOINT = create_model("JOINT", __base__=Standard, **MEMBERS)
TOGETHER: dict[str, type[Options]] = {"mixout+rift": JOINT, "rift": Rift}


def test_an_option_of_a_member_reaches_it_alone_and_in_a_joint_defense() -> None:
    assert route_options({"rift.alpha": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {"rift.alpha": "2"},
        "rift": {"alpha": "2"},
    }
    assert route_options({"mixout.p": "0.1"}, TOGETHER, {})[0] == {
        "mixout+rift": {"mixout.p": "0.1"},
        "rift": {},
    }
    assert route_options({"rift.clip": "none"}, TOGETHER, {})[0] == {
        "mixout+rift": {"rift.clip": None},
        "rift": {"clip": None},
    }


def test_options_of_the_training_loop_belong_to_the_joint_defense() -> None:
    assert route_options({"defense.epochs": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {"epochs": "2"},
        "rift": {"epochs": "2"},
    }
    assert route_options({"rift+mixout.epochs": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {"epochs": "2"},
        "rift": {},
    }
    assert route_options({"rift.epochs": "2"}, TOGETHER, {})[0] == {
        "mixout+rift": {},
        "rift": {"epochs": "2"},
    }
    with pytest.raises(
        UsageError,
        match=(
            r"of 'rift' in 'mixout\+rift'\. Known: alpha, clip\. "
            r"It is an option of 'mixout\+rift' as a whole: say defense\.epochs\."
        ),
    ):
        route_options({"rift.epochs": "2"}, {"mixout+rift": JOINT}, {})


def test_the_prefix_of_a_member_can_be_left_out_where_one_member_has_the_option() -> None:
    assert route_options({"defense.p": "0.1"}, TOGETHER, {})[0] == {
        "mixout+rift": {"mixout.p": "0.1"},
        "rift": {},
    }
    assert route_options({"defense.mixout.p": "0.1"}, TOGETHER, {})[0] == {
        "mixout+rift": {"mixout.p": "0.1"},
        "rift": {},
    }
    with pytest.raises(
        UsageError,
        match=(
            r"Option 'alpha' of 'mixout\+rift' could be mixout.alpha or rift.alpha. "
            r"Say which: --option mixout.alpha=VALUE"
        ),
    ):
        route_options({"defense.alpha": "2"}, TOGETHER, {})


def test_a_more_specific_name_wins_in_any_order() -> None:
    given = {"mixout+rift.p": "3", "mixout.p": "2", "defense.p": "1"}
    for order in (given, dict(reversed(given.items()))):
        assert route_options(order, TOGETHER, {})[0]["mixout+rift"] == {"mixout.p": "3"}
    assert route_options({"mixout.p": "2", "defense.p": "1"}, TOGETHER, {})[0]["mixout+rift"] == {
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
def test_two_equally_specific_names_of_one_option_must_agree(one: str, other: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"--option .* and .* are the same option, given as '2' and as '3'\. Give it once\.",
    ):
        route_options({one: "2", other: "3"}, TOGETHER, {})
    assert route_options({one: "2", other: "2"}, TOGETHER, {})[0]["mixout+rift"] == {
        "mixout.p": "2"
    }


def test_an_attack_option_is_refused_where_no_attack_is_chosen() -> None:
    with pytest.raises(UsageError, match=r"attacks \(none\)"):
        route_options({"attack.population": "5"}, DEFENSES, {})


def test_a_label_names_the_options_that_differ_from_their_defaults() -> None:
    assert label("rift", Rift(), Rift()) == "rift"
    assert (
        label("rift", build_options(Rift, {"epochs": "2", "alpha": "0.25"}, "x"), Rift())
        == "rift(alpha=0.25, epochs=2)"
    )
    assert label("rift", Rift(), Rift(clip=1.0)) == "rift(clip=null)"
    assert label("genetic", Genetic(name="b"), Genetic()) == "genetic(name=b)"


def test_an_option_of_an_attack_reaches_it_on_every_substitution_set() -> None:
    attacks = {"genetic": Genetic, "genetic@wordnet": Genetic}
    _, routed = route_options({"genetic.population": "5"}, {}, attacks)
    assert routed == {"genetic": {"population": "5"}, "genetic@wordnet": {"population": "5"}}
    _, routed = route_options(
        {"genetic@wordnet.population": "7", "genetic.population": "5"}, {}, attacks
    )
    assert routed == {"genetic": {"population": "5"}, "genetic@wordnet": {"population": "7"}}


def test_an_option_of_a_set_that_is_not_attacked_is_refused() -> None:
    with pytest.raises(UsageError, match="'genetic@mini' is none of the chosen"):
        check_owners({"genetic@mini.population": "5"}, [], ["genetic@wordnet"])
