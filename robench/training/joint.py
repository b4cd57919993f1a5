"""Several defenses as one: a stack that hands each of the loop's calls to its members (``ascc+weight-decay``).

Hooks that only add something are called for every member; a hook that decides something for all (the loss, the texts, the batches, the optimiser)
can be brought by one member at most. No method is named here: what a member brings is seen from what it overrides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from inspect import getdoc
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import create_model

from robench._base.errors import UsageError
from robench.plugins.options import TrainingOptions, build_options
from robench.plugins.registry import JOINT
from robench.training.defense import Batch, Defense

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from robench.methods.augmentation import Trainee
    from robench.models.classifier import TextClassifier
    from robench.tasks.example import Example

ONE_EACH = {
    "loss": "a loss",
    "augment": "further texts",
    "batches": "batches",
    "optimizer": "an optimiser",
}
"""Hook -> what it brings, of which a stack takes one."""
HOOKS = ("prepare", "modules", "before_loss", "penalty", "finish", *ONE_EACH)


class JointDefense(Defense):
    """Base of the classes that ``join_defenses`` makes: several defenses in one training run.

    Members are called in alphabetical order of their names (``finish`` in the reverse), whatever order they were named in.

    Class attributes:
        members: name -> class, sorted by name.
    """

    members: ClassVar[Mapping[str, type[Defense]]] = {}

    def __init__(self, options: TrainingOptions | None = None) -> None:
        super().__init__(options)
        given = self.options.model_dump()
        self.defenses = {
            name: cls(build_options(cls.Options, _share(given, name), f"defense '{name}'"))
            for name, cls in self.members.items()
        }

    def prepare(self, model: TextClassifier) -> None:
        """Each member's."""
        for defense in self.defenses.values():
            defense.prepare(model)

    def modules(self) -> Iterable[nn.Module]:
        """All members' modules."""
        return [module for defense in self.defenses.values() for module in defense.modules()]

    @property
    def attacks(self) -> Sequence[str]:
        """All members' attacks."""
        return list(
            dict.fromkeys(
                attack for defense in self.defenses.values() for attack in defense.attacks
            )
        )

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        """Those of the member that brings further texts."""
        return self._bringer("augment").augment(trainee, epoch)

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]] | None:
        """Those of the member that brings batches."""
        return self._bringer("batches").batches(labels, lengths, batch_size, rng)

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Each member's."""
        for defense in self.defenses.values():
            defense.before_loss(model, batch)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """That of the member that brings a loss."""
        return self._bringer("loss").loss(model, batch)

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        """The sum of the members' penalties. The last call of a step: the members' figures are gathered here, as ``member.figure``."""
        found = [
            penalty
            for defense in self.defenses.values()
            if (penalty := defense.penalty(model, batch)) is not None
        ]
        self.figures = {
            f"{name}.{figure}": value
            for name, defense in self.defenses.items()
            for figure, value in defense.figures.items()
        }
        return sum(found[1:], found[0]) if found else None

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> Optimizer | None:
        """That of the member that brings an optimiser."""
        return self._bringer("optimizer").optimizer(groups)

    def finish(self, model: TextClassifier) -> None:
        """Each member's, the last one first: what was wrapped last is unwrapped first."""
        for defense in reversed(self.defenses.values()):
            defense.finish(model)

    def _bringer(self, hook: str) -> Defense:
        """The member that overrides ``hook``; any other one answers as the base class does."""
        return next(
            (defense for defense in self.defenses.values() if _brings(type(defense), hook)),
            next(iter(self.defenses.values())),
        )


def join_defenses(members: Mapping[str, type[Defense]]) -> type[JointDefense]:
    """One defense out of several, name -> class, sorted by name.

    Its options are the training loop's, once for all, and each member's own as ``member.option``. A setting of the loop is taken from the member
    that brings the loss; where that one leaves it open, or none brings a loss, from the first of the others that has a say, by name.

    Raises:
        UsageError: two members bring what a stack takes once, or a member overrides nothing at all.
    """
    _check(members)
    leading = sorted(members.items(), key=lambda item: not _brings(item[1], "loss"))
    described = " and ".join(f"'{name}'" for name in members)
    attributes = {
        "__doc__": f"{described} in one training run.\n\n"
        + "\n\n".join(f"{name}: {getdoc(cls)}" for name, cls in members.items()),
        "__module__": __name__,
        "members": dict(members),
        "paper": "; ".join(dict.fromkeys(cls.paper for cls in members.values() if cls.paper)),
        "deviations": _deviations(members),
        "substitutes": any(cls.substitutes for cls in members.values()),
        "parallel": all(cls.parallel for cls in members.values()),
        "task_defaults": _task_defaults(leading),
        "Options": _options(leading),
    }
    return type(JOINT.join(members), (JointDefense,), attributes)


def _brings(cls: type[Defense], hook: str) -> bool:
    return getattr(cls, hook) is not getattr(Defense, hook)


def _check(members: Mapping[str, type[Defense]]) -> None:
    for (one, first), (other, second) in combinations(members.items(), 2):
        for hook, what in ONE_EACH.items():
            if _brings(first, hook) and _brings(second, hook):
                raise UsageError(
                    f"'{one}' and '{other}' do not stack: both bring {what}, and one training run takes only one. Choose one of them."
                )
    for name, cls in members.items():
        if not any(_brings(cls, hook) for hook in HOOKS):
            rest = JOINT.join(other for other in members if other != name)
            raise UsageError(
                f"'{name}' changes nothing in '{JOINT.join(members)}': it is the training loop as it stands. Say '{rest}'."
            )


def _share(given: Mapping[str, Any], member: str) -> dict[str, Any]:
    """What of a stack's options concerns one member: the loop's settings and its own."""
    return {
        key.removeprefix(f"{member}."): value
        for key, value in given.items()
        if key in TrainingOptions.model_fields or key.startswith(f"{member}.")
    }


def _options(leading: Sequence[tuple[str, type[Defense]]]) -> type[TrainingOptions]:
    fields: dict[str, Any] = {}
    for name, cls in leading:
        for option, field in cls.Options.model_fields.items():
            usual = TrainingOptions.model_fields.get(option)
            if usual is None:
                fields[f"{name}.{option}"] = (field.annotation, copy(field))
            elif field.default != usual.default:
                fields.setdefault(option, (field.annotation, copy(field)))
    return create_model("Options", __base__=TrainingOptions, **fields)


def _task_defaults(leading: Sequence[tuple[str, type[Defense]]]) -> dict[str, dict[str, Any]]:
    merged: dict[str, dict[str, Any]] = {}
    for name, cls in leading:
        for task, values in cls.task_defaults.items():
            for option, value in values.items():
                merged.setdefault(task, {}).setdefault(
                    option if option in TrainingOptions.model_fields else f"{name}.{option}", value
                )
    return merged


def _deviations(members: Mapping[str, type[Defense]]) -> tuple[str, ...]:
    """Each sentence once, with the names of those it holds for."""
    owners: dict[str, list[str]] = {}
    for name, cls in members.items():
        for sentence in cls.deviations:
            owners.setdefault(sentence, []).append(name)
    return tuple(f"{', '.join(names)}: {sentence}" for sentence, names in owners.items())
