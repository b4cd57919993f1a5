"""FitRequest: everything that decides what a victim becomes, as one frozen value with a key."""

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
from robench.plugins.options import TrainingOptions, build_options
from robench.plugins.registry import canonical
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
    """Make a defense with its options resolved: class defaults < the task's ``training`` < ``task_defaults[task]`` < ``encoder.recommended`` < ``options``.

    Raises:
        UsageError: an unknown defense, an unknown option or a value that it does not take.
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
        defense, task: registered names; a joint defense's members are put in alphabetical order.
        splits: the task's examples; ``test`` is never read.
        encoder: short name, hub id or folder.
        protocol: decides words, tokens and lookup.
        substitutions: the task's set; None trains without the convex-hull metric (and refuses defenses that need substitutes).
        seed: of everything random.
        options: the user's, over all defaults.
        precision: of the forward passes in training, ``"bf16"`` by autocast; weights and optimiser are fp32 in any case.
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
        """The encoder, looked up."""
        return find_encoder(self.encoder)

    @cached_property
    def task_class(self) -> type[Task]:
        """The task, looked up."""
        return TASKS.get(self.task)

    @cached_property
    def resolved(self) -> TrainingOptions:
        """The options that the run will have."""
        return self.build().options

    def build(self) -> Defense:
        """A fresh defense for one run; raises UsageError when the request does not fit together, or names an attack that cannot be had."""
        defense = build_defense(self.defense, self.task, self.info, self.options)
        for attack in defense.attacks:
            ATTACKS.get(attack)
        if (defense.substitutes or defense.attacks) and self.substitutions is None:
            raise UsageError(
                f"Defense '{self.defense}' trains on substitutions, and none were given for task '{self.task}'. Name a substitution set."
            )
        return defense

    def check(self) -> None:
        """Refuse now what training would refuse after it has begun; whatever the seed, the outcome is the same.

        Raises:
            UsageError: the encoder's window is too short for the task, or it is of a kind that cannot be trained here; a label has too few examples; an
                attack that makes training texts lacks something here.
        """
        import torch

        from robench.models.classifier import TextClassifier
        from robench.models.encoders import skeleton

        for attack in self.build().attacks:
            ATTACKS.get(attack)().check()
        classes = len(self.task_class.labels)
        with torch.device("meta"):  # no weights, and nothing drawn for them
            model = TextClassifier(skeleton(self.info), classes)
        check_window(model, self.task_class.max_tokens, self.encoder, self.task)
        for examples, limit in (
            (self.splits.train, self.resolved.train_examples),
            (self.splits.dev, self.resolved.dev_examples),
        ):
            pick(examples, limit, classes)

    def ingredients(self) -> dict[str, Any]:
        """All that decides the result, as plain JSON; the device and the test examples do not."""
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
        """What else decides the result where training texts are attacked; nothing elsewhere."""
        attacks = self.build().attacks
        return (
            {
                "attacks": {name: code_sha256(ATTACKS.get(name)) for name in attacks},
                "search": source_sha256(*ATTACKED_TRAINING_CODE),
            }
            if attacks
            else {}
        )

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.info)

    @property
    def encoder_label(self) -> str:
        """The encoder's name without folders, fit for a file name."""
        return self.encoder.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]

    @cached_property
    def key(self) -> str:
        """SHA-256 (hex) of ``ingredients``: equal keys, equal victims."""
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
        """``<defense>-<task>-<encoder>-s<seed>-<first 8 of the key>``."""
        return f"{self.defense}-{self.task}-{self.encoder_label}-s{self.seed}-{self.key[:8]}"
