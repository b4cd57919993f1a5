"""Code of a model's folder is found before transformers sees the folder."""

from __future__ import annotations

import re
from pathlib import Path

import hostile_models
import pytest
from hostile_models import AUTO_MAP, change_json

from robench._base import foreign_code
from robench._base.errors import UsageError
from robench._base.foreign_code import (
    ModelFiles,
    check_config,
    check_model,
    check_tokenizer,
    code_sha256,
    foreign_code_ran,
)


def files_in(folder: Path, allowed: bool = False, never: str = "") -> ModelFiles:
    def find(name: str) -> Path | None:
        return folder / name if (folder / name).is_file() else None

    return ModelFiles("Model 'mine'", str(folder), find, allowed, never)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the code of these tests from marking the records of other tests."""
    monkeypatch.setattr(foreign_code, "_ran", set())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    change_json(tmp_path / "config.json", model_type="bert")
    return tmp_path


def refused(files: ModelFiles, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}") as caught:
        check_model(files, ("AutoModel",))
    assert "\n" not in str(caught.value)


def test_a_plain_folder_needs_no_code(folder: Path) -> None:
    assert check_model(files_in(folder), ("AutoModel",)) is False
    assert check_tokenizer(files_in(folder)) is False


def test_a_folder_without_files_needs_no_code(tmp_path: Path) -> None:
    assert check_model(files_in(tmp_path), ("AutoModel",)) is False


@pytest.mark.parametrize("name", ["AutoModel", "AutoConfig"])
def test_an_auto_map_is_refused(folder: Path, name: str) -> None:
    change_json(folder / "config.json", auto_map={name: "mine.Mine"})
    refused(
        files_in(folder),
        "Model 'mine' needs code from its own repository (mine.Mine, named in config.json), which "
        "robench does not run unasked. Read that code first; --trust-remote-code allows it.",
    )


def test_code_for_another_use_of_the_model_is_no_danger(folder: Path) -> None:
    change_json(folder / "config.json", auto_map={"AutoModelForQuestionAnswering": "mine.Mine"})
    assert check_model(files_in(folder, allowed=True), ("AutoModel",)) is False
    with pytest.raises(UsageError, match=r"mine\.Mine"):
        check_model(files_in(folder), ("AutoModelForQuestionAnswering",))


@pytest.mark.parametrize(
    ("file", "auto_map"),
    [
        ("tokenizer_config.json", {"AutoTokenizer": ["mine.Slow", None]}),
        ("tokenizer_config.json", {"AutoTokenizer": [None, "mine.Slow"]}),
        ("tokenizer_config.json", ["mine.Slow", None]),
        ("config.json", {"AutoTokenizer": "mine.Slow"}),
        ("config.json", {"AutoConfig": "mine.Slow"}),
    ],
)
def test_every_form_of_a_tokenizer_with_code_is_refused(
    folder: Path, file: str, auto_map: object
) -> None:
    change_json(folder / file, auto_map=auto_map)
    with pytest.raises(UsageError, match=rf"\(mine\.Slow, named in {file}\)"):
        check_tokenizer(files_in(folder))
    assert check_tokenizer(files_in(folder, allowed=True)) is True


def test_code_that_is_allowed_is_told(folder: Path) -> None:
    change_json(folder / "config.json", auto_map=AUTO_MAP)
    assert not foreign_code_ran()
    assert check_model(files_in(folder, allowed=True), ("AutoModel",)) is True
    assert foreign_code_ran()


def test_never_beats_allowed(folder: Path) -> None:
    change_json(folder / "config.json", auto_map=AUTO_MAP)
    files = files_in(folder, allowed=True, never="and nothing may. Go away.")
    refused(
        files,
        "Model 'mine' needs code from its own repository (mine.MyConfig, named in config.json), "
        "and nothing may. Go away.",
    )


def test_code_runs_only_from_a_folder(folder: Path) -> None:
    change_json(folder / "config.json", auto_map=AUTO_MAP)
    local = files_in(folder, allowed=True)
    hub = ModelFiles("Model 'a/b'", "a/b", local.find, allowed=True)
    refused(
        hub,
        "Model 'a/b' needs code from its own repository, and robench runs such code only from a "
        "folder, where it cannot change: hf download a/b --local-dir FOLDER, then name that",
    )


def test_code_of_another_repository_never_runs(folder: Path) -> None:
    change_json(folder / "config.json", auto_map={"AutoModel": "someone/else--mine.Mine"})
    refused(
        files_in(folder, allowed=True),
        "Model 'mine' takes its code from another repository (someone/else--mine.Mine, named in ",
    )


@pytest.mark.parametrize("allowed", [False, True])
def test_a_method_for_generate_never_runs(folder: Path, allowed: bool) -> None:
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("")
    refused(files_in(folder, allowed), "Model 'mine' has code that replaces a method of its model")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "entries",
    [
        {"_attn_implementation_internal": "someone/kernel"},
        {"attn_implementation": "someone/kernel@v1:name"},
        {"_attn_implementation": {"": "eager", "text_config": "someone/kernel"}},
        {"text_config": {"_experts_implementation": "someone/kernel"}},
        {"layers": [{"attn_implementation": "someone/kernel"}]},
    ],
)
def test_code_of_the_hub_for_a_layer_never_runs(
    folder: Path, allowed: bool, entries: dict[str, object]
) -> None:
    change_json(folder / "config.json", **entries)
    with pytest.raises(UsageError, match=r"names code of the hub.*robench never runs it"):
        check_model(files_in(folder, allowed), ("AutoModel",))


def test_a_usual_implementation_is_no_danger(folder: Path) -> None:
    change_json(folder / "config.json", _attn_implementation="eager", other="a/b")
    assert check_model(files_in(folder), ("AutoModel",)) is False


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "entries", [{"trust_remote_code": True}, {"part": {"trust_remote_code": "yes"}}]
)
def test_a_model_cannot_trust_itself(
    folder: Path, allowed: bool, entries: dict[str, object]
) -> None:
    change_json(folder / "config.json", **entries)
    refused(files_in(folder, allowed), "Model 'mine' asks for trust by itself (trust_remote_code")


def test_a_model_that_asks_for_no_trust_is_no_danger(folder: Path) -> None:
    change_json(folder / "config.json", trust_remote_code=False)
    assert check_model(files_in(folder), ("AutoModel",)) is False


def test_code_of_a_part_is_refused(folder: Path) -> None:
    change_json(folder / "config.json", parts=[{"auto_map": {"AutoModel": "mine.Part"}}])
    refused(files_in(folder), "Model 'mine' needs code from its own repository (mine.Part, named")


def test_an_adapter_is_refused(folder: Path) -> None:
    change_json(folder / "adapter_config.json", base_model_name_or_path="someone/model")
    refused(files_in(folder), "Model 'mine' holds an adapter (adapter_config.json), which names ")


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, '{"a": 1, "a": 2}', "\x00"])
def test_a_damaged_file_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    refused(files_in(folder), "Model 'mine': its config.json is damaged (")


@pytest.mark.parametrize("auto_map", [7, "text", [], {}, None, {"AutoModel": None}])
def test_a_strange_auto_map_is_no_crash(folder: Path, auto_map: object) -> None:
    check_config(files_in(folder, allowed=True), {"auto_map": auto_map}, ("AutoModel",))


def test_the_hash_of_the_code_covers_names_and_contents(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    found = {code_sha256(files)}
    (tmp_path / "a.py").write_text("x = 1\n")
    found.add(code_sha256(files))
    (tmp_path / "a.py").write_text("x = 2\n")
    found.add(code_sha256(files))
    (tmp_path / "part").mkdir()
    (tmp_path / "a.py").rename(tmp_path / "part" / "a.py")
    found.add(code_sha256(files))
    (tmp_path / "notes.txt").write_text("no code")
    found.add(code_sha256(files))
    assert len(found) == 4


@pytest.mark.parametrize("kind", hostile_models.KINDS, ids=lambda kind: kind.__name__)
def test_every_hostile_folder_is_refused(kind: object, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    files = files_in(kind(tmp_path / "model", mark))  # type: ignore[operator]
    with pytest.raises(UsageError):
        check_model(files, ("AutoModel",)) or check_tokenizer(files)
    assert not mark.exists()
