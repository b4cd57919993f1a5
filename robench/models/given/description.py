"""Describe a given model from its configuration and tokenizer, and refuse what cannot be judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from robench._base.errors import UsageError, first_line
from robench._base.foreign_code import check_model, check_tokenizer
from robench._base.pretrained import make_model, read_config
from robench._base.quiet import quiet_models
from robench.models.encoders import EncoderInfo, fingerprint, load_tokenizer, resolve_file
from robench.models.given.labels import match_labels
from robench.models.given.source import GivenSource
from robench.models.given.window import cuts_from_left
from robench.models.victim_folder import CARD

UNBOUNDED_WINDOW = 512
"""Window in tokens of a model that takes texts of any length, such as XLNet."""
_SANE = 1_000_000
"""Tokenizers without a bound give a number beyond this one."""
_POSITION_TABLES = ("position_embeddings", "embed_positions", "wpe")
_HEAD = "ForSequenceClassification"


@dataclass(frozen=True)
class GivenInfo:
    """What the small files of a given model tell.

    Attributes:
        source: where it lies.
        architecture: name of the model's class, such as ``"RobertaForSequenceClassification"``.
        max_tokens: the model's own window, special tokens included.
        order: for each label of the task, the number of the model's logit.
        model_labels: the model's names of its labels, in the order of its logits.
        foreign_code: whether code of the model's folder runs, which the user has allowed.
    """

    source: GivenSource
    architecture: str
    max_tokens: int
    order: tuple[int, ...]
    model_labels: tuple[str, ...]
    config: Any = field(repr=False, compare=False)
    tokenizer: Any = field(repr=False, compare=False)
    foreign_code: bool = False

    @cached_property
    def sha256(self) -> str:
        """Hash of configuration, tokenizer, weights and code that runs.

        A hub model is downloaded for it.
        """
        return fingerprint(files_of(self.source), self.foreign_code)

    @property
    def label_pairs(self) -> dict[str, str]:
        """The model's name of each label -> the task's name, in the task's order."""
        names = [self.model_labels[number] for number in self.order]
        return dict(zip(names, self.source.labels, strict=True))


def files_of(source: GivenSource) -> EncoderInfo:
    """Return how the model's files are named and found."""
    return EncoderInfo(
        source.title, source.location, noun="Model", foreign_code=source.foreign_code
    )


def labels_of(location: str, foreign_code: bool = False) -> tuple[str, ...]:
    """Return a given model's own names of its labels, in its own order.

    Args:
        location: a folder or a hub id.
        foreign_code: whether code of the model's folder may run.

    Raises:
        UsageError: it cannot be found or read, or it does not give one label to a text.
    """
    source = GivenSource(location, (), (), "", foreign_code=foreign_code)
    _check_folder(source)
    config = _read_config(source, _needs_code(source))
    _check_head(source.title, config)
    return tuple(str(config.id2label[index]) for index in range(int(config.num_labels)))


def describe_given(source: GivenSource) -> GivenInfo:
    """Read a given model's configuration and tokenizer, not its weights.

    Raises:
        UsageError: it cannot be found, it has no head for one label of a text, or its labels do
            not match those of the task.
    """
    name = source.title
    if len(source.fields) > 2:
        raise UsageError(
            f"Model '{name}' reads one text or a pair, but the task has {len(source.fields)} "
            f"fields: {', '.join(source.fields)}."
        )
    _check_folder(source)
    code = _needs_code(source)
    config = _read_config(source, code)
    _check_head(name, config)
    number = int(config.num_labels)
    model_labels = tuple(str(config.id2label[index]) for index in range(number))
    order = match_labels(name, model_labels, source.labels, source.label_map)
    tokenizer = load_tokenizer(files_of(source))
    _check_side(name, tokenizer)
    model = _skeleton(name, config, code)
    return GivenInfo(
        source=source,
        architecture=type(model).__name__,
        max_tokens=_window(tokenizer, config, model),
        order=order,
        model_labels=model_labels,
        config=config,
        tokenizer=tokenizer,
        foreign_code=code or check_tokenizer(files_of(source).model_files),
    )


