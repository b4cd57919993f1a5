"""Read the parts of a saved victim: its classifier and its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robench._base import pretrained
from robench._base.errors import RobenchError, first_line
from robench._base.foreign_code import ModelFiles, check_config, check_model, check_tokenizer
from robench._base.quiet import quiet_models
from robench.models.victim_folder import CARD, CONFIG, HEAD, REMEDY, WEIGHTS

if TYPE_CHECKING:
    from robench.models.classifier import TextClassifier


def read_model(folder: Path, card: Mapping[str, Any]) -> TextClassifier:
    """Read the classifier of a victim's folder.

    Raises:
        RobenchError: its labels are not those of the card, or its weights are not complete.
    """
    from safetensors.torch import load_file

    from robench.models.hub_model import RobenchConfig, RobenchForSequenceClassification

    try:
        raw = _files(folder).json(CONFIG)
    except RobenchError as error:
        # The folder is that of a run, so this is no wrong input of the user.
        raise RobenchError(f"{first_line(error)}. {REMEDY}") from error
    # The names of code in the folder's own config.json are for transformers, not for robench.
    check_config(_files(folder), {**raw, "auto_map": None, "encoder": None}, ())
    if isinstance(raw.get("encoder"), dict):
        check_config(_files(folder), raw["encoder"], ("AutoModel",))
    config = RobenchConfig.from_json_file(folder / CONFIG)
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if labels != list(card["labels"]):
        raise RobenchError(
            f"'{folder / CONFIG}' has the labels {labels}, but '{CARD}' has {card['labels']}."
        )
    # The weights are given as tensors: from a folder, transformers might read other files too.
    with quiet_models():
        model = RobenchForSequenceClassification.from_pretrained(
            None,
            config=config,
            state_dict=load_file(folder / WEIGHTS),
            dtype="float32",
            trust_remote_code=False,
        )
    classifier: TextClassifier = model.classifier
    return classifier


def read_old_model(folder: Path, card: Mapping[str, Any]) -> TextClassifier:
    """Read a model of schema 1: the encoder's own files, and the head in a file of its own."""
    from safetensors.torch import load_file

    from robench.models.classifier import TextClassifier

    check_model(_files(folder), ("AutoModel",))
    with quiet_models():
        encoder = pretrained.read_model("AutoModel", folder, local_files_only=True, dtype="float32")
    model = TextClassifier(encoder, len(card["labels"]), card["hidden"])
    model.head.load_state_dict(load_file(folder / HEAD))
    return model


def read_tokenizer(folder: Path) -> Any:
    """Read the tokenizer in ``folder``."""
    check_tokenizer(_files(folder))
    return pretrained.read_tokenizer(folder, local_files_only=True)


def _files(folder: Path) -> ModelFiles:
    """Return the files of a victim or of its tokenizer, for the checks for foreign code."""
    return ModelFiles(
        f"The victim in '{folder}'",
        str(folder),
        lambda name: folder / name if (folder / name).is_file() else None,
        never="and robench runs no code of a victim's folder. Do not trust that folder.",
    )
