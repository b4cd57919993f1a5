"""What a training run begins with: the machine, the encoded examples, the model, its defense and its optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.models.encoders import attention_for, load_encoder, load_tokenizer
from robench.models.victim import build_reader
from robench.training.data import EncodedExamples, SubstituteTable, encode_examples
from robench.training.limits import check_window, pick
from robench.training.runtime import make_accelerator, seed_everything

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.tasks.example import Example
    from robench.training.defense import Defense
    from robench.training.request import FitRequest

ADAM_EPSILON = 1e-6
"""Of AdamW, as in RIFT's release (transformers' default of its time; torch's is 1e-8)."""


class StepLoss(nn.Module):
    """One step's loss as a module, so that Accelerate can wrap everything that is trained (autocast, several processes) at once."""

    def __init__(self, model: TextClassifier, defense: Defense) -> None:
        super().__init__()
        self.model = model
        self.extras = nn.ModuleList(defense.modules())
        self._defense = defense

    def forward(self, batch: Batch) -> Tensor:
        """The scalar to descend on, from the defense's hooks in their order."""
        self._defense.before_loss(self.model, batch)
        loss = self._defense.loss(self.model, batch)
        penalty = self._defense.penalty(self.model, batch)
        return loss if penalty is None else loss + penalty


@dataclass(frozen=True)
class TrainingSetup:
    """All that one run works with.

    Attributes:
        accelerator, device: where it runs.
        tokenizer, model, defense: the model is the plain one, on ``device``, as ``defense.prepare`` left it.
        fields: names of the task's fields, in the order in which the encoder reads them.
        texts: the chosen training examples as they came.
        train, dev: the chosen examples, encoded.
        encode: makes of further texts what ``train`` holds.
        step_loss, optimizer: as Accelerate wrapped them; each of the optimiser's groups holds its highest learning rate as ``"peak"``.
    """

    accelerator: Any
    device: torch.device
    tokenizer: Any
    model: TextClassifier
    defense: Defense
    fields: Sequence[str]
    texts: Sequence[Example]
    train: EncodedExamples
    dev: EncodedExamples
    encode: Callable[[Sequence[Example]], EncodedExamples]
    step_loss: Any
    optimizer: Any

    @property
    def extras(self) -> Sequence[nn.Module]:
        """The defense's own modules that are trained or kept in checkpoints."""
        return list(self.accelerator.unwrap_model(self.step_loss).extras)


def set_up_training(request: FitRequest, curves: Path, say: Callable[[str], None]) -> TrainingSetup:
    """Make ready to train ``request``; what is random in it follows from the request's seed.

    Args:
        curves: where a tracker writes.
        say: hears sentences worth showing.

    Raises:
        UsageError: the request does not fit together, or not this machine.
    """
    defense = request.build()
    accelerator = make_accelerator(request.device, request.precision, request.tracker, curves)
    if accelerator.num_processes > 1 and not defense.parallel:
        raise UsageError(
            f"Defense '{request.defense}' trains in one process only: its steps cannot be shared. Start robench without a launcher."
        )
    seed_everything(request.seed, "weights")
    tokenizer = load_tokenizer(request.info)
    encoder = load_encoder(request.info, attention_for(request.device, request.precision))
    model = TextClassifier(encoder, len(request.task_class.labels)).to(accelerator.device)
    check_window(model, request.task_class.max_tokens, request.encoder, request.task)
    fields = list(request.splits.train[0].fields)
    encode = _encoding(request, tokenizer, fields)
    texts, train = _read(
        "train", request.splits.train, defense.options.train_examples, request, encode, say
    )
    _, dev = _read("dev", request.splits.dev, defense.options.dev_examples, request, encode, say)
    defense.prepare(model)
    step_loss = StepLoss(model, defense)
    groups = parameter_groups(
        step_loss, defense.options.learning_rate, defense.options.head_weight_decay
    )
    optimizer = defense.optimizer(groups) or adamw(groups)
    for group in optimizer.param_groups:  # a defense may give its groups rates of their own
        group["peak"] = group["lr"]
    wrapped_loss, wrapped_optimizer = accelerator.prepare(step_loss, optimizer)
    return TrainingSetup(
        accelerator,
        accelerator.device,
        tokenizer,
        model,
        defense,
        fields,
        texts,
        train,
        dev,
        encode,
        wrapped_loss,
        wrapped_optimizer,
    )


def _encoding(
    request: FitRequest, tokenizer: Any, fields: Sequence[str]
) -> Callable[[Sequence[Example]], EncodedExamples]:
    """Encodes texts as the victim will read them; all that it has encoded can be joined."""
    table, reader = build_reader(
        tokenizer,
        request.protocol,
        fields,
        request.task_class.attackable,
        request.task_class.max_tokens,
    )
    substitutes = SubstituteTable(table, request.substitutions, request.protocol.lookup)
    return lambda examples: encode_examples(
        examples,
        reader,
        substitutes,
        request.task_class.attackable,
        segments=request.protocol.pair_segments,
    )


def _read(
    name: str,
    examples: Sequence[Example],
    limit: int | None,
    request: FitRequest,
    encode: Callable[[Sequence[Example]], EncodedExamples],
    say: Callable[[str], None],
) -> tuple[Sequence[Example], EncodedExamples]:
    chosen = pick(examples, limit, len(request.task_class.labels))
    say(f"reading {len(chosen)} {name} examples")
    return chosen, encode(chosen)


def parameter_groups(
    step: nn.Module, learning_rate: float, head_weight_decay: float
) -> list[dict[str, Any]]:
    """Two groups for the optimiser: the encoder without weight decay, everything else (head, the defense's modules) with it (appendix A.1)."""
    trained = [
        (name, parameter) for name, parameter in step.named_parameters() if parameter.requires_grad
    ]
    encoder = [parameter for name, parameter in trained if name.startswith("model.encoder.")]
    others = [parameter for name, parameter in trained if not name.startswith("model.encoder.")]
    return [
        {"params": encoder, "lr": learning_rate, "weight_decay": 0.0},
        {"params": others, "lr": learning_rate, "weight_decay": head_weight_decay},
    ]


def adamw(groups: list[dict[str, Any]]) -> torch.optim.AdamW:
    """The loop's own optimiser, in one pass over the weights: on a CPU several times as fast as torch's default, on a GPU a little."""
    return torch.optim.AdamW(groups, eps=ADAM_EPSILON, fused=True)
