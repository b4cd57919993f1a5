"""The model under training, as a defense sees it between two epochs.

``Trainee`` in ``robench.training.defense`` declares the part of it that a defense may use. Search
modules are imported only when the model is attacked, so that other trainings do not load them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from robench.models.victim import Victim
from robench.search.registry import ATTACKS
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.search.attack import Trial
    from robench.search.jobs import Job
    from robench.tasks.example import Example
    from robench.training.request import FitRequest
    from robench.training.setup import TrainingSetup


@dataclass(frozen=True)
class ModelBetweenEpochs:
    """The model under training, between two epochs, for a defense that attacks it.

    Attributes:
        request: what is trained.
        setup: the model and data of the run.
        added: the examples that were added to the task's own so far.
        say: shows a sentence to the user.
    """

    request: FitRequest
    setup: TrainingSetup
    added: Sequence[Example]
    say: Callable[[str], None]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.request.seed

    @property
    def examples(self) -> Sequence[Example]:
        """The task's training examples; never examples of dev or test."""
        return self.setup.texts

    @cached_property
    def victim(self) -> Victim:
        """The current model as a victim, in eval mode.

        Its weights change with the next training step.
        """
        task, request = self.request.task_class, self.request
        card = {
            "name": request.defense,
            "task": request.task,
            "labels": task.labels,
            "attackable": task.attackable,
            "fields": self.setup.fields,
            "max_tokens": task.max_tokens,
            "protocol": request.protocol.name,
        }
        return Victim(self.setup.model, self.setup.tokenizer, card, str(self.setup.device))

    def job(self, example: Example) -> Job:
        """Return the words of ``example`` and the substitutes of each word that the model sees."""
        from robench.search.jobs import Job
        from robench.text.space import SearchSpace

        substitutions, attackable = self.request.substitutions, self.victim.attackable
        assert substitutions is not None
        fields = {name: split_words(text) for name, text in example.fields.items()}
        words = fields[attackable]
        visible = self.victim.encoder_fields.visible(fields, example.fields)
        lookup = self.request.protocol.lookup
        options = []
        for position, word in enumerate(words):
            # A word beyond the model's window keeps its place but cannot be substituted.
            substitutes = substitutions.of(word, lookup) if position < visible else ()
            options.append((word, *substitutes))
        space = SearchSpace(tuple(words), tuple(options), visible)
        return Job(example, fields | {attackable: tuple(words)}, space)

    def attacked(
        self, name: str, examples: Sequence[Example], seed: int, budget: int | None = None
    ) -> list[Trial]:
        """Attack ``examples`` with the attack ``name``, and return the trials in their order.

        An example's random stream follows from the seed, the attack and the example's id. If
        several processes train, each attacks a share of the examples and receives every trial.

        Args:
            name: a registered attack; it runs with its default options.
            examples: training examples.
            seed: of the searches.
            budget: queries for each example; None is unlimited.
        """
        from accelerate.utils import gather_object

        from robench.search.engine import run
        from robench.search.packing import choose_shapes
        from robench.search.settings import SearchSettings

        settings = SearchSettings(seed, budget, self.request.precision, self.victim.device)
        shapes, remark = choose_shapes(self.victim, settings.precision, self.victim.vocabulary)
        if remark is not None:
            self.say(remark)
        accelerator = self.setup.accelerator
        rank, processes = accelerator.process_index, accelerator.num_processes
        jobs = map(self.job, examples[rank::processes])
        attack = ATTACKS.get(name)()
        trials = list(run(self.victim, attack, name, jobs, settings, shapes=shapes))
        if processes > 1:
            trials = gather_object(trials)
        by_id = {trial.id: trial for trial in trials}
        return [by_id[example.id] for example in examples]
