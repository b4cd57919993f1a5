"""The parts of a resolved request: attacks, test sets, tasks, and the request itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robench._base.code_hash import code_sha256
from robench.plugins.registry import BUILT_IN
from robench.protocol import Protocol
from robench.records.row_labels import test_label
from robench.search.registry import ATTACKS
from robench.tasks.base import Splits, Task
from robench.tasks.example import Example

if TYPE_CHECKING:
    from robench.evaluation.resolved_victims import ResolvedVictim
    from robench.search.attack import Attack
    from robench.text.scorer import Scorer
    from robench.text.sources import SubstituteSource
    from robench.text.substitutions import SubstitutionSet
    from robench.text.surface_building import SurfaceRequest


@dataclass(frozen=True)
class ResolvedAttack:
    """An attack with its options.

    Attributes:
        name: registered name, with the substitution set where the user names one:
            ``"pwws@wordnet"``.
        label: the name, followed by the options that differ from the defaults.
        attack: the attack.
        constrained: whether the language model constrains it, by the protocol or by its own
            choice.
        plugin: registered name, without a substitution set. Empty: it is ``name``.
        substitutions: name of the substitution set that it searches. Empty: the task's own.
    """

    name: str
    label: str
    attack: Attack
    constrained: bool
    plugin: str = ""
    substitutions: str = ""

    @property
    def registered(self) -> str:
        """Name in the registry, which also seeds the random streams of the search."""
        return self.plugin or self.name

    @property
    def built_in(self) -> bool:
        """Whether robench itself has the attack or its family."""
        return ATTACKS.origin(self.registered) == BUILT_IN

    @property
    def options(self) -> dict[str, Any]:
        """All options as plain data."""
        return self.attack.options.model_dump(mode="json")

    @property
    def code_sha256(self) -> str | None:
        """Hash of what the plugin's code does; for a guest, of its whole package."""
        return code_sha256(type(self.attack))


def can_attack(attack: ResolvedAttack, victim: ResolvedVictim) -> bool:
    """Return whether an attack gets what it needs from a victim."""
    return victim.gradients or attack.attack.access != "gradients"


@dataclass(frozen=True)
class ResolvedTest:
    """A test set on which the victims of a task are judged.

    Attributes:
        task: name of the task whose victims are judged.
        other: name of the task or file of the examples, or None for the task's own test set.
        test_name: name of the list of examples (``TaskPart.test_name``).
        digest: SHA-256 over the whole test set (ids, texts, labels in the task's order).
        total: size of the whole test set.
        whole: the whole test set, sorted by id.
        synthetic: whether its texts were composed instead of written by people.
        examples: the examples that are attacked, sorted by id.
        limit: number of these examples if it is below ``total``, else None.
        substitutions: the task's own substitution set.
        max_words: words from this index on have no substitutes.
        held_out: name of the task's held-out set.
        sources: name of a substitution set -> the set, for those that the attacks name.
    """

    task: str
    other: str | None
    test_name: str
    digest: str
    total: int
    whole: Sequence[Example]
    synthetic: bool
    examples: Sequence[Example]
    limit: int | None
    substitutions: SubstitutionSet
    max_words: int
    held_out: str = ""
    sources: Mapping[str, SubstituteSource] = field(default_factory=dict)

    def source(self, name: str) -> SubstituteSource:
        """Return the substitution set that attacks call ``name``; the task's own if it is empty."""
        return self.sources[name] if name else self.substitutions

    @property
    def title(self) -> str:
        """Name for people: ``"sst2"``, or ``"sst2 on imdb"`` for another test set."""
        return self.task if self.other is None else f"{self.task} on {self.other}"

    @property
    def file_part(self) -> str:
        """Name for the files of its cells (``TaskPart.file_part``)."""
        return test_label(self.task, self.other)


@dataclass(frozen=True)
class ResolvedTask:
    """A task with its data.

    Attributes:
        name: name of the task.
        task: its class.
        splits: train, dev and test of the task itself.
        tests: the test sets on which its victims are judged; usually the task's own.
        victims: the victims: those to be trained, defense by defense and seed by seed, and then
            those that the user gave.
    """

    name: str
    task: type[Task]
    splits: Splits
    tests: Sequence[ResolvedTest]
    victims: Sequence[ResolvedVictim]


@dataclass(frozen=True)
class ResolvedRequest:
    """A request with every name resolved.

    Attributes:
        protocol: the evaluation choices.
        device: a torch device string.
        scorer: the language model. None for ``--lm none`` and if nothing is attacked.
        attacks: the attacks.
        tasks: the tasks.
    """

    protocol: Protocol
    device: str
    scorer: Scorer | None
    attacks: Sequence[ResolvedAttack]
    tasks: Sequence[ResolvedTask]

    def attacks_on(self, victim: ResolvedVictim) -> list[ResolvedAttack]:
        """Return the attacks that ``victim`` can have."""
        return [attack for attack in self.attacks if can_attack(attack, victim)]

    @property
    def sets(self) -> list[str]:
        """Names of the substitution sets that the attacks search, in their order, each once."""
        return list(dict.fromkeys(attack.substitutions for attack in self.attacks)) or [""]

    def surface_request(
        self, task: ResolvedTask, test: ResolvedTest, name: str = ""
    ) -> SurfaceRequest:
        """Return everything that decides a surface of a test set.

        Args:
            task: the task.
            test: the test set.
            name: name of the substitution set; empty for the task's own.
        """
        from robench.text.surface_building import SurfaceRequest

        return SurfaceRequest(
            examples=test.examples,
            attackable=task.task.attackable,
            task=test.other or task.name,
            digest=test.digest,
            substitutions=test.source(name),
            protocol=self.protocol,
            scorer=self.scorer,
            max_words=test.max_words,
        )
