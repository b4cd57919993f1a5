"""Which encoders have a short name here, and which training settings their size asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EncoderInfo:
    """A named encoder.

    Attributes:
        name: what ``--encoder`` takes. Any other hub id or local folder works as well.
        location: a hub id or a local folder, for ``from_pretrained``.
        recommended: training options that its size asks for; they stand over a defense's paper defaults and under the user's options.
        summary: one line for people.
    """

    name: str
    location: str
    recommended: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""


def embedded_folder(name: str) -> Path:
    """Folder of an encoder that ships inside the package."""
    return Path(str(files("robench.embedded") / name))


ENCODERS = {
    info.name: info
    for info in (
        EncoderInfo(
            "tiny",
            str(embedded_folder("tiny")),
            {"learning_rate": 5e-4, "epochs": 6},
            "2 layers x 128, pre-trained on film reviews; ships with robench",
        ),
        EncoderInfo("bert-base-uncased", "google-bert/bert-base-uncased", {}, "12 layers x 768 (Devlin et al. 2019); from the hub"),
        EncoderInfo("roberta-base", "FacebookAI/roberta-base", {}, "12 layers x 768 (Liu et al. 2019); from the hub"),
        EncoderInfo("distilbert-base-uncased", "distilbert/distilbert-base-uncased", {}, "6 layers x 768 (Sanh et al. 2019); from the hub"),
        EncoderInfo("electra-base", "google/electra-base-discriminator", {}, "12 layers x 768 (Clark et al. 2020); from the hub"),
        EncoderInfo("albert-base", "albert/albert-base-v2", {}, "12 shared layers x 768 (Lan et al. 2020); from the hub"),
        EncoderInfo("deberta-base", "microsoft/deberta-base", {}, "12 layers x 768 (He et al. 2021); from the hub"),
    )
}


def find_encoder(name: str) -> EncoderInfo:
    """The named encoder, or, for any other hub id or folder, one without recommendations."""
    return ENCODERS.get(name, EncoderInfo(name, name))
