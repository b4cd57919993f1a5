"""Joint defenses: several defenses in one training run (``ascc+weight-decay``).

A joint defense passes each call of the training loop on to its members. Some hooks add something
(a penalty, a module); they are called for every member. Other hooks decide something for the whole
run (the loss, the extra texts, the batches, the optimizer); at most one member may define each.

No method is named here: which hooks a member defines is seen from what it overrides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from inspect import getdoc
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import create_model

from robench._base.errors import UsageError
from robench.models.batch import Batch
from robench.plugins.names import JOINT
from robench.plugins.options import TrainingOptions, build_options
from robench.training.defense import Defense, Trainee

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from robench.models.classifier import TextClassifier
    from robench.models.smoother import Smoother
    from robench.models.smoothing import Smoothing
    from robench.tasks.example import Example

EXCLUSIVE_HOOKS = {
    "loss": "a loss",
    "augment": "extra training texts",
    "batches": "batches",
    "optimizer": "an optimizer",
    "smoothing": "how the victim answers at test time",
}
"""Hooks that at most one member may define, and what each of them provides."""
HOOKS = ("prepare", "modules", "before_loss", "penalty", "finish", *EXCLUSIVE_HOOKS)


class JointDefense(Defense):
    """Base of the classes that ``join_defenses`` makes.

    Members are called in alphabetical order of their names, and in reverse order by ``finish``. It
    does not matter in which order they were named.

    Class attributes:
        members: name -> class, sorted by name.
    """

    members: ClassVar[Mapping[str, type[Defense]]] = {}

    def __init__(self, options: TrainingOptions | None = None) -> None:
        super().__init__(options)
        given = self.options.model_dump()
        self.defenses: dict[str, Defense] = {}
        for name, cls in self.members.items():
            own = _options_for_member(given, name)
            self.defenses[name] = cls(build_options(cls.Options, own, f"defense '{name}'"))

    def prepare(self, model: TextClassifier) -> None:
        """Prepare every member."""
        for defense in self.defenses.values():
            defense.prepare(model)

    def modules(self) -> Iterable[nn.Module]:
        """Return the modules of all members."""
        return [module for defense in self.defenses.values() for module in defense.modules()]

    @property
    def attacks(self) -> Sequence[str]:
        """The attacks of all members, each once."""
        found = [attack for defense in self.defenses.values() for attack in defense.attacks]
        return list(dict.fromkeys(found))

    @property
    def smoothing(self) -> Smoothing | None:
        """The smoothing of the member that defines one."""
        return self._defining("smoothing").smoothing

    def use_smoother(self, smoother: Smoother) -> None:
        """Give the smoother to every member."""
        for defense in self.defenses.values():
            defense.use_smoother(smoother)

    def augment(self, trainee: Trainee, epoch: int) -> Sequence[Example] | None:
        """Return the texts of the member that adds texts."""
        return self._defining("augment").augment(trainee, epoch)

    def batches(
        self,
        labels: Sequence[int],
        lengths: Sequence[int],
        batch_size: int,
        rng: np.random.Generator,
    ) -> Iterator[Sequence[int]] | None:
        """Return the batches of the member that defines batches."""
        return self._defining("batches").batches(labels, lengths, batch_size, rng)

    def before_loss(self, model: TextClassifier, batch: Batch) -> None:
        """Call every member's hook."""
        for defense in self.defenses.values():
            defense.before_loss(model, batch)

    def loss(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Return the loss of the member that defines a loss."""
        return self._defining("loss").loss(model, batch)

    def penalty(self, model: TextClassifier, batch: Batch) -> Tensor | None:
        """Return the sum of the members' penalties, and collect their figures.

        This is the last hook of a step, so all figures are known. They become ``member.figure``.
        """
        found = []
        for defense in self.defenses.values():
            penalty = defense.penalty(model, batch)
            if penalty is not None:
                found.append(penalty)
        self.figures = {
            f"{name}.{figure}": value
            for name, defense in self.defenses.items()
            for figure, value in defense.figures.items()
        }
        return sum(found[1:], found[0]) if found else None

    def optimizer(self, groups: Sequence[Mapping[str, Any]]) -> Optimizer | None:
        """Return the optimizer of the member that defines one."""
        return self._defining("optimizer").optimizer(groups)

    def finish(self, model: TextClassifier) -> None:
        """Finish every member, the last one first: layers swapped last are put back first."""
        for defense in reversed(self.defenses.values()):
            defense.finish(model)

    def _defining(self, hook: str) -> Defense:
        """Return the member that overrides ``hook``.

        It is any member if none does, since all inherit the default.
        """
        for defense in self.defenses.values():
            if _overrides(type(defense), hook):
                return defense
        return next(iter(self.defenses.values()))


def join_defenses(members: Mapping[str, type[Defense]]) -> type[JointDefense]:
    """Return one defense class made of several.

    Its options are those of the training loop, once, and each member's own as ``member.option``.
    The default of a loop setting comes from the member that defines the loss. Where that member
    leaves it at the loop's default, or none defines a loss, the first other member by name that
    sets it decides.

    Args:
        members: name -> class, sorted by name.

    Raises:
        UsageError: two members define the same exclusive hook, or a member overrides no hook.
    """
    _check(members)
    # The member with the loss comes first; sorting keeps the others in order of their names.
    leading = sorted(members.items(), key=lambda item: not _overrides(item[1], "loss"))
    described = " and ".join(f"'{name}'" for name in members)
    documentation = [f"{described} in one training run."]
    documentation += [f"{name}: {getdoc(cls)}" for name, cls in members.items()]
    attributes = {
        "__doc__": "\n\n".join(documentation),
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


def _overrides(cls: type[Defense], hook: str) -> bool:
    return getattr(cls, hook) is not getattr(Defense, hook)


def _check(members: Mapping[str, type[Defense]]) -> None:
    """Raise UsageError where ``members`` cannot be joined."""
    for (one, first), (other, second) in combinations(members.items(), 2):
        for hook, what in EXCLUSIVE_HOOKS.items():
            if _overrides(first, hook) and _overrides(second, hook):
                raise UsageError(
                    f"'{one}' and '{other}' cannot be joined: both define {what}, and a training "
                    "run uses only one. Choose one of them."
                )
    for name, cls in members.items():
        if not any(_overrides(cls, hook) for hook in HOOKS):
            rest = JOINT.join(other for other in members if other != name)
            raise UsageError(
                f"'{name}' changes nothing in '{JOINT.join(members)}': it is the plain training "
                f"loop. Use '{rest}'."
            )


def _options_for_member(given: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Return those of a joint defense's options that concern one member.

    They are the loop's settings and the member's own options without their prefix.
    """
    prefix = f"{member}."
    return {
        key.removeprefix(prefix): value
        for key, value in given.items()
        if key in TrainingOptions.model_fields or key.startswith(prefix)
    }


def _options(leading: Sequence[tuple[str, type[Defense]]]) -> type[TrainingOptions]:
    """Make the options class; of a loop setting the first member's own default wins."""
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
    """Merge the members' settings per task; of a loop setting the first member's value wins."""
    merged: dict[str, dict[str, Any]] = {}
    for name, cls in leading:
        for task, values in cls.task_defaults.items():
            for option, value in values.items():
                is_loop_setting = option in TrainingOptions.model_fields
                key = option if is_loop_setting else f"{name}.{option}"
                merged.setdefault(task, {}).setdefault(key, value)
    return merged


def _deviations(members: Mapping[str, type[Defense]]) -> tuple[str, ...]:
    """Return each sentence once, preceded by the names of the members that state it."""
    owners: dict[str, list[str]] = {}
    for name, cls in members.items():
        for sentence in cls.deviations:
            owners.setdefault(sentence, []).append(name)
    return tuple(f"{', '.join(names)}: {sentence}" for sentence, names in owners.items())
