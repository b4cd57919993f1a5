"""Victim: a fine-tuned classifier with its tokenisation, saved in the Hugging Face layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.errors import RobenchError, first_line
from robench._base.quiet import quiet_models
from robench.models.classifier import TextClassifier
from robench.models.convex_hull import worst_mixture
from robench.models.judged import VictimKind
from robench.models.saliency import margin_gradient
from robench.models.victim_folder import (
    CARD,
    CONFIG,
    HEAD,
    REMEDY,
    SCHEMA,
    TOKENIZER_CONFIG,
    TOKENIZER_FOLDER,
    WEIGHTS,
    check_files,
    file_hashes,
    read_card,
    weights_hash,
)
from robench.models.whole_texts import probs_of_rows
from robench.protocol import Protocol, get_protocol
from robench.text.encoding import EncodedText, FieldEncoder
from robench.text.word_table import WordTable
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.models.gradient_query import GradientQuery
    from robench.models.hull_query import HullQuery

__all__ = ["CARD", "Victim", "build_reader", "read_card"]


class Victim:
    """A classifier under attack: it takes texts or token ids and is always in eval mode.

    Args:
        model: moved to ``device`` and put in eval mode.
        tokenizer: the encoder's.
        card: the contents of ``victim.json``: ``name, task, labels, attackable, fields,
            max_tokens, protocol, hidden`` and where the victim came from.
        device: a torch device string.

    Attributes:
        table, encoder_fields: words -> token ids -> rows, as the protocol prescribes.
        segments: whether the model gets token types.
        protocol, task, labels, attackable, name, sha256: from the card. ``sha256`` is that of
            the weight files, and empty before ``save``.
    """

    kind: VictimKind = "trained"
    portable = True

    def __init__(
        self, model: TextClassifier, tokenizer: Any, card: Mapping[str, Any], device: str = "cpu"
    ) -> None:
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.card = dict(card)
        self.device = device
        self.protocol: Protocol = get_protocol(card["protocol"])
        self.name: str = card["name"]
        self.task: str = card["task"]
        self.segments = self.protocol.pair_segments
        self.labels: tuple[str, ...] = tuple(card["labels"])
        self.attackable: str = card["attackable"]
        self.sha256: str = card.get("sha256", "")
        self.table, self.encoder_fields = build_reader(
            tokenizer, self.protocol, card["fields"], self.attackable, card["max_tokens"]
        )

    def logits(
        self,
        ids: NDArray[np.integer[Any]],
        lengths: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]] | None = None,
        precision: Precision = "fp32",
    ) -> NDArray[np.float32]:
        """Run the model on rows of token ids; all searches and verdicts use this method.

        Args:
            ids: ``(batch, tokens)`` token ids, special tokens included, padded on the right with
                ``table.pad_id``.
            lengths: ``(batch,)`` tokens of each row.
            types: ``(batch, tokens)`` or ``(tokens,)`` token types, None for none.
            precision: ``"bf16"`` runs under autocast.

        Returns:
            Logits ``(batch, classes)``. The last bits of a row can depend on how many rows share
            the forward. Use canonical shapes where that matters.
        """
        inputs = torch.as_tensor(np.asarray(ids, dtype=np.int64), device=self.device)
        real = torch.as_tensor(np.asarray(lengths, dtype=np.int64), device=self.device)
        mask = torch.arange(inputs.shape[1], device=self.device) < real[:, None]
        token_types = None
        if types is not None and self.segments:
            full = np.broadcast_to(np.asarray(types, dtype=np.int64), inputs.shape).copy()
            token_types = torch.as_tensor(full, device=self.device)
        # A model may be asked between two epochs of its training. The flag of the model is
        # checked first, because eval() visits every module.
        if self.model.training:
            self.model.eval()
        with (
            torch.inference_mode(),
            torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            logits = self.model(inputs, mask.long(), token_types)
        result: NDArray[np.float32] = logits.float().cpu().numpy()
        return result

    def read(self, fields: Mapping[str, str]) -> EncodedText:
        """Split one text, given as all its fields by name, into words and these into tokens."""
        words = {name: split_words(text) for name, text in fields.items()}
        return self.encoder_fields.encode_text(words)

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """Return the probabilities of strings, ``(texts, classes)``, in fp32.

        The probabilities of a text do not depend on the other texts.

        Args:
            texts: all fields of each text, by name.
        """
        rows = [self.read(fields) for fields in texts]
        return probs_of_rows(self.logits, rows, len(self.labels))

    def hull(self, query: HullQuery) -> NDArray[np.float32]:
        """Return mixture weights ``(tokens, slots)`` in fp32; see ``WhiteBoxVictim``."""
        return worst_mixture(self.model, query, self.device, segments=self.segments)

    def gradient(self, query: GradientQuery) -> NDArray[np.float32]:
        """Return the margin's gradient ``(tokens, width)`` in fp32; see ``WhiteBoxVictim``."""
        return margin_gradient(self.model, query, self.device, segments=self.segments)

    def predict(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.intp]:
        """Return the index of each text's likeliest label, ``(texts,)``."""
        best: NDArray[np.intp] = self.probs_of_texts(texts).argmax(-1)
        return best

    @property
    def vocabulary(self) -> int:
        """Number of token ids that the encoder knows."""
        return int(self.model.encoder.config.vocab_size)

    @property
    def parameter_bytes(self) -> int:
        """Size of the model's parameters in bytes."""
        return sum(each.numel() * each.element_size() for each in self.model.parameters())

    def row_cost(self, texts: Sequence[Mapping[str, str]]) -> float:
        """Estimate the cost of one forward row: parameters x mean token count of ``texts``.

        Embeddings are left out, because they are looked up.
        """
        embeddings = self.model.encoder.embeddings
        parameters: int = sum(each.numel() for each in self.model.parameters())
        parameters -= sum(each.numel() for each in embeddings.parameters())
        longest = self.encoder_fields.max_tokens
        words = 0
        for fields in texts:
            words += min(sum(len(text.split()) for text in fields.values()), longest)
        return parameters * max(1.0, words / max(len(texts), 1))

    def save(self, folder: Path) -> None:
        """Write encoder, tokenizer, head and card into ``folder``, and set ``sha256``.

        The folder is created where it is missing. The write is not atomic; ``training.fit``
        makes it so.

        Raises:
            RobenchError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        try:
            folder.mkdir(parents=True, exist_ok=True)
            with quiet_models():
                self.tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
                self._save_config(folder)
            save_file(self._tensors(), folder / WEIGHTS, metadata={"format": "pt"})
            self._write_card(folder)
        except OSError as error:
            raise RobenchError(
                f"The victim could not be written to '{folder}' ({error}). "
                "Free some space or choose another --out."
            ) from error

    @property
    def _hidden(self) -> int:
        """Width of the head's hidden layer."""
        first: Any = self.model.head[0]
        return int(first.out_features)

    def _save_config(self, folder: Path) -> None:
        """Write what makes the folder one that transformers can load."""
        from robench.models.hub_model import config_for

        config_for(self.model.encoder, self.card, self._hidden).save_pretrained(folder)
        content = json.dumps(TOKENIZER_CONFIG, indent=2) + "\n"
        (folder / "tokenizer_config.json").write_text(content, encoding="utf-8")

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Return the weights under the names that ``RobenchForSequenceClassification`` uses."""
        tensors = {}
        for part in ("encoder", "head"):
            for name, tensor in getattr(self.model, part).state_dict().items():
                # A copy: safetensors refuses tensors that share their memory.
                tensors[f"classifier.{part}.{name}"] = tensor.cpu().clone().contiguous()
        return tensors

    def _write_card(self, folder: Path) -> None:
        """Hash the files in ``folder`` and write the card beside them."""
        files = file_hashes(folder)
        self.sha256 = weights_hash(files)
        self.card |= {
            "schema": SCHEMA,
            "hidden": self._hidden,
            "sha256": self.sha256,
            "files": files,
        }
        content = json.dumps(self.card, indent=2, sort_keys=True, allow_nan=False)
        (folder / CARD).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", remedy: str = REMEDY) -> Victim:
        """Read a victim that ``save`` wrote.

        This never uses the network, and it never runs code of the folder.

        Args:
            folder: the victim's folder, also one that an older robench wrote.
            device: a torch device string.
            remedy: what to do about a bad folder; the last sentence of an error.

        Raises:
            RobenchError: a file is missing, incomplete or not the one on the card; the message
                names it.
        """
        card = read_card(folder, remedy)
        check_files(folder, card, remedy)
        # transformers and safetensors raise errors of many types.
        try:
            old = card["schema"] == 1
            model = _read_old_model(folder, card) if old else _read_model(folder, card)
            tokenizer = _read_tokenizer(folder if old else folder / TOKENIZER_FOLDER)
            return cls(model, tokenizer, card, device)
        except RobenchError:
            raise
        except Exception as error:
            raise RobenchError(
                f"The victim in '{folder}' cannot be loaded ({first_line(error)}). {remedy}"
            ) from error


def build_reader(
    tokenizer: Any, protocol: Protocol, fields: Sequence[str], attackable: str, max_tokens: int
) -> tuple[WordTable, FieldEncoder]:
    """Build what a victim reads with.

    Returns:
        The table from words to token ids, and the encoder from fields to one row of at most
        ``max_tokens`` tokens.
    """
    table = WordTable(tokenizer, protocol.tokens)
    encoder = FieldEncoder(table, fields, attackable, max_tokens, segments=protocol.pair_segments)
    return table, encoder


def _read_model(folder: Path, card: Mapping[str, Any]) -> TextClassifier:
    from safetensors.torch import load_file

    from robench.models.hub_model import RobenchConfig, RobenchForSequenceClassification

    config = RobenchConfig.from_json_file(folder / CONFIG)
    labels = [config.id2label[index] for index in range(config.num_labels)]
    if labels != list(card["labels"]):
        raise RobenchError(
            f"'{folder / CONFIG}' has the labels {labels}, but '{CARD}' has {card['labels']}."
        )
    # The weights are given as tensors: from a folder, transformers might read other files too.
    with quiet_models():
        model = RobenchForSequenceClassification.from_pretrained(
            None, config=config, state_dict=load_file(folder / WEIGHTS), dtype="float32"
        )
    classifier: TextClassifier = model.classifier
    return classifier


def _read_old_model(folder: Path, card: Mapping[str, Any]) -> TextClassifier:
    """Read a model of schema 1: the encoder's own files, and the head in a file of its own."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    with quiet_models():
        encoder = AutoModel.from_pretrained(
            folder, local_files_only=True, dtype="float32", trust_remote_code=False
        )
    model = TextClassifier(encoder, len(card["labels"]), card["hidden"])
    model.head.load_state_dict(load_file(folder / HEAD))
    return model


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
