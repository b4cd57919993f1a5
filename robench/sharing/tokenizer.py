"""RobenchTokenizer: texts to the token ids that a victim reads, with transformers' interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import BatchEncoding

from robench._base.pretrained import read_tokenizer
from robench.models.hub_model import RobenchConfig
from robench.models.victim import build_reader
from robench.models.victim_folder import CODE, CODE_FILE, TOKENIZER_CONFIG, TOKENIZER_FOLDER
from robench.protocol import get_protocol
from robench.text.encoding import EncodedText
from robench.text.punkt import EMBEDDED, check_punkt
from robench.text.words import split_words

_FIXED: dict[str, tuple[Any, ...]] = {
    "add_special_tokens": (True,),
    "truncation": (True, None, "longest_first", "only_first", "only_second"),
    "verbose": (True, False),
    "padding_side": ("right", None),
}
"""Options of transformers' tokenizers whose other values would change what the victim reads.

Options that are not here must be left away, or be None or False.
"""
_TOKENIZER_OPTIONS = {"use_fast", "_from_auto", "_commit_hash", "_from_pipeline", "config"}


class RobenchTokenizer:
    """Splits texts into robench's words, and lays out the victim's window.

    It is called as any tokenizer of transformers: with a text or a list of texts, and with their
    second texts as ``text_pair``. A task's fields can also be given by name.

    Every row has at most ``model_max_length`` tokens. Padding is on the right.

    Args:
        inner: the encoder's own tokenizer. Attributes that this class lacks are read from it.
        config: the victim's configuration.
    """

    padding_side = "right"

    def __init__(self, inner: Any, config: RobenchConfig) -> None:
        self.inner = inner
        self.config = config
        self.field_names: tuple[str, ...] = tuple(config.fields)
        self.model_max_length = int(config.max_tokens)
        check_punkt(getattr(config, "splitter", EMBEDDED), "This victim")
        protocol = get_protocol(config.protocol)
        self.model_input_names = ["input_ids", "attention_mask"]
        if protocol.pair_segments:
            self.model_input_names.insert(1, "token_type_ids")
        _, self._encoder = build_reader(
            inner, protocol, self.field_names, config.attackable, config.max_tokens
        )

    @classmethod
    def register_for_auto_class(cls, auto_class: str = "AutoTokenizer") -> None:
        """Change nothing: a registered class would copy this module into every saved folder."""

    @classmethod
    def from_pretrained(cls, location: Any, *args: Any, **options: Any) -> RobenchTokenizer:
        """Load the tokenizer of a victim from its folder or from the hub.

        Args:
            location: a folder or a hub id.
            args: not used.
            options: those of ``AutoTokenizer.from_pretrained``, such as ``revision``.
        """
        rest = {name: value for name, value in options.items() if name not in _TOKENIZER_OPTIONS}
        # The encoder's tokenizer is one of transformers' own, so it needs no code of the folder.
        rest.pop("trust_remote_code", None)
        config = RobenchConfig.from_pretrained(location, **rest, trust_remote_code=False)
        inner = read_tokenizer(
            location, subfolder=TOKENIZER_FOLDER, config=config.encoder_config(), **rest
        )
        return cls(inner, config)

    def save_pretrained(self, save_directory: Any, **options: Any) -> tuple[str, ...]:
        """Write the tokenizer in the layout of a victim's folder, and return the files' paths."""
        folder = Path(save_directory)
        self.inner.save_pretrained(folder / TOKENIZER_FOLDER)
        (folder / "tokenizer_config.json").write_text(
            json.dumps(TOKENIZER_CONFIG, indent=2) + "\n", encoding="utf-8"
        )
        (folder / CODE_FILE).write_text(CODE, encoding="utf-8")
        written = [*sorted((folder / TOKENIZER_FOLDER).glob("*")), folder / "tokenizer_config.json"]
        return tuple(map(str, written))

    def __call__(
        self,
        text: Any = None,
        text_pair: Any = None,
        *,
        padding: bool | str = False,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: Any = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        **options: Any,
    ) -> BatchEncoding:
        """Encode one text or a list of texts.

        Args:
            text: a text, a list of texts, or a list of pairs.
            text_pair: the second text of each, for a task with two fields.
            padding: as in transformers: ``True``, ``"longest"``, ``"max_length"`` or ``False``.
            max_length: the padded length with ``padding="max_length"``; at least the window.
            pad_to_multiple_of: as in transformers.
            return_tensors: ``"pt"`` or ``"np"``.
            return_token_type_ids: False leaves them out; True demands them.
            return_attention_mask: False leaves it out.
            options: the task's fields by name, and options of transformers without effect here.

        Raises:
            ValueError: the texts do not fit the task's fields, or an option would change what
                the victim reads.
        """
        by_name = {name: options.pop(name) for name in self.field_names if name in options}
        if by_name and "text" in self.field_names:
            # A field that is called as this method's own parameter.
            by_name, text = {**by_name, "text": text}, None
        self._check_options(options, max_length)
        single, rows = self._rows(text, text_pair, by_name)
        encoded = [self._encode(fields) for fields in rows]
        names = set(self.model_input_names)
        if return_token_type_ids is not None:
            names -= {"token_type_ids"}
            names |= {"token_type_ids"} if return_token_type_ids else set()
        data: dict[str, Any] = {"input_ids": [row.ids.tolist() for row in encoded]}
        if "token_type_ids" in names:
            data["token_type_ids"] = [row.token_types.tolist() for row in encoded]
        if return_attention_mask is not False:
            data["attention_mask"] = [[1] * len(row.ids) for row in encoded]
        if padding not in (False, "do_not_pad"):
            self._pad(data, padding, max_length, pad_to_multiple_of)
        if single and return_tensors is None:
            data = {name: values[0] for name, values in data.items()}
        return BatchEncoding(data, tensor_type=return_tensors)

    def pad(
        self,
        encoded_inputs: Any,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: Any = None,
        **options: Any,
    ) -> BatchEncoding:
        """Pad encoded texts on the right, as the data collators of transformers ask for."""
        if isinstance(encoded_inputs, Mapping):
            data = {name: list(values) for name, values in encoded_inputs.items()}
        else:
            data = {name: [row[name] for row in encoded_inputs] for name in encoded_inputs[0]}
        for name in ("input_ids", "token_type_ids", "attention_mask"):
            if name in data:
                data[name] = [np.asarray(row).tolist() for row in data[name]]
        data.setdefault("attention_mask", [[1] * len(row) for row in data["input_ids"]])
        if padding not in (False, "do_not_pad"):
            self._pad(data, padding, max_length, pad_to_multiple_of)
        return BatchEncoding(data, tensor_type=return_tensors)

    def tokenize(self, text: str, pair: str | None = None, **options: Any) -> list[str]:
        """Return the pieces that the victim reads, without special tokens."""
        ids = self(text, pair)["input_ids"]
        special = set(self.inner.all_special_ids) - {self.inner.unk_token_id}
        pieces: list[str] = self.inner.convert_ids_to_tokens([i for i in ids if i not in special])
        return pieces

    def encode(self, text: str, text_pair: str | None = None, **options: Any) -> Any:
        """Return the token ids of one text."""
        return self(text, text_pair, **options)["input_ids"]

    def __len__(self) -> int:
        return len(self.inner)

    def __getattr__(self, name: str) -> Any:
        # Before __init__ has run, for example while it is unpickled, there is no inner one.
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    def _check_options(self, options: Mapping[str, Any], max_length: int | None) -> None:
        if max_length is not None and max_length < self.model_max_length:
            raise ValueError(
                f"max_length={max_length} is shorter than the window of {self.model_max_length} "
                "tokens that this victim was trained with; leave max_length away."
            )
        for name, value in options.items():
            wanted = _FIXED.get(name, (None, False))
            if value not in wanted:
                raise ValueError(
                    f"RobenchTokenizer has no option {name}={value!r}: a victim of robench reads "
                    f"the fields {', '.join(self.field_names)} in a window of its own."
                )

    def _rows(
        self, text: Any, text_pair: Any, by_name: Mapping[str, Any]
    ) -> tuple[bool, list[dict[str, str]]]:
        """Return whether one text was given, and the fields of every text by name."""
        if by_name and text is None and text_pair is None:
            columns = [by_name.get(name) for name in self.field_names]
        elif text_pair is not None:
            columns = [text, text_pair]
        elif isinstance(text, str) or len(self.field_names) == 1:
            columns = [text]
        else:
            # A list of pairs.
            rows = [tuple(row) if not isinstance(row, str) else (row,) for row in text or [()]]
            columns = [list(column) for column in zip(*rows, strict=True)]
        complete = [column for column in columns if column is not None]
        if len(complete) != len(self.field_names):
            raise ValueError(
                f"This victim reads {len(self.field_names)} texts "
                f"({', '.join(self.field_names)}); give as many."
                + (" Two texts are text and text_pair." if len(self.field_names) == 2 else "")
            )
        single = isinstance(complete[0], str)
        lists = [[column] if isinstance(column, str) else list(column) for column in complete]
        if len({len(column) for column in lists}) > 1:
            raise ValueError("The lists of first and second texts have different lengths.")
        return single, [
            dict(zip(self.field_names, row, strict=True)) for row in zip(*lists, strict=True)
        ]

    def _encode(self, fields: Mapping[str, str]) -> EncodedText:
        return self._encoder.encode_text({name: split_words(text) for name, text in fields.items()})

    def _pad(
        self,
        data: dict[str, Any],
        padding: bool | str,
        max_length: int | None,
        multiple: int | None,
    ) -> None:
        """Pad every list of ``data`` in place."""
        length = max(map(len, data["input_ids"]), default=0)
        if padding == "max_length":
            length = max(length, max_length or self.model_max_length)
        if multiple:
            length = -(-length // multiple) * multiple
        values = {"input_ids": self.inner.pad_token_id, "token_type_ids": 0, "attention_mask": 0}
        for name in data.keys() & values.keys():
            data[name] = [row + [values[name]] * (length - len(row)) for row in data[name]]
