"""Victim: a fine-tuned classifier with its tokenisation, asked in one place, kept in the Hugging Face layout."""

from __future__ import annotations

import hashlib
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
from robench.models.probabilities import softmax
from robench.protocol import Protocol, get_protocol
from robench.text.encoding import FieldEncoder, Reading
from robench.text.word_table import WordTable
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.search.whitebox import HullQuery

SCHEMA = 1
CARD = "victim.json"
HEAD = "head.safetensors"
LOG = "training.json"
TEXTS_AT_ONCE = 8
"""Rows of every forward outside searches: no fewer, for a CPU takes other kernels below (``robench.search.batching``)."""
_NOT_HASHED = {CARD, LOG}


class Victim:
    """What attacks attack: texts or token ids in, probabilities out; always in eval mode.

    Args:
        model: moved to ``device`` and put in eval mode.
        tokenizer: the encoder's.
        card: what ``victim.json`` holds: ``name, task, labels, attackable, fields, max_tokens, protocol, hidden`` and where it came from.
        device: a torch device string.

    Attributes:
        table, encoder_fields: words -> token ids -> rows, as the protocol says.
        segments: whether the model is shown token types.
        protocol, task, labels, attackable, name, sha256: of the card; ``sha256`` is that of the weight files, empty before ``save``.
    """

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
        """The one place where the model is asked.

        Args:
            ids: ``(batch, tokens)`` token ids, special tokens included, filled up on the right with ``table.pad_id``.
            lengths: ``(batch,)`` tokens of each row.
            types: ``(batch, tokens)`` or ``(tokens,)`` token types, None for none.
            precision: ``"bf16"`` runs under autocast.

        Returns:
            ``(batch, classes)``. The last bits of a row can depend on how many rows are asked together: ask in canonical shapes where that matters.
        """
        inputs = torch.as_tensor(np.asarray(ids, dtype=np.int64), device=self.device)
        mask = (
            torch.arange(inputs.shape[1], device=self.device)
            < torch.as_tensor(np.asarray(lengths, dtype=np.int64), device=self.device)[:, None]
        )
        token_types = None
        if types is not None and self.segments:
            token_types = torch.as_tensor(
                np.broadcast_to(np.asarray(types, dtype=np.int64), inputs.shape).copy(),
                device=self.device,
            )
        if self.model.training:  # a model under training that is asked between two epochs; asking every module takes a while
            self.model.eval()
        with (
            torch.inference_mode(),
            torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bf16"),
        ):
            logits = self.model(inputs, mask.long(), token_types)
        result: NDArray[np.float32] = logits.float().cpu().numpy()
        return result

    def read(self, fields: Mapping[str, str]) -> Reading:
        """Split one text, every field of it by name, into words and these into tokens."""
        return self.encoder_fields.reading(
            {name: split_words(text) for name, text in fields.items()}
        )

    def probs_of_texts(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.float32]:
        """Probabilities from the strings up, in fp32, ``(texts, classes)``.

        Every text goes through the model unpadded, in a forward of ``TEXTS_AT_ONCE`` rows of its own length, so that its answer does not depend on
        the texts that are asked about with it.

        Args:
            texts: every field of each text by name.
        """
        rows = [self.read(fields) for fields in texts]
        by_length: dict[int, list[int]] = {}
        for number, row in enumerate(rows):
            by_length.setdefault(len(row.ids), []).append(number)
        logits = np.zeros((len(rows), len(self.labels)), dtype=np.float32)
        for length, numbers in by_length.items():
            for start in range(0, len(numbers), TEXTS_AT_ONCE):
                asked = numbers[start : start + TEXTS_AT_ONCE]
                full = asked + asked[:1] * (TEXTS_AT_ONCE - len(asked))
                ids, types = (
                    np.asarray([rows[number].ids for number in full]),
                    np.asarray([rows[number].token_types for number in full]),
                )
                logits[asked] = self.logits(ids, np.full(TEXTS_AT_ONCE, length), types)[
                    : len(asked)
                ]
        return softmax(logits)

    def hull(self, question: HullQuery) -> NDArray[np.float32]:
        """See ``robench.search.whitebox.WhiteBoxVictim``: ``(tokens, slots)``, in fp32."""
        return worst_mixture(self.model, question, self.device, segments=self.segments)

    def predict(self, texts: Sequence[Mapping[str, str]]) -> NDArray[np.intp]:
        """Index of the likeliest label of each text, ``(texts,)``."""
        best: NDArray[np.intp] = self.probs_of_texts(texts).argmax(-1)
        return best

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the model's parameters."""
        return sum(
            parameter.numel() * parameter.element_size() for parameter in self.model.parameters()
        )

    def row_cost(self, texts: Sequence[Mapping[str, str]]) -> float:
        """Of a row, on the mean of ``texts``: parameters that every token goes through (all but the embeddings, which are looked up) x tokens, about."""
        parameters: int = sum(parameter.numel() for parameter in self.model.parameters())
        parameters -= sum(
            parameter.numel() for parameter in self.model.encoder.embeddings.parameters()
        )
        words = [
            min(sum(len(text.split()) for text in fields.values()), self.encoder_fields.max_tokens)
            for fields in texts
        ]
        return parameters * max(1.0, sum(words) / max(len(words), 1))

    def save(self, folder: Path) -> None:
        """Write encoder, tokenizer, head and card into ``folder`` (made if need be); sets ``sha256``. Not atomic: see ``training.fit``."""
        from safetensors.torch import save_file

        try:
            folder.mkdir(parents=True, exist_ok=True)
            with quiet_models():
                self.model.encoder.save_pretrained(folder)
                self.tokenizer.save_pretrained(folder)
            save_file(
                {
                    name: tensor.contiguous().cpu()
                    for name, tensor in self.model.head.state_dict().items()
                },
                folder / HEAD,
            )
            files = {
                path.name: _file_hash(path)
                for path in sorted(folder.iterdir())
                if path.is_file() and path.name not in _NOT_HASHED
            }
            self.sha256 = weights_hash(files)
            self.card |= {
                "schema": SCHEMA,
                "hidden": self.model.head[0].out_features,
                "sha256": self.sha256,
                "files": files,
            }
            (folder / CARD).write_text(
                json.dumps(self.card, indent=2, sort_keys=True, allow_nan=False) + "\n",
                encoding="utf-8",
            )
        except OSError as error:
            raise RobenchError(
                f"The victim could not be written to '{folder}' ({error}). Free some space or choose another --out."
            ) from error

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Victim:
        """Read a victim that ``save`` wrote; never asks the network.

        Raises:
            RobenchError: a file is missing, torn or not what the card says; the sentence names it.
        """
        card = read_card(folder)
        for name, expected in card["files"].items():
            path = folder / name
            if not path.is_file():
                raise RobenchError(
                    f"The victim in '{folder}' has lost its file '{name}'. {_REMEDY}"
                )
            if _file_hash(path) != expected:
                raise RobenchError(
                    f"'{path}' is damaged: its SHA-256 is not the one that '{CARD}' holds. {_REMEDY}"
                )
        try:
            return cls(_read_model(folder, card), _read_tokenizer(folder), card, device)
        except RobenchError:
            raise
        except Exception as error:  # transformers and safetensors raise what they like
            raise RobenchError(
                f"The victim in '{folder}' cannot be loaded ({first_line(error)}). {_REMEDY}"
            ) from error


