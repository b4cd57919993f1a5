"""No code of a model's folder runs unasked, whatever stands on standard input.

Each folder leaves a mark where its code ran. A ``y`` stands on standard input, because transformers
asks there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import saved_victims
import transformers
from click.testing import CliRunner, Result
from given_cases import FAMILIES, save_model
from hostile_models import (
    adapter,
    change_json,
    kernel,
    known_type,
    own_generate,
    own_tokenizer,
    own_type,
    with_code,
)

from robench._base import foreign_code
from robench._base.errors import UsageError
from robench._base.seals import SEAL, with_seal
from robench.cli import main
from robench.models.victim_folder import file_hashes, weights_hash
from robench.records.record_files import read_records
from robench.sharing.loaded import load_victim
from robench.text.language_model import build_scorer

pytestmark = pytest.mark.slow

Kind = Callable[..., Path]
NEEDS = "needs code from its own repository (mine."


def robench(*arguments: str | Path) -> Result:
    """Run the command line in this process, with one ``y`` after another on standard input."""
    return CliRunner().invoke(main, [*map(str, arguments)], input="y\n" * 20)


def robench_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with ``y`` on its real standard input."""
    return subprocess.run(
        [sys.executable, "-m", "robench", *map(str, arguments)],
        input="y\n" * 20,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=550,
    )


def refused(mark: Path, sentence: str, *arguments: str | Path) -> None:
    """Assert that a command ends with one sentence and exit code 2, and that no code ran."""
    run = robench(*arguments)
    assert not mark.exists(), run.stderr
    assert run.exit_code == 2, run.output + run.stderr
    check_sentence(run.stdout, run.stderr, sentence)


def check_sentence(stdout: str, stderr: str, sentence: str) -> None:
    (line,) = [each for each in stderr.splitlines() if each.startswith("Error: ")]
    assert sentence in line
    assert "Traceback" not in stderr
    assert "[y/N]" not in stdout + stderr


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("given") / "classifier")


RUN = ("evaluate", "--attack", "pwws", "--limit", "4", "--device", "cpu", "--workers", "1")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (own_type, NEEDS),
        (known_type, NEEDS),
        (own_tokenizer, NEEDS),
        (own_generate, "has code that replaces a method of its model"),
        (kernel, "names code of the hub ('someone/kernel@main'"),
        (adapter, "holds an adapter"),
    ],
)
def test_an_encoder_with_code(kind: Kind, sentence: str, tmp_path: Path, mark: Path) -> None:
    folder = kind(tmp_path / "model", mark)
    defense = ("--defense", "standard", "--encoder", folder, "--out", tmp_path / "runs")
    refused(mark, sentence, *RUN, *defense)


@pytest.mark.parametrize("kind", [own_type, known_type, own_tokenizer, kernel])
def test_a_victim_with_code(kind: Kind, tmp_path: Path, mark: Path, classifier: Path) -> None:
    folder = kind(tmp_path / "model", mark, classifier)
    refused(mark, "model' n", *RUN, "--victim", folder, "--out", tmp_path / "runs")
    attack = ("attack", "A good film.", "--substitutions", "mini", "--lm", "none")
    refused(mark, "Model '", *attack, "--victim", folder)
    with pytest.raises(UsageError, match="Model '"):
        load_victim(folder)
    assert not mark.exists()


@pytest.mark.parametrize("command", ["certify", "transfer"])
def test_other_commands_that_load_victims(
    command: str, tmp_path: Path, mark: Path, classifier: Path
) -> None:
    folder = own_type(tmp_path / "model", mark, classifier)
    rest = ("--attack", "pwws") if command == "transfer" else ()
    out = ("--limit", "4", "--victim", folder, "--out", tmp_path / "runs")
    run = robench(command, *rest, *out)
    assert run.exit_code == 2
    assert not mark.exists()


def test_the_real_standard_input_is_never_asked(
    tmp_path: Path, mark: Path, classifier: Path
) -> None:
    folder = own_type(tmp_path / "model", mark, classifier)
    attack = ("attack", "A good film.", "--substitutions", "mini", "--lm", "none")
    run = robench_process(*attack, "--victim", folder)
    assert not mark.exists()
    assert run.returncode == 2
    check_sentence(run.stdout, run.stderr, NEEDS)
    run = robench_process(
        *RUN, "--defense", "standard", "--encoder", folder, "--out", tmp_path / "runs"
    )
    assert not mark.exists()
    assert run.returncode == 2
    check_sentence(run.stdout, run.stderr, NEEDS)


