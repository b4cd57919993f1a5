"""``FitRequest``: everything that decides what is trained, as one frozen value with a key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from robench._base.arithmetic import products
from robench._base.code_hash import code_sha256, source_sha256
from robench._base.environment import Precision
from robench._base.errors import UsageError
from robench._base.key_code import ATTACKED_TRAINING_CODE, TRAINING_CODE
from robench.models.encoders import EncoderInfo, find_encoder, fingerprint
from robench.plugins.names import canonical
from robench.plugins.options import TrainingOptions, build_options
from robench.search.registry import ATTACKS
from robench.tasks.base import Task
from robench.tasks.registry import TASKS
from robench.training.defense import Defense
from robench.training.limits import check_window, pick
from robench.training.registry import DEFENSES

if TYPE_CHECKING:
    from robench.protocol import Protocol
    from robench.tasks.base import Splits
    from robench.text.substitutions import SubstitutionSet


def build_defense(
    name: str,
    task: str,
    encoder: EncoderInfo,
    options: Mapping[str, Any],
    *,
    task_class: type[Task] | None = None,
    settings_of: str = "",
) -> Defense:
    """Make a defense with its options resolved.

    An option's value comes from the last of these that sets it: the class's defaults, the task's
    ``training``, the defense's ``task_defaults``, ``encoder.recommended_on``, ``options``.

    Args:
        name: name of the defense.
        task: name of the task.
        encoder: the encoder.
        options: the user's options.
        task_class: the task's class. None takes the one that is registered under ``task``.
        settings_of: take ``training`` and ``task_defaults`` of this registered task. Empty takes
            those of ``task``, or of the class's ``settings_of`` where it names a task.

    Raises:
        UsageError: the defense or an option is unknown, or an option does not take its value.
    """
    cls, task_class = DEFENSES.get(name), task_class or TASKS.get(task)
    values = {
        **task_training(task_class, settings_of),
        **cls.task_defaults.get(settings_task(cls, task, task_class, settings_of), {}),
        **encoder.recommended_on(settings_of or task, task_class.settings_of),
        **options,
    }
    return cls(build_options(cls.Options, values, f"defense '{name}'"))


def settings_task(
    defense: type[Defense], task: str, task_class: type[Task], settings_of: str = ""
) -> str:
    """Return the task whose ``task_defaults`` a defense uses on ``task``.

    The result is ``settings_of``, or ``task`` if the defense has settings for it, or else the
    class's ``settings_of``. It is empty where the defense has settings for none of them.
    """
    wanted = (settings_of,) if settings_of else (task, task_class.settings_of)
    return next((name for name in wanted if name in defense.task_defaults), "")


def task_training(task_class: type[Task], settings_of: str = "") -> Mapping[str, Any]:
    """Return the settings of the training loop for a task, with those of another task below.

    Args:
        task_class: the task.
        settings_of: name of another task, or empty for the class's ``settings_of``.
    """
    other = settings_of or task_class.settings_of
    below = TASKS.get(other).training if other else {}
    return {**below, **task_class.training}


@dataclass(frozen=True)
class FitRequest:
    """One training run.

    Attributes:
        defense: a registered name; a joint defense's members are put in alphabetical order.
        task: name of the task.
        splits: the task's examples; ``test`` is never read.
        encoder: short name, hub id or folder.
        protocol: decides words, tokens and lookup.
        substitutions: the task's substitution set. With None there is no accuracy under the
            convex-hull attack, and defenses that need substitutes are refused.
        seed: decides everything random.
        options: the user's options, which override all defaults.
        precision: of the forward passes in training; ``"bf16"`` uses autocast. Weights and
            optimizer are always fp32.
        device: a torch device string.
        trackers: where the curves are sent; see ``robench.training.tracking``.
        task_class: the task's class. It may be left out for a registered task.
        settings_of: the registered task whose settings are used; see ``build_defense``.
    """

    defense: str
    task: str
    splits: Splits
    encoder: str
    protocol: Protocol
    substitutions: SubstitutionSet | None
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    precision: Precision = "fp32"
    device: str = "cpu"
    trackers: tuple[str, ...] = ()
    # The abstract class stands for "the registered one" until ``__post_init__`` finds that.
    task_class: type[Task] = Task  # type: ignore[type-abstract]
    settings_of: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "defense", canonical(self.defense))
        if self.task_class is Task:
            object.__setattr__(self, "task_class", TASKS.get(self.task))

    @cached_property
    def info(self) -> EncoderInfo:
        """What is known of the encoder."""
        return find_encoder(self.encoder)

    @cached_property
    def resolved(self) -> TrainingOptions:
        """The options of the run, with all defaults filled in."""
        return self.build().options

    def build(self) -> Defense:
        """Return a new defense object for one run.

        Raises:
            UsageError: parts of the request do not fit together, or the defense names an attack
                that is not available.
        """
        defense = build_defense(
            self.defense,
            self.task,
            self.info,
            self.options,
            task_class=self.task_class,
            settings_of=self.settings_of,
        )
        for attack in defense.attacks:
            ATTACKS.get(attack)
        smoothing = defense.smoothing
        drawn = smoothing is not None and smoothing.needs_substitutions
        if (defense.substitutes or defense.attacks or drawn) and self.substitutions is None:
            raise UsageError(
                f"Defense '{self.defense}' trains on substitutions, and none were given for task "
                f"'{self.task}'. Name a substitution set."
            )
        return defense

    def check(self) -> None:
        """Refuse before training what would fail after its start. The seed makes no difference.

        Raises:
            UsageError: the encoder's window is too short for the task; encoders of this kind
                cannot be trained here; a label has too few examples; or an attack that makes
                training texts cannot run on this machine.
        """
        import torch

        from robench.models.classifier import TextClassifier
        from robench.models.encoders import skeleton

        for attack in self.build().attacks:
            ATTACKS.get(attack)().check()
        classes = len(self.task_class.labels)
        # A model on the "meta" device has no weights, so this is quick and draws no random numbers.
        with torch.device("meta"):
            model = TextClassifier(skeleton(self.info), classes)
        check_window(model, self.task_class.max_tokens, self.encoder, self.task)
        for examples, limit in (
            (self.splits.train, self.resolved.train_examples),
            (self.splits.dev, self.resolved.dev_examples),
        ):
            pick(examples, limit, classes)

    def ingredients(self) -> dict[str, Any]:
        """Return the configuration and the code that decide the result, as plain JSON.

        The device, the versions of libraries and the test examples are not part of it.
        """
        from robench.text.words import splitter_version

        splits, task = self.splits, self.task_class
        # The order counts, because the encoder reads the fields in it. A class may declare none.
        fields = task.fields or next((tuple(one.fields) for one in splits.train), ())
        return {
            "code": {
                "defense": code_sha256(DEFENSES.get(self.defense)),
                "training": source_sha256(*TRAINING_CODE),
                **self._attacking_code,
            },
            "defense": self.defense,
            "options": self.resolved.model_dump(mode="json"),
            "task": self.task,
            "labels": list(task.labels),
            "fields": list(fields),
            "attackable": task.attackable,
            "max_tokens": task.max_tokens,
            "splitter": splitter_version(),
            **splits.training_digests,
            "train_pool": splits.train_pool,
            "encoder": self.encoder_label,
            "encoder_sha256": self._fingerprint,
            "protocol": asdict(self.protocol),
            "substitutions_sha256": None
            if self.substitutions is None
            else self.substitutions.sha256,
            "seed": self.seed,
            "precision": self.precision,
            "arithmetic": products(),
        }

    @property
    def _attacking_code(self) -> dict[str, Any]:
        """The code hashes that matter only if training texts are attacked; otherwise empty."""
        attacks = self.build().attacks
        if not attacks:
            return {}
        return {
            "attacks": {name: code_sha256(ATTACKS.get(name)) for name in attacks},
            "search": source_sha256(*ATTACKED_TRAINING_CODE),
        }

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.info)

    @property
    def encoder_label(self) -> str:
        """The encoder's name without folders, usable in a file name."""
        return self.encoder.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]

    @cached_property
    def key(self) -> str:
        """SHA-256 of ``ingredients`` as hex digits.

        Equal keys mean the same configuration and code. Device and library versions can still
        change low-order bits.
        """
        text = json.dumps(
            self.ingredients(),
            sort_keys=True,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def folder_name(self) -> str:
        """``<defense>-<task>-<encoder>-s<seed>-<first 8 digits of the key>``."""
        return f"{self.defense}-{self.task}-{self.encoder_label}-s{self.seed}-{self.key[:8]}"
