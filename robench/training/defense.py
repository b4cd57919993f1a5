"""``Defense``: the hooks that a way of fine-tuning may override; ``loop.py`` calls them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from robench.plugins.options import TrainingOptions

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from robench.models.batch import Batch
    from robench.models.classifier import TextClassifier
    from robench.models.smoother import Smoother
    from robench.models.smoothing import Smoothing
    from robench.models.victim import Victim
    from robench.search.attack import Trial
    from robench.tasks.example import Example

_OPTIMIZER = (
    "The update is torch's AdamW: epsilon (1e-6) is added after the bias correction, and the decay "
    "comes before the update. transformers' AdamW, which the releases used, adds it before and "
    "decays after."
)
_PRECISION = (
    "Training is in fp32, or with --precision bf16 in bf16 autocast: features and heads are then "
    "bf16, and losses, the contrastive products among them, stay fp32."
)
_FEATURE = (
    "The feature is the encoder's pooler output (a tanh layer on the first token), as in RIFT's "
    "release, and the first token's state where an encoder has no pooler. The paper does not say "
    "which feature it means."
)
LOOP_DEVIATIONS = (
    "The learning rate rises over the first steps and then falls linearly to zero. RIFT's release "
    "raises it epoch by epoch (x0.1, x0.55, x1) and then keeps it.",
    _OPTIMIZER,
    "The kept epoch is the most robust on dev among those whose clean accuracy is as good as the "
    "best. The paper takes the most robust of all (option select=paper).",
    "Dev comes from train or an official dev file; at most 1,000 of its examples select the epoch. "
    "RIFT's release reports maxima over epochs on the whole test set.",
    "An epoch that is no better than guessing is kept only if no other does better (with "
    "select=robust and select=paper). The paper has no such bar.",
    "An epoch's dev accuracy under attack counts texts that are right both unchanged and attacked. "
    "The release counts the attacked text alone.",
    "The dev attack lowers the margin of the true label, so that the scale of the logits does not "
    "matter. The release raises the cross-entropy.",
    _FEATURE,
    _PRECISION,
)
"""Where the training loop departs from RIFT's release, which has the same settings.

For the ``deviations`` of the methods that are compared in the RIFT paper.
"""

SUITE_DEVIATIONS = (
    "Learning rate (a rise over the first steps, then linearly to zero), batch size and epochs are "
    "those of every defense here, not the paper's own.",
    _OPTIMIZER,
    "Weight decay is that of every defense here: 2e-4 on the head, none on the encoder.",
    "The kept epoch is the most robust on dev among those whose clean accuracy is as good as the "
    "best (option select). That is not the paper's rule.",
    "Dev comes from train or an official dev file; at most 1,000 of its examples select the epoch.",
    "The head is that of every defense here: two layers on the encoder's pooler output (a tanh "
    "layer on the first token).",
    _PRECISION,
)
"""The same for methods that were published elsewhere."""

RANDOM_BATCHES_DEVIATION = (
    "Batches are drawn at random among texts of similar length (sorted within windows of 32 "
    "batches). RIFT's release gives every method class-balanced batches, drawn at random."
)
"""The same for the rows of the RIFT paper that do not need class-balanced batches here."""

SUBSTITUTES_DEVIATION = (
    'Substitutes that the word splitter takes apart (in the published set: "cannot", "gonna", '
    '"gotta" and "wanna") are left out. The releases keep them.'
)
"""The same for methods that train on substitutes."""


class Trainee(Protocol):
    """The model between two epochs, for a defense that attacks it."""

    @property
    def seed(self) -> int:
        """The seed of the run."""

    @property
    def examples(self) -> Sequence[Example]:
        """The task's training examples; never examples of dev or test."""

    @property
    def added(self) -> Sequence[Example]:
        """The examples that ``augment`` has added so far."""

    @property
    def victim(self) -> Victim:
        """The current model as a victim, in eval mode; its weights change with the next step."""

    @property
    def say(self) -> Callable[[str], None]:
        """Show a sentence to the user."""

    def attacked(
        self, name: str, examples: Sequence[Example], seed: int, budget: int | None = None
    ) -> list[Trial]:
        """Attack ``examples`` with the attack ``name``, and return the trials in their order."""


