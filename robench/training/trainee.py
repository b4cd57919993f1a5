"""The model under training, as a defense sees it between two epochs.

``Trainee`` in ``robench.training.defense`` is what a defense may use of it. The searches are those
of an evaluation: the same engine, the same access, the same verdict from the text up. They are
imported when a model is attacked, so that a training without attacks stays free of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from robench.models.victim import Victim
from robench.search.registry import ATTACKS
from robench.tasks.example import Example
from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.search.attack import Trial
    from robench.search.victim_protocol import Job
    from robench.training.request import FitRequest
    from robench.training.setup import TrainingSetup


@dataclass(frozen=True)
class ModelBetweenEpochs:
    """A model between two epochs, for a defense that wants to attack it.

    Attributes:
        request, setup: of the run.
        added: what is trained on beside the task's examples so far.
        say: hears sentences worth showing.
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
        """The training examples, as they came; never one of dev or test."""
        return self.setup.texts

    @cached_property
    def victim(self) -> Victim:
        """The model as it is now, in eval mode, asked as any victim is; its weights change with the next step."""
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
        """The words of ``example`` and what may stand in the place of each that the model sees."""
        from robench.search.space import SearchSpace
        from robench.search.victim_protocol import Job

        substitutions, attackable = self.request.substitutions, self.victim.attackable
        assert substitutions is not None
        fields = {name: split_words(text) for name, text in example.fields.items()}
        words, visible = fields[attackable], self.victim.encoder_fields.encode(fields).visible
        options = [
            (word, *(substitutions.of(word, self.request.protocol.lookup) if at < visible else ()))
            for at, word in enumerate(words)
        ]
        return Job(
            example,
            fields | {attackable: tuple(words)},
            SearchSpace(tuple(words), tuple(options), visible),
        )

    def attacked(
        self, name: str, examples: Sequence[Example], seed: int, budget: int | None = None
    ) -> list[Trial]:
        """What the attack called ``name`` does to each of ``examples``, in their order. An example's stream is a function of seed, attack and id.

        Where several processes train, each attacks its share of the examples and all of them learn of every trial.
        """
        from accelerate.utils import gather_object

        from robench.search.engine import run
        from robench.search.packing import choose_shapes
        from robench.search.settings import SearchSettings

        settings = SearchSettings(seed, budget, self.request.precision, self.victim.device)
        shapes, remark = choose_shapes(self.victim, settings.precision, self.victim.vocabulary)
        if remark is not None:
            self.say(remark)
        rank, processes = self.setup.accelerator.process_index, self.setup.accelerator.num_processes
        mine = map(self.job, examples[rank::processes])
        trials = list(
            run(
                self.victim,
                ATTACKS.get(name)(),
                name,
                mine,
                settings,
                shapes=shapes,
            )
        )
        by_id = {trial.id: trial for trial in (gather_object(trials) if processes > 1 else trials)}
        return [by_id[example.id] for example in examples]
