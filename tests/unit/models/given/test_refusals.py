"""What cannot be judged as it is gets one clear sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import transformers
from given_cases import FAMILIES, save_model, source

from robench._base.errors import UsageError
from robench.models.given.description import describe_given
from robench.models.given.loading import load_given


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("good") / "good")


def edit_config(folder: Path, **entries: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return folder


def copy(good: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in good.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def refused(folder: Path, sentence: str, **rest: object) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}") as caught:
        load_given(source(folder, name="mine", **rest))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_regression_and_several_labels_are_refused(tmp_path: Path, good: Path) -> None:
    one = save_model(tmp_path / "one", labels={0: "score"})
    refused(one, "Model 'mine' is a regression model: it gives a score and no label.")
    many = edit_config(copy(good, tmp_path / "many"), problem_type="multi_label_classification")
    refused(many, "Model 'mine' is a multi-label model: it may give several labels to one text")
    score = edit_config(copy(good, tmp_path / "score"), problem_type="regression")
    refused(score, "Model 'mine' is a regression model")


def test_a_model_without_a_head_is_refused_early(tmp_path: Path) -> None:
    tokenizer, config = FAMILIES["bert"]()
    transformers.BertForMaskedLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="is a BertForMaskedLM, which has no head that classifies"):
        describe_given(source(tmp_path))


def test_a_head_that_the_files_lack_is_never_random(tmp_path: Path, good: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy(good, tmp_path / "headless")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    refused(
        folder,
        "The files of model 'mine' lack weights (classifier.bias, classifier.weight), so its "
        "answers would be random.",
    )


def test_folders_that_hold_something_else_are_refused(tmp_path: Path, good: Path) -> None:
    victim = copy(good, tmp_path / "victim")
    (victim / "victim.json").write_text("{}")
    refused(victim, f"'{victim}' is a victim that robench trained")
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(empty, f"Model 'mine': there is no 'config.json' in the folder '{empty}'.")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    refused(
        adapter, "Model 'mine' holds an adapter (adapter_config.json), which names another model. M"
    )
    both = copy(good, tmp_path / "both")
    (both / "adapter_config.json").write_text("{}")
    refused(
        both, "Model 'mine' holds an adapter (adapter_config.json), which names another model. M"
    )
    bare = copy(good, tmp_path / "bare")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (bare / name).unlink(missing_ok=True)
    refused(bare, "The tokenizer of model 'mine' cannot be loaded: ")
    broken = copy(good, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    refused(broken, f"Model 'mine' cannot be loaded from '{broken}' (")
    (broken / "config.json").write_text("{")
    refused(broken, "Model 'mine': its config.json is damaged (it is not JSON")
    (broken / "config.json").write_text('{"model_type": "none-of-ours"}')
    refused(broken, "The configuration of 'mine' cannot be read by the installed transformers (")


def test_a_tokenizer_that_keeps_the_end_of_a_text_is_refused(tmp_path: Path, good: Path) -> None:
    left = copy(good, tmp_path / "left")
    path = left / "tokenizer_config.json"
    entries = json.loads(path.read_text())
    path.write_text(json.dumps(entries | {"truncation_side": "left"}))
    refused(left, "The tokenizer of 'mine' cuts long texts at their beginning (truncation_side ")
    path.write_text(json.dumps(entries | {"truncation_side": "right"}))
    assert describe_given(source(left)).max_tokens == describe_given(source(good)).max_tokens


def test_encoder_decoders_and_custom_code_are_refused(tmp_path: Path, good: Path) -> None:
    bart = copy(good, tmp_path / "bart")
    (bart / "config.json").write_text(
        json.dumps(
            {
                "model_type": "bart",
                "architectures": ["BartForSequenceClassification"],
                "is_encoder_decoder": True,
            }
        )
    )
    refused(bart, "Model 'mine' is an encoder-decoder (bart)")
    custom = edit_config(
        copy(good, tmp_path / "custom"),
        auto_map={"AutoModelForSequenceClassification": "modeling.Mine"},
    )
    (custom / "modeling.py").write_text("raise SystemExit('this code must not run')")
    refused(
        custom,
        "Model 'mine' needs code from its own repository (modeling.Mine, named in config.json), "
        "which robench does not run unasked.",
    )


def test_an_unknown_hub_id_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused(
        Path("nobody/nothing-of-this-name"),
        "Model 'nobody/nothing-of-this-name' is not a folder, and it cannot be loaded from "
        "the Hugging Face hub (",
    )


def test_labels_and_fields_are_checked_before_the_weights(tmp_path: Path, good: Path) -> None:
    folder = copy(good, tmp_path / "light")
    (folder / "model.safetensors").unlink()
    assert describe_given(source(folder)).order == (0, 1)
    with pytest.raises(UsageError, match=r"^The labels of '.*' do not match the task: 2 labels"):
        describe_given(source(folder, labels=("a", "b", "c")))
    with pytest.raises(UsageError, match="reads one text or a pair, but the task has 3 fields"):
        describe_given(source(folder, ("a", "b", "c")))


def test_the_hash_covers_weights_configuration_and_tokenizer(tmp_path: Path, good: Path) -> None:
    def sha256(folder: Path) -> str:
        return describe_given(source(folder)).sha256

    folder = copy(good, tmp_path / "same")
    before = sha256(folder)
    assert before == sha256(good)
    found = {before}
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(path.read_text() + "\n")
        found.add(sha256(folder))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, trust_remote_code=False
    )
    with torch.no_grad():
        model.classifier.bias += 1
    model.save_pretrained(folder)
    found.add(sha256(folder))
    assert len(found) == 4


def test_weights_of_the_old_kind_are_read(tmp_path: Path, good: Path) -> None:
    from safetensors.torch import load_file

    folder = copy(good, tmp_path / "old")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    texts = [{"text": "a good film"}]
    new = load_given(source(good)).probs_of_texts(texts)
    assert (load_given(source(folder)).probs_of_texts(texts) == new).all()


def test_opposite_label_order_comes_out_right(tmp_path: Path, good: Path) -> None:
    trap = edit_config(copy(good, tmp_path / "trap"), id2label={"0": "POSITIVE", "1": "NEGATIVE"})
    texts = [{"text": "a good film"}, {"text": "bad"}]
    right = load_given(source(good)).probs_of_texts(texts)
    turned = load_given(source(trap))
    assert (turned.probs_of_texts(texts) == right[:, ::-1]).all()
    assert turned.info.label_pairs == {"NEGATIVE": "negative", "POSITIVE": "positive"}
