"""Defense: the hooks that a way of fine-tuning may override. The loop that calls them is ``training.py``."""

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
    from robench.models.victim import Victim
    from robench.search.attack import Trial
    from robench.tasks.example import Example

LOOP_DEVIATIONS = (
    "The learning rate rises over the first steps and falls linearly to zero; RIFT's release raises it epoch by epoch (x0.1, x0.55, x1) and keeps it.",
    "The epoch is chosen on a dev split carved from train; RIFT's release reports maxima over epochs on the test set.",
    "An epoch's dev accuracy under attack counts texts that are right as they are and as attacked; the release counts the attacked text alone.",
)
"""Where the one training loop departs from the release whose settings it has: for the ``deviations`` of the methods compared there."""

SUITE_DEVIATIONS = (
    "Learning rate (a rise over the first steps, then linearly to zero), batch size and epochs are those of every defense here, not the paper's own.",
    "The epoch is chosen on a dev split carved from train, by accuracy under the convex-hull attack where there are substitutes; that is not the paper's rule.",
)
"""The same for methods that were published elsewhere."""


class Trainee(Protocol):
    """The model between two epochs, for a defense that attacks it."""

    @property
    def seed(self) -> int:
        """The seed of the run."""

    @property
    def examples(self) -> Sequence[Example]:
        """The training examples, as they came; never one of dev or test."""

    @property
    def added(self) -> Sequence[Example]:
        """The examples that ``augment`` has added so far."""

    @property
    def victim(self) -> Victim:
        """The model in eval mode, asked as any victim is; its weights change with the next step."""

    @property
    def say(self) -> Callable[[str], None]:
        """Show a sentence to whoever runs the training."""

    def attacked(
        self, name: str, examples: Sequence[Example], seed: int, budget: int | None = None
    ) -> list[Trial]:
        """Attack each of ``examples`` with the attack called ``name``; trials in their order."""


class Defense(ABC):
    """Base of every defense. Standard fine-tuning overrides nothing.

    One object lives for one training run, so it may keep state. Order of the calls: ``prepare``; ``modules``; ``optimizer``; for each epoch
    ``augment`` and ``batches``, and for each step ``before_loss``, ``loss``, ``penalty``; last ``finish``. Every epoch begins with torch's generators
    re-seeded from (seed, epoch), so a run that was killed goes on as if it had not been: state that must outlive an epoch belongs into
    ``modules`` (as parameters or buffers) or into the optimiser.

    The hooks are cut so that methods stack: ``penalty``, ``prepare``, ``before_loss``, ``modules`` and ``finish`` of several defenses can be
    called one after another; of ``loss``, ``augment``, ``batches`` and ``optimizer`` a stack can take one each.

    Class attributes:
        paper: citation of what it implements.
        deviations: where it departs from the paper or the released code, one sentence each.
        substitutes: whether its batches carry the substitution sets.
        parallel: whether several processes may share its batches: its loss is a mean over the examples of a batch (what an example needs of the others
            it takes from ``batch.whole``), and ``before_loss`` looks at none of them. The loop refuses several processes otherwise.
        task_defaults: the paper's settings per task, ``{"imdb": {"beta": 10.0}}``; they stand over the class's
            defaults and the task's own ``training``, and under the user's options.
    """

    paper: ClassVar[str] = ""
    deviations: ClassVar[tuple[str, ...]] = ()
    substitutes: ClassVar[bool] = False
    parallel: ClassVar[bool] = False
    task_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    class Options(TrainingOptions):
        """This defense's options; override with a subclass of ``robench.TrainingOptions``."""

    def __init__(self, options: TrainingOptions | None = None) -> None:
        self.options = options if options is not None else type(self).Options()
        self.figures: dict[str, Tensor] = {}
        """Named parts of the last step's loss, detached scalars; the loop averages them over an epoch into ``training.json``."""

    def prepare(self, model: TextClassifier) -> None:
        """Called once before the first step, with the freshly initialised model on its device: copy a teacher, swap layers, and so on."""

    def modules(self) -> Iterable[nn.Module]:
        """Parts of the defense's own (projection heads, memories) with their buffers.

        They join the optimiser (those parameters that ask for gradients) and the resume checkpoint, not the victim.
        """
        return ()

    @property
    def attacks(self) -> Sequence[str]:
        """Registered names of the attacks that it trains against: they are looked up before anything is trained, and their code makes the victim's key."""
        return ()

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        """Texts to be trained on beside the task's own, asked for before every epoch (counted from 0); None leaves them as they were.

        What is returned replaces what was added before (``trainee.added``) and is kept in the checkpoint. It must follow from the trainee, its seed and the
        epoch alone, so that a run that was killed adds the same texts. ``trainee.victim`` is the model in eval mode; the loop puts it back into train mode.
        """
        return None

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]] | None:
        """One epoch's batches as lists of indices into the training examples, after which stand those that ``augment`` added.

        None takes the loop's own (shuffled, bucketed by length).
        """
        return None

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Called at the beginning of each step, before ``loss``: measure what the optimiser is to know, such as ROSE's saliency of each tensor.

        Use ``torch.autograd.grad`` rather than ``backward``: the parameters' ``.grad`` must stay empty.
        """

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Scalar loss of one step: mean cross-entropy unless overridden."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(
            model(batch.input_ids, batch.attention_mask, batch.token_type_ids), batch.labels
        )

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        """A scalar to be added to whatever the loss is (a pull towards the pre-trained weights, a smoothness term); None adds nothing."""
        return None

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> Optimizer | None:
        """Build the optimiser from parameter groups (each with its ``params``, ``lr`` and ``weight_decay``); None takes AdamW."""
        return None

    def finish(self, model: TextClassifier) -> None:
        """Called once with the selected weights loaded, before the victim is saved: put back the layers that ``prepare`` swapped.

        Afterwards the encoder must be a plain one of its family again.
        """
