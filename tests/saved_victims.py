"""Victims with random weights, and folders of them in the layouts of every schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from victim_cases import CARD, classifier, tokenizer

from robench._base.seals import file_sha256, with_seal
from robench.models.victim import Victim
from robench.models.victim_folder import weights_hash

LABELS = ("negative", "positive", "odd")


def victim(
    family: str = "bert",
    protocol: str = "rift2021",
    fields: Sequence[str] = ("text",),
    seed: int = 0,
    **card: Any,
) -> Victim:
    """Make a victim with three labels and a window of 12 tokens."""
    own = {"labels": list(LABELS), "fields": list(fields), "protocol": protocol}
    made = {**CARD, **own, **card}
    return Victim(classifier(family, classes=len(LABELS), seed=seed), tokenizer(), made)


def change_card(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the card of a saved victim and seal it again, as a careful edit would."""
    card = json.loads((folder / "victim.json").read_text(encoding="utf-8"))
    change(card)
    (folder / "victim.json").write_text(json.dumps(with_seal(card)), encoding="utf-8")


def trust_weights(folder: Path) -> None:
    """Write the hash of the weights that are there into the card, as a careful edit would."""

    def trust(card: dict[str, Any]) -> None:
        card["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
        card["sha256"] = weights_hash(card["files"])

    change_card(folder, trust)


def save_as_schema_1(victim: Victim, folder: Path) -> None:
    """Write the folder as robench did before schema 2: a bare encoder, and the head beside it."""
    folder.mkdir(parents=True)
    victim.model.encoder.save_pretrained(folder)
    victim.tokenizer.save_pretrained(folder)
    head = victim.model.head.state_dict()
    save_file({name: each.contiguous() for name, each in head.items()}, folder / "head.safetensors")
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    card = {
        **victim.card,
        "schema": 1,
        "hidden": victim.model.head[0].out_features,
        "sha256": weights_hash(files),
        "files": files,
    }
    (folder / "victim.json").write_text(json.dumps(card), encoding="utf-8")
