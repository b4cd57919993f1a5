"""Every kind of file that robench keeps and reads again, for ``tests/damage.py``."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from certified import make_certificate
from damage import Found, Kind
from records import make_record
from saved_victims import victim
from scorers_of_children import HashedScorer
from wordnet_files import write_wordnet

from robench._base.seals import file_sha256, with_seal
from robench.certification.results import ExampleResult, ResultFile
from robench.inspection import health
from robench.models.training_log import read_training_log
from robench.models.victim import Victim
from robench.models.victim_folder import identity, read_card
from robench.protocol import get_protocol
from robench.records.certificate_files import read_certificate, write_certificate
from robench.records.record_files import read_record, write_record
from robench.records.test_set import TestSet, read_test_set, write_test_set
from robench.records.transfer_flags import read_transferred
from robench.records.verified import VerifiedRecord, read_verified, write_verified
from robench.search.attack import Trial, Verdict
from robench.search.trials import TrialFile
from robench.tasks import assets
from robench.tasks.assets import Asset
from robench.tasks.example import Example
from robench.tasks.frozen import digest
from robench.text import wordnet
from robench.text.substitutions import SubstitutionSet
from robench.text.surface import read as read_surface
from robench.text.surface_building import SurfaceRequest, load_or_build
from robench.training.checkpoint import FILE, EpochWeights, TrainingState

WORDS = [f"word{number}" for number in range(40)]
EXAMPLES = [
    Example(f"toy/{number}", {"text": " ".join(WORDS[number : number + 12])}, number % 2)
    for number in range(25)
]
KEY = "c" * 64
HERE = {"device": "cpu"}

# -- surfaces --------------------------------------------------------------------------------------


def surface_request() -> SurfaceRequest:
    pairs = {word: (f"{word}a", f"other{word}") for word in WORDS[::2]}
    return SurfaceRequest(
        EXAMPLES,
        "text",
        task="toy",
        digest=digest(EXAMPLES),
        substitutions=SubstitutionSet("test", "5" * 64, pairs),
        protocol=get_protocol("rift2021"),
        scorer=HashedScorer(),
        max_words=99,
    )


def make_surface(folder: Path) -> list[Path]:
    load_or_build(folder, surface_request())
    return [surface_request().path(folder)]


def read_whole_surface(folder: Path) -> Any:
    request = surface_request()
    try:
        surface = read_surface(request.path(folder), request.key)
    except (OSError, ValueError, KeyError) as error:
        # A run builds it again.
        logging.disable()
        load_or_build(folder, request)
        logging.disable(logging.NOTSET)
        read_surface(request.path(folder), request.key)
        raise Found from error
    spaces = [
        surface.space(each.id, 99, True, threshold) for each in EXAMPLES for threshold in (1,)
    ]
    ratios = surface._ratios.tobytes()
    return surface.meta, sorted(surface.vocabulary), [each.options for each in spaces], ratios


# -- training --------------------------------------------------------------------------------------


def tensors(seed: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(40, 40, generator=generator) for name in ("a", "b", "c")}


def make_checkpoint(folder: Path) -> list[Path]:
    TrainingState(
        KEY,
        HERE,
        epoch=2,
        model=tensors(0),
        optimizer={"state": tensors(1), "lr": 2e-5},
        history=[{"epoch": 1, "dev_accuracy": 0.75}, {"epoch": 2, "dev_accuracy": 0.8125}],
    ).save(folder)
    return [folder / FILE]


def read_checkpoint(folder: Path) -> Any:
    state = TrainingState.load(folder, KEY, HERE)
    assert state is not None
    return plain(vars(state))


def plain(value: Any) -> Any:
    """Return a value with its tensors as bytes, so that it can be compared."""
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def make_weights(folder: Path) -> list[Path]:
    EpochWeights(folder).store(3, tensors(3))
    return [folder / "epoch-3.pt"]


def read_weights(folder: Path) -> Any:
    return plain(EpochWeights(folder).load(3))


# -- victims ---------------------------------------------------------------------------------------


def make_victim(folder: Path) -> list[Path]:
    victim(key="k" * 64, ingredients={"splitter": "", "train": "d"}).save(folder)
    curve = folder / "curves" / "tensorboard" / "events"
    curve.parent.mkdir(parents=True)
    curve.write_bytes(bytes(range(256)) * 4)
    card = read_card(folder)
    log = {
        "key": card["key"],
        "victim": identity(card),
        "curves": {"curves/tensorboard/events": file_sha256(curve)},
        "epochs": [{"epoch": 1, "training_seconds": 2.5, "dev_seconds": 0.5, "dev_accuracy": 0.75}],
    }
    (folder / "training.json").write_text(json.dumps(with_seal(log), indent=2))
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def read_victim(folder: Path) -> Any:
    found = Victim.load(folder)
    log = read_training_log(folder / "training.json")
    curve = (folder / "curves" / "tensorboard" / "events").read_bytes()
    probabilities = found.probs_of_texts([{"text": "film good noun1"}])
    return (
        plain(found.model.state_dict()),
        found.card,
        found.sha256,
        log,
        curve,
        (probabilities.tobytes()),
    )


# -- test sets, records, certificates --------------------------------------------------------------


def make_texts(folder: Path) -> list[Path]:
    write_test_set(
        folder / "toy.jsonl", TestSet("toy", digest(EXAMPLES), ("no", "yes"), "text", EXAMPLES)
    )
    return [folder / "toy.jsonl"]


def read_texts(folder: Path) -> Any:
    return read_test_set(folder / "toy.jsonl", digest(EXAMPLES))


def make_a_certificate(folder: Path) -> list[Path]:
    folder.mkdir()
    write_certificate(folder / "a.json", make_certificate("CUFWCUC"))
    return [folder / "a.json"]


def read_a_certificate(folder: Path) -> Any:
    return read_certificate(folder / "a.json")


def make_verdicts(folder: Path) -> list[Path]:
    with ResultFile(folder / "a.jsonl", KEY) as file:
        for number, each in enumerate(EXAMPLES):
            file.append(
                ExampleResult(
                    id=each.id, letter="CFU"[number % 3], reason="enumeration", positions=number
                )
            )
    return [file.path]


def read_verdicts(folder: Path) -> Any:
    file = ResultFile(folder / "a.jsonl", KEY)
    found = file.read()
    return only_lost(
        found, {each.id: each for each in RESULTS.setdefault("verdicts", [*found.values()])}
    )


RESULTS: dict[str, list[Any]] = {}
"""What was read from intact files of lines."""


def only_lost(found: dict[str, Any], intact: dict[str, Any]) -> Any:
    """Return what was read; raise ``Found`` where lines are missing and the others are intact.

    A run works on the missing examples again.
    """
    if len(found) < len(intact) and found.items() <= intact.items():
        raise Found
    return found


def make_trials(folder: Path) -> list[Path]:
    with TrialFile(folder / "a.jsonl", cell=KEY) as file:
        for number, each in enumerate(EXAMPLES):
            file.append(
                Trial(
                    id=each.id,
                    verdict=Verdict.HELD if number % 2 else Verdict.WRONG,
                    label=1,
                    prediction=number % 2,
                    probs=(0.25, 0.75),
                    asked=number,
                )
            )
    return [folder / "a.jsonl"]


def read_trials(folder: Path) -> Any:
    found = {each.id: each for each in TrialFile(folder / "a.jsonl", cell=KEY).read()}
    return only_lost(
        found, {each.id: each for each in RESULTS.setdefault("trials", [*found.values()])}
    )


def make_a_record(folder: Path) -> list[Path]:
    folder.mkdir()
    write_record(folder / "a.json", make_record("HHFWHFH"))
    return [folder / "a.json"]


def read_a_record(folder: Path) -> Any:
    return read_record(folder / "a.json")


def make_verified(folder: Path) -> list[Path]:
    make_a_record(folder)
    sha256 = file_sha256(folder / "a.json")
    entry = VerifiedRecord(
        file="a.json",
        checks=("letters", "texts"),
        examples=7,
        fooled=2,
        searched=1,
        proved=0,
        sample=0.25,
        seed=0,
        same_software=True,
        trials=None,
        victim="d" * 64,
        robench="0.1.0",
        checked=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return [write_verified(folder, {sha256: entry})]


def read_the_verified(folder: Path) -> Any:
    found = read_verified(folder)
    if found.problem is not None:
        raise Found(found.problem)
    return found


def make_transfer(folder: Path) -> list[Path]:
    row = {
        "row": "rift",
        "seed": 0,
        "cell": KEY,
        "transfer": {each.id: "H" for each in EXAMPLES},
        "only_own": 0,
        "missed": 30,
        "p_value_holm": 0.0001,
        "flag": "'rift' holds 25.0 % under texts that were made for 1 other victim.",
    }
    folder.mkdir()
    content = with_seal({"tables": [{"attack": "pwws", "victims": [row]}], "left_out": []})
    (folder / "transfer.json").write_text(json.dumps(content, indent=2))
    return [folder / "transfer.json"]


def read_transfer(folder: Path) -> Any:
    found = read_transferred(folder / "transfer.json")
    if found.damaged is not None:
        raise Found(found.damaged)
    return found


# -- the user's cache ------------------------------------------------------------------------------


def make_health(folder: Path) -> list[Path]:
    health._remember(folder / "guest.json", health.Health(None, "An attack.", "probabilities"))
    return [folder / "guest.json"]


def read_health(folder: Path) -> Any:
    found = health._recall(folder / "guest.json")
    if found is None:
        # The guest is imported again.
        raise Found
    return found


ASSET_CONTENT = json.dumps({word: [f"{word}a"] for word in WORDS}).encode()
ASSET = Asset("neighbours.json", hashlib.sha256(ASSET_CONTENT).hexdigest(), "", (), "MIT")


def make_asset(folder: Path) -> list[Path]:
    assets._write(folder / ASSET.file, ASSET_CONTENT)
    return [folder / ASSET.file]


def read_asset(folder: Path) -> Any:
    with (
        mock.patch.dict(assets.ASSETS, {ASSET.file: ASSET}),
        mock.patch.object(assets, "_cached", return_value=folder / ASSET.file),
    ):
        found = assets.locate_asset(ASSET.file, None)
    if found is None:
        # It is copied or fetched again.
        raise Found
    return found.read_bytes()


def make_wordnet(folder: Path) -> list[Path]:
    write_wordnet(folder / "source")
    wordnet._unpacked(wordnet_files(folder), folder / "cache")
    return [path for path in sorted((folder / "cache").iterdir()) if path.stat().st_size]


def wordnet_files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "source" / name).read_bytes() for name in wordnet.FILES}


def read_wordnet(folder: Path) -> Any:
    names = wordnet.FILES
    before = {name: (folder / "cache" / name).read_bytes() for name in names}
    wordnet._unpacked(wordnet_files(folder), folder / "cache")
    after = {name: (folder / "cache" / name).read_bytes() for name in names}
    if before != after and after == wordnet_files(folder):
        # The copy was written again.
        raise Found
    return after


KINDS = (
    Kind("surface", make_surface, read_whole_surface),
    Kind("training checkpoint", make_checkpoint, read_checkpoint),
    Kind("weights of an epoch", make_weights, read_weights),
    Kind("victim (all its files)", make_victim, read_victim),
    Kind("texts of a test set", make_texts, read_texts),
    Kind("trials", make_trials, read_trials),
    Kind("record", make_a_record, read_a_record),
    Kind("verified.json", make_verified, read_the_verified),
    Kind("certificate", make_a_certificate, read_a_certificate),
    Kind("verdicts of a certificate", make_verdicts, read_verdicts),
    Kind("transfer.json", make_transfer, read_transfer),
    Kind("cache: health of plugins", make_health, read_health),
    Kind("cache: substitution set", make_asset, read_asset),
    Kind("cache: WordNet", make_wordnet, read_wordnet),
)
"""Every kind of file that robench keeps and reads again."""
