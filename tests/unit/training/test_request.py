"""Training requests: options, keys, what is refused early, and how encoders are found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from victim_cases import Planted, Synonyms, planted, planted_splits, request

from robench import DEFENSES, Splits, Task
from robench._base.code_hash import code_sha256
from robench._base.errors import UsageError
from robench.models.encoders import (
    ENCODERS,
    TOKENIZER_FILES,
    EncoderInfo,
    attention_for,
    find_encoder,
    fingerprint,
    load_encoder,
    load_tokenizer,
    skeleton,
)
from robench.protocol import get_protocol
from robench.training import request as recipe
from robench.training.request import build_defense, settings_task


def test_options_are_resolved_in_order_of_precedence() -> None:
    """Class defaults < the task's < the defense's for the task < the encoder's < the user's."""
    plain, recommending = (
        EncoderInfo("x", "x"),
        EncoderInfo("x", "x", {"batch_size": 7, "epochs": 4}),
    )
    assert (
        build_defense("mixout", "mini-reviews", plain, {}).options
        == DEFENSES.get("mixout").Options()
    )
    assert build_defense("mixout", "snli", plain, {}).options == DEFENSES.get(
        "mixout"
    ).Options.model_validate({"batch_size": 120})
    for_snli = build_defense("rift", "snli", plain, {}).options
    assert (for_snli.batch_size, for_snli.beta, for_snli.epochs) == (120, 5.0, 20)  # type: ignore[attr-defined]
    small = build_defense("rift", "snli", recommending, {}).options
    assert (small.batch_size, small.beta, small.epochs) == (7, 5.0, 4)  # type: ignore[attr-defined]
    user = build_defense("rift", "snli", recommending, {"batch_size": "9", "beta": "2.5"}).options
    assert (user.batch_size, user.beta, user.epochs) == (9, 2.5, 4)  # type: ignore[attr-defined]


class LikeSnli(Planted):
    """A task of one's own, which takes the settings of a known one."""

    settings_of = "snli"


def test_a_task_may_take_the_settings_of_another_one() -> None:
    plain, cls = EncoderInfo("x", "x"), DEFENSES.get("rift")
    build = partial(build_defense, "rift", "pairs.csv", plain, {})
    snli = build_defense("rift", "snli", plain, {}).options
    assert build(task_class=LikeSnli).options == snli
    assert build(task_class=Planted, settings_of="snli").options == snli
    assert build(task_class=Planted).options == cls.Options()
    # What the user names wins over the class, and the task's own settings win over both.
    imdb = build_defense("rift", "imdb", plain, {}).options
    assert build(task_class=LikeSnli, settings_of="imdb").options == imdb
    assert build_defense("rift", "imdb", plain, {}, task_class=LikeSnli).options.model_dump()[
        "alpha"
    ] == pytest.approx(0.1)
    assert settings_task(cls, "pairs.csv", LikeSnli) == "snli"
    assert settings_task(cls, "pairs.csv", Planted) == ""
    assert settings_task(cls, "snli", Planted, "weather") == ""