class Defense(ABC):
    """Base of every defense. Standard fine-tuning overrides nothing.

    One object serves one training run, so it may keep state. The hooks are called in this order:

    1. ``prepare``, ``modules``, ``optimizer``;
    2. in each epoch ``augment`` and ``batches``, and in each step ``before_loss``, ``loss`` and
       ``penalty``;
    3. ``finish``.

    Every epoch begins with torch's generators seeded from (seed, epoch), so a killed run can be
    resumed. State that must outlive an epoch belongs in ``modules``, as parameters or buffers, or
    in the optimizer.

    Several defenses can be joined in one training run. ``prepare``, ``modules``, ``before_loss``,
    ``penalty`` and ``finish`` are then called for each of them. At most one of them may override
    ``loss``, and likewise ``augment``, ``batches``, ``optimizer`` and ``smoothing``.

    Class attributes:
        paper: citation of the method it implements.
        deviations: where it departs from the paper or the released code, one sentence for each.
        substitutes: whether its batches need the substitution sets.
        parallel: whether several processes may share its batches; otherwise the loop refuses
            them. Its loss must be a mean over the examples of a batch, it must take what it
            needs of the other examples from ``batch.whole``, and its ``before_loss`` must not
            look at the examples.
        task_defaults: the paper's settings per task, ``{"imdb": {"beta": 10.0}}``. They override
            the class's defaults and the task's own ``training``; the user's options override
            them.
    """

    paper: ClassVar[str] = ""
    deviations: ClassVar[tuple[str, ...]] = ()
    substitutes: ClassVar[bool] = False
    parallel: ClassVar[bool] = False
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    class Options(TrainingOptions):
        """Options of this defense; override with a subclass of ``robench.TrainingOptions``."""

    def __init__(self, options: TrainingOptions | None = None) -> None:
        self.options = options if options is not None else type(self).Options()
        self.figures: dict[str, Tensor] = {}
        """Named parts of the last step's loss, as detached scalars.

        The loop writes their means over an epoch into ``training.json``.
        """
        self.smoother: Smoother | None = None
        """Draws random variants of texts as ``smoothing`` says; the loop sets it."""

    def prepare(self, model: TextClassifier) -> None:
        """Prepare the model, for example copy a teacher or swap layers.

        It is called once before the first step, with the new model on its device.
        """

    def modules(self) -> Iterable[nn.Module]:
        """Return the defense's own modules, such as projection heads or memories.

        Their parameters that require gradients are trained. Parameters and buffers are stored in
        the checkpoint, but they are not part of the victim.
        """
        return ()

    @property
    def attacks(self) -> Sequence[str]:
        """Registered names of the attacks that it trains against.

        They are looked up before training starts, and their code is part of the victim's key.
        """
        return ()

    @property
    def smoothing(self) -> Smoothing | None:
        """How the victim answers at test time: from random variants of a text, or from the text.

        None leaves the victim as it is. Otherwise the loop makes a ``Smoother`` before ``prepare``
        and passes it to ``use_smoother``, so that training can draw the same variants
        (``self.smoother.draw_batch``). It is saved with the victim, which then answers with the
        mean over its draws. The seed is the run's, whatever is set here. The dev scores that
        select the epoch are those of the classifier without smoothing.
        """
        return None

    def use_smoother(self, smoother: Smoother) -> None:
        """Take what draws the variants of ``smoothing``."""
        self.smoother = smoother

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        """Return texts to train on beside the task's own; None leaves the added texts unchanged.

        It is called before every epoch, counted from 0. The result replaces the texts added before
        (``trainee.added``) and is stored in the checkpoint. It must follow only from the trainee,
        its seed and the epoch, so that a resumed run adds the same texts. ``trainee.victim`` is
        the model in eval mode; the loop puts it back into train mode.
        """
        return None

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]] | None:
        """Return one epoch's batches, each a list of indices into the training examples.

        The texts that ``augment`` added come after the task's own. None uses the loop's batches,
        which are shuffled and grouped by length.

        Args:
            labels: class index of each training example.
            lengths: number of tokens of each training example.
            batch_size: examples in a batch.
            rng: the only source of randomness to use.
        """
        return None

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Measure what the optimizer needs to know, such as ROSE's saliency of each tensor.

        It is called at the start of each step, before ``loss``. Use ``torch.autograd.grad`` and
        not ``backward``, because the parameters' ``.grad`` must stay empty.
        """

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the scalar loss of one step: by default the mean cross-entropy."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(
            model(batch.input_ids, batch.attention_mask, batch.token_type_ids), batch.labels
        )

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        """Return a scalar to add to the loss, such as a smoothness term; None adds nothing."""
        return None

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> Optimizer | None:
        """Return an optimizer for the parameter groups; None uses AdamW.

        Args:
            groups: each has its ``params``, ``lr`` and ``weight_decay``.
        """
        return None

    def finish(self, model: TextClassifier) -> None:
        """Put back the layers that ``prepare`` swapped.

        It is called once, with the selected weights loaded, before the victim is saved. Afterwards
        the encoder must be a plain encoder of its family again.
        """