@pytest.mark.parametrize("kind", [own_type, known_type, own_tokenizer, kernel])
def test_a_language_model_with_code(kind: Kind, tmp_path: Path, mark: Path) -> None:
    folder = kind(tmp_path / "model", mark)
    out = ("--defense", "standard", "--out", tmp_path / "runs")
    refused(mark, "The masked language model '", *RUN, "--lm", f"masked:{folder}", *out)


def test_a_causal_language_model_with_a_method_of_its_own(tmp_path: Path, mark: Path) -> None:
    plain = tmp_path / "plain"
    tokenizer, config = FAMILIES["gpt2"]()
    transformers.GPT2LMHeadModel(config).save_pretrained(plain)
    tokenizer.save_pretrained(plain)
    folder = own_generate(tmp_path / "model", mark, plain)
    # transformers itself runs this code, although it is told not to.
    transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False)
    assert mark.exists()
    mark.unlink()
    out = ("--defense", "standard", "--out", tmp_path / "runs")
    sentence = "has code that replaces a method of its model (custom_generate/generate.py)"
    refused(mark, sentence, *RUN, "--lm", f"causal:{folder}", *out)


@pytest.mark.parametrize("made_by", ["masked-lm", "embeddings"])
def test_a_substitution_set_of_a_model_with_code(
    made_by: str, tmp_path: Path, mark: Path, classifier: Path
) -> None:
    folder = known_type(tmp_path / "model", mark)
    attack = ("attack", "A good film.", "--lm", "none", "--victim", classifier)
    refused(mark, NEEDS, *attack, "--attack", f"pwws@{made_by}:{folder}")


# -- saved victims ---------------------------------------------------------------------------------


def consistent(folder: Path) -> Path:
    """Write the hashes of all files onto the card, as whoever can write a folder can."""
    files = file_hashes(folder)
    card = json.loads((folder / "victim.json").read_text())
    card |= {"files": files, "sha256": weights_hash(files)}
    del card[SEAL]
    (folder / "victim.json").write_text(json.dumps(with_seal(card)))
    return folder


def tokenizer_with_code(folder: Path, mark: Path) -> None:
    auto_map = {"AutoTokenizer": ["mine.MyTokenizer", "mine.MyTokenizer"]}
    with_code(folder / "tokenizer", mark)
    change_json(
        folder / "tokenizer" / "tokenizer_config.json",
        auto_map=auto_map,
        tokenizer_class="MyTokenizer",
    )