def _needs_code(source: GivenSource) -> bool:
    """Return whether the model needs code of its folder, and refuse it if that is not allowed."""
    files = files_of(source)
    code = check_model(files.model_files, (f"AutoModel{_HEAD}",))
    resolve_file(files, "config.json")
    return code


def _check_folder(source: GivenSource) -> None:
    folder = Path(source.location)
    if (folder / CARD).is_file():
        raise UsageError(
            f"'{folder}' is a victim that robench trained, which needs its own head: "
            "load it as a saved victim, not as a given model."
        )


def _read_config(source: GivenSource, code: bool) -> Any:
    try:
        with quiet_models():
            return read_config(source.location, code)
    except Exception as error:
        raise UsageError(
            f"The configuration of '{source.title}' cannot be read by the installed transformers "
            f"({first_line(error)})."
        ) from error


def _check_head(name: str, config: Any) -> None:
    """Refuse a model that does not give one label to a text."""
    if getattr(config, "is_encoder_decoder", False):
        raise UsageError(
            f"Model '{name}' is an encoder-decoder ({config.model_type}), which robench cannot "
            "attack as it is. Load it in Python and give robench a function."
        )
    architectures = list(getattr(config, "architectures", None) or [])
    if architectures and not any(one.endswith(_HEAD) for one in architectures):
        raise UsageError(
            f"Model '{name}' is a {architectures[0]}, which has no head that classifies texts. "
            "Fine-tune it first, or train a victim on it with --encoder."
        )
    if config.num_labels == 1 or config.problem_type == "regression":
        raise UsageError(f"Model '{name}' is a regression model: it gives a score and no label.")
    if config.problem_type == "multi_label_classification":
        raise UsageError(
            f"Model '{name}' is a multi-label model: it may give several labels to one text, "
            "and robench judges one label a text."
        )


def _check_side(name: str, tokenizer: Any) -> None:
    """Refuse a tokenizer that keeps the end of a long text.

    Surfaces give substitutes to the first words, so an attack could not change what such a model
    reads, and the model would look robust.
    """
    if cuts_from_left(tokenizer):
        raise UsageError(
            f"The tokenizer of '{name}' cuts long texts at their beginning "
            '(truncation_side "left"), and robench attacks the beginning of a text. If the model '
            'was trained on beginnings, set "truncation_side": "right" in tokenizer_config.json; '
            "otherwise give robench a function."
        )


def _skeleton(name: str, config: Any, code: bool) -> Any:
    """Return the classifier that the configuration describes, without weights."""
    import torch

    try:
        with torch.device("meta"), quiet_models():
            return make_model(f"AutoModel{_HEAD}", config, code)
    except Exception as error:
        raise UsageError(
            f"Model '{name}' ({config.model_type}) cannot be made as a classifier of texts "
            f"({first_line(error)})."
        ) from error


def _window(tokenizer: Any, config: Any, model: Any) -> int:
    """Return the most tokens that tokenizer and model take, special tokens included."""
    bounds = [int(min(tokenizer.model_max_length, 2 * _SANE)), *_positions(model)]
    for name in ("max_position_embeddings", "n_positions"):
        value = getattr(config, name, None)
        bounds += [value] if isinstance(value, int) else []
    return min((bound for bound in bounds if 0 < bound <= _SANE), default=UNBOUNDED_WINDOW)


def _positions(model: Any) -> Iterator[int]:
    """Yield how many tokens each table of positions takes.

    Models of the RoBERTa kind begin to count behind the padding token's number.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in _POSITION_TABLES and hasattr(module, "num_embeddings"):
            padding = module.padding_idx
            yield module.num_embeddings - (0 if padding is None else padding + 1)
