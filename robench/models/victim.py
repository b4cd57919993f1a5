"""Victim: a fine-tuned classifier with its tokenisation, saved in the Hugging Face layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from robench._base.environment import Precision
from robench._base.errors import RobenchError, UsageError, first_line
from robench._base.files import sync_tree
from robench._base.quiet import quiet_models
from robench._base.seals import with_seal
from robench.models.classifier import TextClassifier
from robench.models.convex_hull import worst_mixture
from robench.models.device_queue import DeviceQueue
from robench.models.judged import VictimKind
from robench.models.saliency import margin_gradient
from robench.models.smoothed import counted, mean_logits, mixture_noise, single_rows, vote_logits
from robench.models.smoothed_gradients import smoothed_gradient, smoothed_mixture
from robench.models.smoother import Smoother, Variants
from robench.models.smoothing import Smoothing
from robench.models.victim_folder import (
    CARD,
    REMEDY,
    SCHEMA,
    TOKENIZER_CONFIG,
    TOKENIZER_FOLDER,
    WEIGHTS,
    checked_card,
    file_hashes,
    read_card,
    weights_hash,
)
from robench.models.victim_parts import read_model, read_old_model, read_tokenizer
from robench.models.victim_reader import build_reader
from robench.models.whole_texts import probs_of_rows
from robench.protocol import Protocol, get_protocol
from robench.text.encoding import EncodedText
from robench.text.punkt import check_punkt
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
        smoother: draws the variants of a randomised victim; None for any other.

    Attributes:
        smoother: as given.
        table, encoder_fields: words -> token ids -> rows, as the protocol prescribes.
        segments: whether the model gets token types.
        protocol, task, labels, attackable, name, sha256: from the card. ``sha256`` is that of
            the weight files, and empty before ``save``.
    """

    kind: VictimKind = "trained"
    portable = True

    def __init__(
        self,
        model: TextClassifier,
        tokenizer: Any,
        card: Mapping[str, Any],
        device: str = "cpu",
        smoother: Smoother | None = None,
    ) -> None:
        self.smoother = smoother
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

        A smoothed victim answers with the logarithm of the mean probability of the variants of
        each row. It makes one forward pass of this shape for each variant, so the memory does not
        grow with their number, and a row's answer depends on its company no more than without
        smoothing.

        Args:
            ids: ``(batch, tokens)`` token ids, special tokens included, padded on the right with
                ``table.pad_id``.
            lengths: ``(batch,)`` tokens of each row.
            types: ``(batch, tokens)`` or ``(tokens,)`` token types, None for none.
            precision: ``"bf16"`` runs under autocast (searches on a GPU: ``forward_queue``).

        Returns:
            Logits ``(batch, classes)``. The last bits of a row can depend on how many rows share
            the forward. Use canonical shapes where that matters.
        """
        if self.smoother is None:
            return self._forward(
                Variants(np.asarray(ids, dtype=np.int64)), lengths, types, precision
            )
        smoothing = self.smoother.smoothing
        drawn = self.smoother.variants(ids, lengths, smoothing.seed)
        answers = (
            self._forward(variants, lengths, types, precision)
            for variants in islice(drawn, smoothing.draws)
        )
        return mean_logits(answers) if smoothing.answer == "mean" else vote_logits(answers)

    def forward_queue(self) -> DeviceQueue | None:
        """Return a queue of forward passes; None on a CPU, and for a randomised victim."""
        if self.smoother is not None or not self.device.startswith("cuda"):
            return None
        return DeviceQueue(self.model.eval(), self.device, self.segments)

    def _forward(
        self,
        variants: Variants,
        lengths: NDArray[np.integer[Any]],
        types: NDArray[np.integer[Any]] | None,
        precision: Precision,
    ) -> NDArray[np.float32]:
        """Run one forward pass of the classifier itself; the shapes are those of ``logits``."""
        inputs = torch.as_tensor(variants.ids, device=self.device)
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
            if variants.slots is None:
                logits = self.model(inputs, mask.long(), token_types)
            else:
                noise = mixture_noise(self.model, variants)
                features = self.model.features_under_noise(noise, inputs, mask.long(), token_types)
                logits = self.model.classify(features)
        result: NDArray[np.float32] = logits.float().cpu().numpy()
        return result

    @property
    def smoothing(self) -> Smoothing | None:
        """How a randomised victim answers; None for any other victim."""
        return None if self.smoother is None else self.smoother.smoothing

    @property
    def unsmoothed(self) -> Victim:
        """The classifier itself, which answers about the text as it is."""
        plain = copy(self)
        plain.smoother = None
        return plain

    @property
    def forwards_per_row(self) -> int:
        """How many rows of the classifier one answer takes."""
        return 1 if self.smoother is None else self.smoother.smoothing.draws

    def drawn_logits(self, row: EncodedText, draws: int, seed: int) -> NDArray[np.float32]:
        """Return the classifier's logits of random variants of one text, ``(draws, classes)``.

        The variants are those of ``smoothing``, but their number and their seed are free. So
        certificates can use as many fresh ones as they need. The answer follows from the row, the
        seed and the position of the draw: fewer draws are the first of more.

        Args:
            row: the text, as ``read`` returns it.
            draws: number of variants (>= 1).
            seed: of the draws (>= 0); another seed gives independent variants.

        Raises:
            UsageError: the victim is not randomised.
        """
        if self.smoother is None:
            raise UsageError(f"Victim '{self.name}' is not randomised, so nothing can be drawn.")
        parts = [
            self._forward(variants, lengths, row.token_types[None], "fp32")
            for variants, lengths in single_rows(self.smoother, row, draws, seed, self.device)
        ]
        return np.concatenate(parts)[:draws]

    def vote_counts(self, row: EncodedText, draws: int, seed: int) -> NDArray[np.int64]:
        """Return how many random variants of one text get each label, ``(classes,)``.

        The arguments and errors are those of ``drawn_logits``.
        """
        return counted(self.drawn_logits(row, draws, seed))

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
        if self.smoother is None:
            return worst_mixture(self.model, query, self.device, segments=self.segments)
        return smoothed_mixture(
            self.model, query, self.smoother, self.device, segments=self.segments
        )

    def gradient(self, query: GradientQuery) -> NDArray[np.float32]:
        """Return the margin's gradient ``(tokens, width)`` in fp32; see ``WhiteBoxVictim``."""
        if self.smoother is None:
            return margin_gradient(self.model, query, self.device, segments=self.segments)
        return smoothed_gradient(
            self.model, query, self.smoother, self.device, segments=self.segments
        )

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
        """Estimate the cost of one answer: parameters x mean token count of ``texts``.

        Embeddings are left out, because they are looked up. The variants of a smoothed victim
        count.
        """
        embeddings = self.model.encoder.embeddings
        parameters: int = sum(each.numel() for each in self.model.parameters())
        parameters -= sum(each.numel() for each in embeddings.parameters())
        longest = self.encoder_fields.max_tokens
        words = 0
        for fields in texts:
            words += min(sum(len(text.split()) for text in fields.values()), longest)
        return self.forwards_per_row * parameters * max(1.0, words / max(len(texts), 1))

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
            if self.smoother is not None:
                self.smoother.save(folder)
            self._write_card(folder)
            sync_tree(folder)
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

        smoothing = None if self.smoothing is None else self.smoothing.to_card()
        config = config_for(self.model.encoder, self.card, self._hidden, smoothing)
        config.save_pretrained(folder)
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
        if self.smoothing is not None:
            self.card["smoothing"] = self.smoothing.to_card()
        content = json.dumps(with_seal(self.card), indent=2, sort_keys=True, allow_nan=False)
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
        card = checked_card(folder, remedy)
        check_punkt(card.get("ingredients", {}).get("splitter"), f"The victim in '{folder}'")
        # transformers and safetensors raise errors of many types.
        try:
            old = card["schema"] == 1
            model = read_old_model(folder, card) if old else read_model(folder, card)
            tokenizer = read_tokenizer(folder if old else folder / TOKENIZER_FOLDER)
            victim = cls(model, tokenizer, card, device)
            victim.smoother = Smoother.load(folder, card, victim.encoder_fields)
            return victim
        except RobenchError:
            raise
        except Exception as error:
            raise RobenchError(
                f"The victim in '{folder}' cannot be loaded ({first_line(error)}). {remedy}"
            ) from error