_REMEDY = "Delete that folder, or use --retrain."


def build_reader(
    tokenizer: Any, protocol: Protocol, fields: Sequence[str], attackable: str, max_tokens: int
) -> tuple[WordTable, FieldEncoder]:
    """How a victim reads: words -> token ids, and fields -> one row of at most ``max_tokens`` tokens."""
    table = WordTable(tokenizer, protocol.tokens)
    return table, FieldEncoder(
        table, fields, attackable, max_tokens, segments=protocol.pair_segments
    )


def weights_hash(files: Mapping[str, str]) -> str:
    """One SHA-256 for a victim's weights, from those of its safetensors files."""
    lines = "".join(
        f"{name} {digest}\n"
        for name, digest in sorted(files.items())
        if name.endswith(".safetensors")
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_card(folder: Path) -> dict[str, Any]:
    """What ``victim.json`` in ``folder`` holds, without loading the victim; raises RobenchError where it is missing or damaged."""
    path = folder / CARD
    try:
        card = dict(json.loads(path.read_text(encoding="utf-8")))
        missing = {
            "name",
            "task",
            "labels",
            "attackable",
            "fields",
            "max_tokens",
            "protocol",
            "hidden",
            "sha256",
            "files",
        } - set(card)
    except FileNotFoundError as error:
        raise RobenchError(
            f"'{folder}' holds no victim: there is no '{CARD}'. {_REMEDY}"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise RobenchError(f"'{path}' is damaged ({error}). {_REMEDY}") from error
    if card.get("schema") != SCHEMA:
        raise RobenchError(
            f"'{path}' has schema {card.get('schema')!r}, this robench reads {SCHEMA}. {_REMEDY}"
        )
    if missing:
        raise RobenchError(f"'{path}' lacks {', '.join(sorted(missing))}. {_REMEDY}")
    result: dict[str, Any] = card
    return result


def _read_model(folder: Path, card: Mapping[str, Any]) -> TextClassifier:
    from safetensors.torch import load_file
    from transformers import AutoModel

    with quiet_models():
        encoder = AutoModel.from_pretrained(folder, local_files_only=True, dtype="float32")
    model = TextClassifier(encoder, len(card["labels"]), card["hidden"])
    model.head.load_state_dict(load_file(folder / HEAD))
    return model


def _read_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
