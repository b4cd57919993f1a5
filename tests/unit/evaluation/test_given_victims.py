"""Victims that the user gives: the protocol, saved victims, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluation_cases import Listening

from robench._base.errors import UsageError
from robench._base.reporting import Silent
from robench.evaluation.given_victims import (
    check_locations,
    check_saved,
    choose_protocol,
    is_saved_victim,
    saved_card,
    warn_of_lost_head,
)
from robench.evaluation.request import build_request
from robench.models.victim_folder import SCHEMA
from robench.tasks.mini_reviews import MiniReviews


def save_card(folder: Path, protocol: str = "rift2021", **changes: Any) -> str:
    """Write a victim's card into ``folder`` and return the folder as a text."""
    folder.mkdir()
    card = {
        "schema": SCHEMA,
        "name": "rift",
        "task": "mini-reviews",
        "labels": ["negative", "positive"],
        "attackable": "text",
        "fields": ["text"],
        "max_tokens": 300,
        "protocol": protocol,
        "hidden": 8,
        "sha256": "0" * 64,
        "files": {},
        "ingredients": {},
    }
    (folder / "victim.json").write_text(json.dumps({**card, **changes}))
    return str(folder)


def chosen(*victims: str, functions: tuple[Any, ...] = (), **values: Any) -> tuple[str, list[str]]:
    """Return the name of the protocol, and what was said about it."""
    report = Listening()
    request = build_request(victims=victims, **values)
    return choose_protocol(request, functions, report).name, report.messages


def test_the_protocol_follows_the_victims(tmp_path: Path) -> None:
    word = save_card(tmp_path / "word")
    subword = save_card(tmp_path / "subword", "subword")
    assert chosen(defenses=("rift",)) == ("rift2021", [])
    assert chosen(defenses=("rift",), protocol="subword") == ("subword", [])
    name, messages = chosen("org/model", defenses=("rift",))
    assert (name, messages) == (
        "subword",
        [
            "Protocol subword: a given model reads its own tokens, so it cannot read one token for "
            "each word."
        ],
    )
    assert chosen(word) == (
        "rift2021",
        ["Protocol rift2021, with which the victim was trained."],
    )
    assert chosen(subword, "org/model")[0] == "subword"
    assert chosen(functions=(SimpleNamespace(name="f"),))[0] == "subword"


@pytest.mark.parametrize(
    ("protocol", "kinds", "sentence"),
    [
        ("rift2021", ("given",), "--protocol rift2021 reads exactly one token for each word, and"),
        ("subword", ("word",), "was trained with protocol rift2021. Leave --protocol out."),
        (None, ("word", "given"), "needs protocol rift2021, and 'org/model' needs subword."),
        (None, ("word", "subword"), "needs protocol rift2021, and '"),
    ],
)
def test_a_protocol_that_does_not_fit_is_refused_with_both_names(
    tmp_path: Path, protocol: str | None, kinds: tuple[str, ...], sentence: str
) -> None:
    known = {
        "given": "org/model",
        "word": save_card(tmp_path / "word"),
        "subword": save_card(tmp_path / "subword", "subword"),
    }
    with pytest.raises(UsageError) as caught:
        chosen(*[known[kind] for kind in kinds], protocol=protocol)
    assert sentence in str(caught.value)


def test_a_saved_victim_is_known_by_its_card(tmp_path: Path) -> None:
    saved = save_card(tmp_path / "v")
    assert is_saved_victim(saved)
    assert not is_saved_victim(str(tmp_path))
    assert saved_card(saved)["task"] == "mini-reviews"
    card = json.loads((tmp_path / "v" / "victim.json").read_text())
    del card["ingredients"]
    (tmp_path / "v" / "victim.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="does not say how the victim was trained"):
        saved_card(saved)


@pytest.mark.parametrize(
    ("changes", "name", "sentence"),
    [
        ({}, "imdb", "it was trained on task 'mini-reviews', and this run is about 'imdb'."),
        ({"labels": ["positive", "negative"]}, "mini-reviews", "its labels (positive, negative)"),
        ({"attackable": "title"}, "mini-reviews", "its attackable field (title) are not those of"),
    ],
)
def test_a_saved_victim_of_another_task_is_refused(
    tmp_path: Path, changes: dict[str, Any], name: str, sentence: str
) -> None:
    request = build_request(victims=(save_card(tmp_path / "v", **changes),))
    with pytest.raises(UsageError) as caught:
        check_saved(request, name, MiniReviews)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("location", ["./none", "../none", "/none/at/all", "a/b/c", "~/none"])
def test_a_folder_that_is_not_there_is_refused(location: str) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        check_locations(build_request(victims=(location,)))


def test_a_hub_id_is_no_folder_and_a_label_map_needs_a_victim(tmp_path: Path) -> None:
    check_locations(build_request(victims=("org/model", "other", str(tmp_path))))
    with pytest.raises(UsageError, match="--label-map translates the labels of a --victim"):
        check_locations(build_request(defenses=("rift",), label_map={"A": "b"}))


def test_an_encoder_that_loses_its_head_is_named(tmp_path: Path) -> None:
    classifier, plain = tmp_path / "classifier", tmp_path / "plain"
    for folder, architecture in (
        (classifier, "BertForSequenceClassification"),
        (plain, "BertModel"),
    ):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    saved = save_card(tmp_path / "v")

    def warnings(encoder: str, **values: Any) -> list[str]:
        report = Listening()
        warn_of_lost_head(build_request(encoder=encoder, **values), report)
        return report.messages

    (warning,) = warnings(str(classifier), defenses=("rift",))
    assert "is a finished classifier (BertForSequenceClassification)" in warning
    assert f"--victim {classifier}" in warning
    (warning,) = warnings(saved, defenses=("rift",))
    assert "is a victim that robench trained" in warning
    assert warnings(str(plain), defenses=("rift",)) == []
    assert warnings("tiny", defenses=("rift",)) == []
    assert warnings(str(tmp_path / "none"), defenses=("rift",)) == []
    # Without a defense nothing is trained, so nothing is lost.
    assert warnings(str(classifier), victims=("org/model",)) == []


def test_the_default_encoder_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(location: str) -> list[str]:
        raise AssertionError(location)

    monkeypatch.setattr("robench.evaluation.given_victims._architectures", refuse)
    warn_of_lost_head(build_request(defenses=("rift",)), Silent())


def test_a_victim_on_the_hub_is_downloaded_and_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fake_hub import use_fake_hub
    from saved_victims import victim

    from robench._base.reporting import Silent
    from robench.evaluation.given_victims import with_downloads
    from robench.models.victim import Victim
    from robench.sharing.push import pack, push

    use_fake_hub(monkeypatch, tmp_path / "hub")
    victim().save(tmp_path / "v")
    push(pack(tmp_path / "v", "me/rift-toy"))
    values = {"victims": ("hf:me/rift-toy", "other"), "tasks": ("toy",), "out": tmp_path}
    request = with_downloads(build_request(**values), Silent())
    assert request.rows_of_victims == ("rift-toy", "other")
    assert request.victims[1] == "other"
    assert Victim.load(Path(request.victims[0])).name == "standard"
    plain = build_request(**{**values, "victims": ("other",)})
    assert with_downloads(plain, Silent()) is plain
