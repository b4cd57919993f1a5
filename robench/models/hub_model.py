"""A victim's classifier as transformers knows models: its configuration and its model class.

``Victim`` reads and writes its weights with them. ``AutoModelForSequenceClassification`` finds
them through ``modeling_robench.py`` (``robench.models.victim_folder``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from robench._base.errors import RobenchError
from robench._base.pretrained import make_model
from robench.models.classifier import TextClassifier
from robench.models.victim_folder import AUTO_MAP, CODE, CODE_FILE
from robench.text.punkt import is_of_nltk

SMOOTHED = (
    "This victim is randomised: in robench it answers from random variants of a text. transformers "
    "gives the answer of its classifier alone. Use robench.load_victim for the victim's answers."
)
"""Warning about a randomised victim that transformers loads."""


class RobenchConfig(PretrainedConfig):
    """Configuration of a saved victim.

    Args:
        encoder: the encoder's configuration, with its ``model_type``.
        hidden: width of the head's hidden layer.
        protocol: name of the protocol whose tokens the victim reads.
        fields: the task's fields in reading order.
        attackable: the field whose words may be replaced.
        max_tokens: size of the window, special tokens included.
        task: name of the task.
        smoothing: how the victim answers from random variants of a text, for robench; None for a
            victim that answers about the text itself.
        values: what every configuration of transformers has, such as ``id2label``.
    """

    model_type = "robench"

    def __init__(
        self,
        encoder: Mapping[str, Any] | None = None,
        hidden: int = 256,
        protocol: str = "",
        fields: Sequence[str] = (),
        attackable: str = "",
        max_tokens: int = 0,
        task: str = "",
        smoothing: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> None:
        self.encoder = dict(encoder or {})
        self.hidden = hidden
        self.protocol = protocol
        self.fields = list(fields)
        self.attackable = attackable
        self.max_tokens = max_tokens
        self.task = task
        # Left out of other victims' files.
        if smoothing is not None:
            self.smoothing = dict(smoothing)
        super().__init__(**values)

    def encoder_config(self) -> Any:
        """Return the encoder's configuration as an object.

        Raises:
            ValueError: this transformers does not know the encoder's type.
        """
        values = dict(self.encoder)
        return AutoConfig.for_model(values.pop("model_type", ""), **values)

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = "AutoConfig") -> None:
        """Change nothing: a registered class would copy this module into every saved folder."""

    def save_pretrained(self, save_directory: Any, **options: Any) -> None:
        """Write ``config.json``, and the file of code that it names."""
        self.auto_map = dict(AUTO_MAP)
        super().save_pretrained(save_directory, **options)
        (Path(save_directory) / CODE_FILE).write_text(CODE, encoding="utf-8")


class RobenchForSequenceClassification(PreTrainedModel):
    """A ``TextClassifier`` with the interface of transformers' classification models.

    Its probabilities are those of robench only for rows of token ids that
    ``robench.sharing.RobenchTokenizer`` made. Of a randomised victim it is the classifier alone,
    and loading it says so.
    """

    config_class = RobenchConfig
    base_model_prefix = ""

    def __init__(self, config: RobenchConfig) -> None:
        super().__init__(config)
        # While weights are loaded, torch's default type is the type that the caller asked for.
        encoder = make_model("AutoModel", config.encoder_config(), dtype=torch.get_default_dtype())
        self.classifier = TextClassifier(encoder, config.num_labels, config.hidden)
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """Change nothing: the encoder and torch initialise their own modules."""

    @classmethod
    def register_for_auto_class(cls, auto_class: Any = "") -> None:
        """Change nothing; see ``RobenchConfig.register_for_auto_class``."""

    @classmethod
    def from_pretrained(cls, *args: Any, **options: Any) -> Any:
        """Load as every model of transformers does, and refuse weights that are not complete.

        Raises:
            RobenchError: a weight is missing, left over or of another shape.
        """
        wanted = options.pop("output_loading_info", False)
        model, found = super().from_pretrained(*args, output_loading_info=True, **options)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            if names := sorted(map(str, found[kind])):
                raise RobenchError(
                    f"The weights do not fit their config.json: {len(names)} "
                    f"{kind.replace('_', ' ')}, such as {names[0]}. Restore the victim's files."
                )
        # robench itself gives tensors instead of a place.
        if args and args[0] is not None and hasattr(model.config, "smoothing"):
            warnings.warn(SMOOTHED, stacklevel=2)
        return (model, found) if wanted else model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[Tensor, ...]:
        """Return the logits ``(batch, classes)`` of token ids ``(batch, tokens)``.

        Args:
            input_ids: ``(batch, tokens)``, padded on the right.
            attention_mask: ``(batch, tokens)``, 0 for padding; without it no token is padding.
            token_type_ids: ``(batch, tokens)``; used only if the protocol has token types.
            labels: ``(batch,)`` class indices, for the cross-entropy in ``loss``.
            return_dict: False for a tuple.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        logits = self.classifier(input_ids, attention_mask, token_type_ids)
        loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
        output = SequenceClassifierOutput(loss=loss, logits=logits)
        return output if return_dict is not False else output.to_tuple()


def config_for(
    encoder: Any,
    card: Mapping[str, Any],
    hidden: int,
    smoothing: Mapping[str, Any] | None = None,
) -> RobenchConfig:
    """Return the configuration of a victim.

    Args:
        encoder: the encoder, a model of transformers.
        card: the victim's card.
        hidden: width of the head's hidden layer.
        smoothing: how a randomised victim answers.
    """
    values = encoder.config.to_diff_dict()
    # The name of a folder of this machine, and what belongs to the whole model.
    for name in ("_name_or_path", "transformers_version", "architectures", "dtype"):
        values.pop(name, None)
    labels = list(card["labels"])
    splitter = str(card.get("ingredients", {}).get("splitter", ""))
    return RobenchConfig(
        encoder=values,
        hidden=hidden,
        protocol=card["protocol"],
        fields=card["fields"],
        attackable=card["attackable"],
        max_tokens=card["max_tokens"],
        task=card["task"],
        smoothing=smoothing,
        # Left out of the files of victims that read with robench's own parameters.
        **({"splitter": splitter} if is_of_nltk(splitter) else {}),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        problem_type="single_label_classification",
        pad_token_id=values.get("pad_token_id"),
        architectures=[RobenchForSequenceClassification.__name__],
    )