def encoder_with_code(folder: Path, mark: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    encoder = {**config["encoder"], "auto_map": {"AutoModel": "mine.MyModel"}}
    with_code(folder, mark)
    change_json(folder / "config.json", encoder=encoder)


def encoder_with_kernel(folder: Path, mark: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    encoder = {**config["encoder"], "_attn_implementation_internal": "someone/kernel"}
    change_json(folder / "config.json", encoder=encoder)


def other_code(folder: Path, mark: Path) -> None:
    with_code(folder, mark)
    (folder / "modeling_robench.py").write_bytes((folder / "mine.py").read_bytes())


def other_auto_map(folder: Path, mark: Path) -> None:
    with_code(folder, mark)
    auto_map = {"AutoModelForSequenceClassification": "mine.MyClassifier"}
    change_json(folder / "config.json", auto_map=auto_map)


@pytest.mark.parametrize("change", [tokenizer_with_code, encoder_with_code, encoder_with_kernel])
def test_a_saved_victim_with_code(
    change: Callable[[Path, Path], None], tmp_path: Path, mark: Path
) -> None:
    folder = tmp_path / "victim"
    saved_victims.victim().save(folder)
    change(folder, mark)
    consistent(folder)
    attack = ("attack", "good film", "--substitutions", "mini", "--lm", "none")
    refused(mark, f"The victim in '{folder}", *attack, "--victim", folder)
    with pytest.raises(UsageError, match="The victim in '"):
        load_victim(folder)
    assert robench("card", folder, "--print").exit_code == 0
    assert not mark.exists()


@pytest.mark.parametrize("change", [tokenizer_with_code, other_code, other_auto_map])
def test_push_publishes_no_code_of_others(
    change: Callable[[Path, Path], None], tmp_path: Path, mark: Path
) -> None:
    folder = tmp_path / "victim"
    saved_victims.victim().save(folder)
    push = ("push", folder, "me/victim", "--dry-run")
    good = robench(*push)
    assert good.exit_code == 0, good.stderr
    change(folder, mark)
    refused(mark, "publishes only robench's own code", "push", consistent(folder), *push[2:])


def test_code_beside_a_saved_victim_never_runs(tmp_path: Path, mark: Path) -> None:
    folder = tmp_path / "victim"
    saved_victims.victim().save(folder)
    other_code(folder, mark)
    other_auto_map(folder, mark)
    run = robench(
        *("attack", "good film", "--substitutions", "mini", "--lm", "none"),
        *("--victim", consistent(folder)),
    )
    assert run.exit_code == 0, run.stderr
    assert not mark.exists()


def test_a_pickle_among_the_weights_never_runs(
    tmp_path: Path, mark: Path, classifier: Path
) -> None:
    import shutil

    import torch

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return Path.write_text, (mark, "ran")  # type: ignore[return-value]

    folder = tmp_path / "model"
    shutil.copytree(classifier, folder)
    (folder / "model.safetensors").unlink()
    torch.save({"classifier.weight": Bomb()}, folder / "pytorch_model.bin")
    attack = ("attack", "A good film.", "--substitutions", "mini", "--lm", "none")
    refused(mark, "cannot be loaded from", *attack, "--victim", folder)


# -- with --trust-remote-code ----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the code of other tests, which would mark the records of this one."""
    monkeypatch.setattr(foreign_code, "_ran", set())


def test_code_that_is_allowed_runs_and_stands_in_record_and_table(
    tmp_path: Path, mark: Path, classifier: Path
) -> None:
    folder = own_type(tmp_path / "model", mark, classifier)
    out = tmp_path / "runs"
    run = robench(*RUN, "--victim", folder, "--out", out, "--trust-remote-code")
    assert run.exit_code == 0, run.output + run.stderr
    assert mark.exists()
    assert "--trust-remote-code is on, so Python files in the folders of" in run.stderr
    assert "MyClassifier, with code of its folder" in run.stderr
    (record,) = read_records(out / "records").values()
    assert record.software.foreign_code
    note = "**Code of a model's folder ran** (--trust-remote-code): model (given)."
    assert note in (out / "leaderboard.md").read_text()
    # Other code is another victim.
    before = record.victim.sha256
    (folder / "mine.py").write_text((folder / "mine.py").read_text() + "\nx = 1\n")
    assert robench(*RUN, "--victim", folder, "--out", out, "--trust-remote-code").exit_code == 0
    found = {each.victim.sha256 for each in read_records(out / "records").values()}
    assert before in found
    assert len(found) == 2


def test_the_answers_are_those_of_the_same_model_without_code(
    tmp_path: Path, mark: Path, classifier: Path
) -> None:
    folder = own_type(tmp_path / "model", mark, classifier)
    texts = ["a good film", "bad"]
    plain = load_victim(classifier).probabilities(texts)
    assert (load_victim(folder, trust_remote_code=True).probabilities(texts) == plain).all()


def test_allowing_code_changes_nothing_for_a_model_without_code(
    tmp_path: Path, classifier: Path
) -> None:
    keys = set()
    for number, flag in enumerate(((), ("--trust-remote-code",))):
        out = tmp_path / str(number)
        assert robench(*RUN, "--victim", classifier, "--out", out, *flag).exit_code == 0
        (record,) = read_records(out / "records").values()
        assert not record.software.foreign_code
        keys.add((record.cell, record.victim.sha256, record.outcomes))
        assert "folder ran" not in (out / "leaderboard.md").read_text()
    assert len(keys) == 1


def test_a_single_text_is_attacked_with_code_that_is_allowed(
    tmp_path: Path, mark: Path, classifier: Path
) -> None:
    folder = own_tokenizer(tmp_path / "model", mark, classifier)
    attack = ("attack", "A good film.", "--substitutions", "mini", "--lm", "none")
    run = robench(*attack, "--victim", folder, "--trust-remote-code")
    assert run.exit_code == 0, run.stderr
    assert mark.exists()
    assert "Code of the folder of 'model' runs, because you allow it." in run.stderr


def test_the_code_of_a_language_model_is_part_of_its_identity(tmp_path: Path, mark: Path) -> None:
    folder = known_type(tmp_path / "model", mark)
    with pytest.raises(UsageError, match="which robench does not run unasked"):
        build_scorer(f"masked:{folder}")
    first = build_scorer(f"masked:{folder}", foreign_code=True)
    (folder / "mine.py").write_text((folder / "mine.py").read_text() + "\nx = 1\n")
    other = build_scorer(f"masked:{folder}", foreign_code=True)
    plain = build_scorer("tiny")
    assert first is not None
    assert other is not None
    assert plain is not None
    assert len({first.identity, other.identity, plain.identity}) == 3
    assert first.identity.startswith(plain.identity)


def test_no_victim_is_trained_on_an_encoder_with_code(tmp_path: Path, mark: Path) -> None:
    folder = own_type(tmp_path / "model", mark)
    sentence = "robench trains no victim on such an encoder, because a saved victim holds no code"
    defense = ("--defense", "standard", "--encoder", folder, "--out", tmp_path / "runs")
    refused(mark, sentence, *RUN, *defense, "--trust-remote-code")