def test_a_class_made_at_run_time_needs_no_registered_name(encoder: Path) -> None:
    fit = replace(request(encoder), task="reviews.csv", task_class=LikeSnli)
    assert fit.task_class is LikeSnli
    assert fit.ingredients()["task"] == "reviews.csv"
    assert fit.key != request(encoder).key
    assert request(encoder).task_class is Planted
    with pytest.raises(UsageError, match=r"There is no task 'reviews\.csv'"):
        replace(request(encoder), task="reviews.csv", task_class=Task)  # type: ignore[type-abstract]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alhpa": "1"}, "no option 'alhpa'"),
        ({"alpha": "much"}, "Option 'alpha' of defense 'rift'"),
        ({"epochs": "0"}, "epochs"),
        ({"negatives": "both"}, "negatives"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build_defense("rift", "imdb", EncoderInfo("x", "x"), options)


def test_a_defense_that_needs_substitutes_is_refused_without(encoder: Path) -> None:
    with pytest.raises(UsageError, match="trains on substitutions"):
        request(encoder, "rift", substitutions=None).build()


def test_every_ingredient_changes_the_key(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = request(encoder, "rift")
    assert plain.key == request(encoder, "rift").key
    splits = planted_splits()
    other_weights = tmp_path / "small"
    shutil.copytree(encoder, other_weights)
    assert request(other_weights, "rift").key == plain.key  # the same encoder in another folder
    data = bytearray((other_weights / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other_weights / "model.safetensors").write_bytes(data)

    class Others(Synonyms):
        sha256 = "1" * 64

    keys = {
        "plain": plain.key,
        "defense": request(encoder, "standard").key,
        "option": request(encoder, "rift", options={"alpha": "0.2"}).key,
        "train": request(encoder, "rift", splits=replace(splits, train=splits.train[1:])).key,
        "label": request(
            encoder,
            "rift",
            splits=replace(
                splits,
                train=[
                    replace(splits.train[0], label=1 - splits.train[0].label),
                    *splits.train[1:],
                ],
            ),
        ).key,
        "text": request(
            encoder,
            "rift",
            splits=replace(
                splits,
                train=[replace(splits.train[0], fields={"text": "other"}), *splits.train[1:]],
            ),
        ).key,
        "dev": request(encoder, "rift", splits=replace(splits, dev=splits.dev[1:])).key,
        "pool": request(encoder, "rift", splits=replace(splits, train_pool="cad")).key,
        "weights": request(other_weights, "rift").key,
        "protocol": request(encoder, "rift", protocol=get_protocol("subword")).key,
        "substitutions": request(encoder, "rift", substitutions=Others()).key,
        "seed": request(encoder, "rift", seed=1).key,
        "precision": request(encoder, "rift", precision="bf16").key,
    }
    monkeypatch.setattr(recipe, "source_sha256", lambda *modules: "edited")
    keys["training code"] = request(encoder, "rift").key
    monkeypatch.undo()
    monkeypatch.setattr(recipe, "code_sha256", lambda cls: "edited")
    keys["defense code"] = request(encoder, "rift").key
    assert len(set(keys.values())) == len(keys), keys


class Pair(Planted):
    """A task of pairs that declares its fields."""

    attackable = "b"
    fields: ClassVar[tuple[str, ...]] = ("a", "b")


class TurnedPair(Pair):
    """The same pairs, read in the other order."""

    fields = ("b", "a")


class UndeclaredPair(Pair):
    """Pairs whose fields are those of the examples."""

    fields = ()


def test_the_order_of_the_fields_is_in_the_key(encoder: Path) -> None:
    def pairs(*names: str) -> Splits:
        whole = planted_splits()
        train, dev = (
            [replace(one, fields={name: f"{name} {one.id}" for name in names}) for one in part]
            for part in (whole.train, whole.dev)
        )
        return replace(whole, train=train, dev=dev)

    def key(cls: type[Task], splits: Splits) -> str:
        return replace(request(encoder), splits=splits, task_class=cls).key

    one, other = pairs("a", "b"), pairs("b", "a")
    assert one.training_digests == other.training_digests  # what the data say is the same
    assert key(Pair, one) != key(TurnedPair, other)
    assert key(UndeclaredPair, one) != key(UndeclaredPair, other)
    assert key(UndeclaredPair, one) == key(Pair, one)
    assert replace(request(encoder), task_class=TurnedPair).ingredients()["fields"] == ["b", "a"]
    nothing = replace(planted_splits(), train=[])
    assert request(encoder, splits=nothing).ingredients()["fields"] == []


def test_what_does_not_change_the_result_does_not_change_the_key(encoder: Path) -> None:
    plain = request(encoder, "rift")
    assert request(encoder, "rift", device="cuda").key == plain.key
    assert request(encoder, "rift", trackers=("tensorboard",)).key == plain.key
    assert (
        request(
            encoder,
            "rift",
            splits=replace(
                planted_splits(), test=planted("test", 6, 1), digest="x", test_name="ids"
            ),
        ).key
        == plain.key
    )
    assert (
        request(encoder, "rift", options={"alpha": "0.1"}).key == plain.key
    )  # said or not, it is the default


def test_the_order_of_a_joint_defenses_members_does_not_matter(encoder: Path) -> None:
    joint = request(encoder, "mixout+ascc", options={"ascc.beta": "3"})
    assert joint.defense == "ascc+mixout"
    assert joint.key == request(encoder, "ascc+mixout", options={"ascc.beta": 3.0}).key
    assert joint.folder_name.startswith("ascc+mixout-planted-")
    assert joint.build().substitutes
    others = [
        request(encoder, name).key
        for name in ("ascc", "mixout", "ascc+mixout", "ascc+weight-decay")
    ]
    assert len({joint.key, *others}) == 5
    found = joint.ingredients()
    assert found["options"]["ascc.beta"] == 3.0
    assert found["options"]["mixout.probability"] == 0.6
    assert (
        found["code"]["defense"]
        == code_sha256(DEFENSES.get("ascc+mixout"))
        != code_sha256(DEFENSES.get("ascc"))
    )


def test_ingredients_are_plain_json(encoder: Path) -> None:
    found = request(encoder, "rift").ingredients()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["options"]["alpha"] == 0.1


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("google-bert/bert-base-uncased", "bert-base-uncased"),
        ("folder/my-model/", "my-model"),
        ("tiny", "tiny"),
    ],
)
def test_folder_names_hold_no_folders(name: str, label: str) -> None:
    assert request(name).encoder_label == label


# -- encoders


def test_encoders_are_found_by_name_and_by_path() -> None:
    assert find_encoder("tiny") is ENCODERS["tiny"]
    assert find_encoder("some/id") == EncoderInfo("some/id", "some/id")


def test_a_missing_file_of_an_encoder_is_named(encoder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match=r"no 'config\.json'"):
        fingerprint(find_encoder(str(empty)))
    shutil.copy(encoder / "config.json", empty)
    with pytest.raises(UsageError, match="has no weights"):
        fingerprint(find_encoder(str(empty)))
    (empty / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(UsageError, match="cannot be loaded") as caught:
        load_encoder(find_encoder(str(empty)))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="tokenizer"):
        load_tokenizer(find_encoder(str(empty)))


@pytest.mark.parametrize("name", TOKENIZER_FILES)
def test_a_fingerprint_covers_every_file_of_a_tokenizer(
    encoder: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(encoder, folder)
    before = fingerprint(find_encoder(str(folder)))
    with (folder / name).open("ab") as stream:
        stream.write(b"more")
    assert fingerprint(find_encoder(str(folder))) != before


def test_further_names_of_files_leave_other_fingerprints_as_they_are(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = fingerprint(find_encoder(str(encoder)))
    assert TOKENIZER_FILES[10] == "sentencepiece.bpe.model"
    monkeypatch.setattr("robench.models.encoders.TOKENIZER_FILES", TOKENIZER_FILES[:11])
    assert fingerprint(find_encoder(str(encoder))) == now


@pytest.mark.parametrize("name", ["sentencepiece.model", "bpe.codes", "dict.txt", "spm_char.model"])
def test_rare_files_of_a_tokenizer_are_known(name: str) -> None:
    assert name in TOKENIZER_FILES


def test_an_unknown_encoder_offline_gives_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import hub

    monkeypatch.setattr(hub, "_is_offline_mode", True, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="is not a folder, and it cannot be loaded") as caught:
        fingerprint(find_encoder("nobody/no-such-encoder"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        ({"max_position_embeddings": 8}, {}, "reads 8 tokens, task 'planted' has 16"),
        ({"model_type": "gpt2"}, {}, "no module 'embeddings'"),
        ({"model_type": "nobody-knows"}, {}, "cannot be made from the configuration"),
        ({}, {"train_examples": 70}, "35 examples of label 1 are needed"),
        ({}, {"dev_examples": 20}, "10 examples of label 0 are needed"),
    ],
)
def test_check_refuses_what_training_would_refuse(
    encoder: Path, tmp_path: Path, change: dict[str, str], options: dict[str, int], sentence: str
) -> None:
    folder = shutil.copytree(encoder, tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    whole = planted_splits()
    short = {
        "train": [example for example in whole.train if example.label == 0]
        + [example for example in whole.train if example.label == 1][:30]
    }
    short["dev"] = [example for example in whole.dev if example.label == 1] + [
        example for example in whole.dev if example.label == 0
    ][:9]
    with pytest.raises(UsageError, match=sentence) as caught:
        request(
            folder, splits=replace(whole, train=short["train"], dev=short["dev"]), options=options
        ).check()
    assert "\n" not in str(caught.value)


def test_check_accepts_a_trainable_request_and_loads_no_weights(encoder: Path) -> None:
    state = torch.random.get_rng_state()
    request(encoder).check()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {
        parameter.device.type for parameter in skeleton(find_encoder(str(encoder))).parameters()
    } == {"meta"}


def test_which_attention_is_used_on_which_device() -> None:
    assert attention_for("cpu", "bf16") == "eager"
    assert attention_for("cpu", "fp32") is None
    assert attention_for("cuda:1", "bf16") is None
    assert load_encoder.__doc__


def test_an_encoder_is_loaded_in_fp32_without_folder_names(encoder: Path) -> None:
    loaded = load_encoder(find_encoder(str(encoder)))
    assert {parameter.dtype.itemsize for parameter in loaded.parameters()} == {4}


@pytest.mark.parametrize("location", ["/nope", "./nope", "~/nope", "a/b/c"])
def test_a_path_that_does_not_exist_is_called_a_folder(location: str) -> None:
    with pytest.raises(UsageError, match=rf"^Encoder: there is no folder '{location}'"):
        fingerprint(find_encoder(location))


def test_a_known_encoder_is_never_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no connection")

    monkeypatch.setattr("transformers.utils.cached_file", offline)
    with pytest.raises(UsageError, match=r"\(no connection\)\. Check the name") as caught:
        fingerprint(find_encoder("bert-base-uncased"))
    assert "Did you mean" not in str(caught.value)
