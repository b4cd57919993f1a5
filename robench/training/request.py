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
from robench.tasks.registry import TASKS
from robench.training.defense import Defense
from robench.training.limits import check_window, pick
from robench.training.registry import DEFENSES

if TYPE_CHECKING:
    from robench.protocol import Protocol
    from robench.tasks.base import Splits, Task
    from robench.text.substitutions import SubstitutionSet


def build_defense(
    name: str, task: str, encoder: EncoderInfo, options: Mapping[str, Any]
) -> Defense:
    """Make a defense with its options resolved.

    An option's value comes from the last of these that sets it: the class's defaults, the task's
    ``training``, the defense's ``task_defaults[task]``, ``encoder.recommended``, ``options``.

    Raises:
        UsageError: the defense or an option is unknown, or an option does not take its value.
    """
    cls = DEFENSES.get(name)
    values = {
        **TASKS.get(task).training,
        **cls.task_defaults.get(task, {}),
        **encoder.recommended,
        **options,
    }
    return cls(build_options(cls.Options, values, f"defense '{name}'"))


@dataclass(frozen=True)
class FitRequest:
    """One training run.

    Attributes:
        defense: a registered name; a joint defense's members are put in alphabetical order.
        task: a registered name.
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
        tracker: an Accelerate tracker's name (``"tensorboard"``), or None.
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
    tracker: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "defense", canonical(self.defense))

    @cached_property
    def info(self) -> EncoderInfo:
        """What is known of the encoder."""
        return find_encoder(self.encoder)

    @cached_property
    def task_class(self) -> type[Task]:
        """The class that is registered for the task."""
        return TASKS.get(self.task)

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
        defense = build_defense(self.defense, self.task, self.info, self.options)
        for attack in defense.attacks:
            ATTACKS.get(attack)
        if (defense.substitutes or defense.attacks) and self.substitutions is None:
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
