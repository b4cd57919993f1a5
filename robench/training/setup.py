"""Set up a training run: device, encoded examples, model, defense and optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from robench._base.errors import UsageError
from robench.models.classifier import TextClassifier
from robench.models.encoders import attention_for, load_encoder, load_tokenizer
from robench.models.smoother import Smoother
from robench.models.victim import build_reader
from robench.training.data import EncodedExamples, SubstituteTable, encode_examples
from robench.training.limits import check_window, pick
from robench.training.runtime import make_accelerator, seed_everything
from robench.training.tracking import Tracking, Value

if TYPE_CHECKING:
    from robench.models.batch import Batch
    from robench.tasks.example import Example
    from robench.training.defense import Defense
    from robench.training.request import FitRequest

ADAM_EPSILON = 1e-6
"""AdamW's epsilon in RIFT's release: transformers' default at that time. torch's is 1e-8."""


class StepLoss(nn.Module):
    """The loss of one step, as a module that holds everything that is trained.

    Accelerate wraps one module, for autocast and for several processes.
    """

    def __init__(self, model: TextClassifier, defense: Defense) -> None:
        super().__init__()
        self.model = model
        self.extras = nn.ModuleList(defense.modules())
        self._defense = defense

    def forward(self, batch: Batch) -> Tensor:
        """Return the scalar loss, from the defense's hooks in their order."""
        self._defense.before_loss(self.model, batch)
        loss = self._defense.loss(self.model, batch)
        penalty = self._defense.penalty(self.model, batch)
        return loss if penalty is None else loss + penalty


@dataclass(frozen=True)
class TrainingSetup:
    """Everything that one training run works with.

    Attributes:
        accelerator: Accelerate's object for this run.
        tracking: the trackers of this run.
        device: where the model is.
        tokenizer: of the encoder.
        model: not wrapped, on ``device``, as ``defense.prepare`` left it.
        defense: the defense, with its options.
        fields: names of the task's fields, in the order in which the encoder reads them.
        texts: the chosen training examples, not encoded.
        train: the chosen training examples, encoded.
        dev: the chosen dev examples, encoded.
        encode: encodes further examples, which can then be joined to ``train``.
        step_loss: the loss module, as Accelerate wrapped it.
        optimizer: as Accelerate wrapped it. Each of its groups holds its highest learning rate
            as ``"peak"``.
        smoother: what the victim's answers at test time are drawn from; None where the victim
            answers about the text itself.
    """

    accelerator: Any
    tracking: Tracking
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
    smoother: Smoother | None = None

    @property
    def extras(self) -> Sequence[nn.Module]:
        """The defense's own modules, which are trained or stored in checkpoints."""
        return list(self.accelerator.unwrap_model(self.step_loss).extras)


def set_up_training(request: FitRequest, curves: Path, say: Callable[[str], None]) -> TrainingSetup:
    """Prepare to train ``request``; random numbers follow from the request's seed.

    Args:
        request: what to train.
        curves: the folder where a tracker writes.
        say: shows a sentence to the user.

    Raises:
        UsageError: parts of the request do not fit together, or do not fit this machine.
    """
    defense = request.build()
    accelerator = make_accelerator(request.device, request.precision)
    tracking = _start_tracking(request, accelerator, curves, say)
    if accelerator.num_processes > 1 and not defense.parallel:
        raise UsageError(
            f"Defense '{request.defense}' trains in one process only: its steps cannot be "
            "shared. Start robench without a launcher."
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
    smoother = _smoother(request, defense, tokenizer, model, fields)
    if smoother is not None:
        defense.use_smoother(smoother)
    defense.prepare(model)
    step_loss = StepLoss(model, defense)
    groups = parameter_groups(
        step_loss, defense.options.learning_rate, defense.options.head_weight_decay
    )
    optimizer = defense.optimizer(groups) or adamw(groups)
    # The schedule scales each group's own rate, because a defense may set different rates.
    for group in optimizer.param_groups:
        group["peak"] = group["lr"]
    wrapped_loss, wrapped_optimizer = accelerator.prepare(step_loss, optimizer)
    return TrainingSetup(
        accelerator=accelerator,
        tracking=tracking,
        device=accelerator.device,
        tokenizer=tokenizer,
        model=model,
        defense=defense,
        fields=fields,
        texts=texts,
        train=train,
        dev=dev,
        encode=encode,
        step_loss=wrapped_loss,
        optimizer=wrapped_optimizer,
        smoother=smoother,
    )


def _smoother(
    request: FitRequest,
    defense: Defense,
    tokenizer: Any,
    model: TextClassifier,
    fields: Sequence[str],
) -> Smoother | None:
    """Make what draws the victim's variants, from the vectors of the pre-trained encoder."""
    smoothing = defense.smoothing
    if smoothing is None:
        return None
    _, reader = build_reader(
        tokenizer,
        request.protocol,
        fields,
        request.task_class.attackable,
        request.task_class.max_tokens,
    )
    words = model.encoder.get_input_embeddings().weight.detach().float().cpu().numpy()
    return Smoother.build(
        replace(smoothing, seed=request.seed),
        reader,
        words,
        request.substitutions,
        request.protocol.lookup,
    )


def _start_tracking(
    request: FitRequest, accelerator: Any, curves: Path, say: Callable[[str], None]
) -> Tracking:
    """Start the trackers; only the first of several processes sends figures."""
    config: dict[str, Value] = {
        "task": request.task,
        "defense": request.defense,
        "encoder": request.encoder_label,
        "seed": request.seed,
        "victim": request.folder_name,
    }
    names = request.trackers if accelerator.is_main_process else ()
    return Tracking(names, curves, config, say)


def _encoding(
    request: FitRequest, tokenizer: Any, fields: Sequence[str]
) -> Callable[[Sequence[Example]], EncodedExamples]:
    """Return a function that encodes examples as the victim will read them.

    All its results share one ``SubstituteTable``, so they can be joined.
    """
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
    """Choose at most ``limit`` examples, and return them as they are and encoded."""
    chosen = pick(examples, limit, len(request.task_class.labels))
    say(f"reading {len(chosen)} {name} examples")
    return chosen, encode(chosen)


def parameter_groups(
    step: nn.Module, learning_rate: float, head_weight_decay: float
) -> list[dict[str, Any]]:
    """Return the optimizer's two parameter groups (RIFT paper, appendix A.1).

    The encoder has no weight decay. Everything else has: the head and the defense's modules.
    """
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
    """Return the loop's own optimizer.

    The fused version passes over the weights once. It is several times as fast as torch's default
    on a CPU, and slightly faster on a GPU.
    """
    return torch.optim.AdamW(groups, eps=ADAM_EPSILON, fused=True)
