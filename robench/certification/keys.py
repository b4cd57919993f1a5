"""The key of a certificate: the hash of everything that decides its letters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import robench
from robench._base.code_hash import source_sha256
from robench._base.environment import versions
from robench._base.key_code import TRIAL_CODE, TRIAL_SOFTWARE
from robench.records.certificate import Method

CODE = ("robench.certification", *TRIAL_CODE)
"""Modules that decide the letters of a certificate, given the victim and the surface."""


@dataclass(frozen=True)
class KeyParts:
    """What decides the letters, apart from the examples, the code and the machine.

    Attributes:
        victim: hash of everything that decides the victim's answers (``Obtained.identity``).
        configuration: key of the victim's training.
        method: the method.
        options: its options, as a certificate stores them.
        made_from: everything that decides the surface (``Surface.meta["made_from"]``). Its digest
            of the texts is left out, because it depends on the limit.
        constrained: whether the language model constrains the space.
        protocol: name of the protocol.
        seed: seed of training and of random draws.
    """

    victim: str
    configuration: str
    method: Method
    options: Mapping[str, Any]
    made_from: Mapping[str, Any]
    constrained: bool
    protocol: str
    seed: int


def certificate_key(parts: KeyParts, device: str, products: str) -> str:
    """Return the SHA-256 (hex) of the parts, of the code and software here, and of a device.

    Args:
        parts: what decides the letters.
        device: kind of the device: ``"cpu"``, ``"cuda"`` or ``"mps"``.
        products: setting of its matrix products (``arithmetic.products``).
    """
    surface = {name: value for name, value in parts.made_from.items() if name != "texts"}
    values = {
        "robench": robench.__version__,
        "victim": parts.victim,
        "configuration": parts.configuration,
        "method": parts.method,
        "options": parts.options,
        "code": source_sha256(*CODE),
        "surface": surface,
        "constrained": parts.constrained,
        "protocol": parts.protocol,
        "seed": parts.seed,
        "device": device,
        "arithmetic": products,
        "software": {
            name: version for name, version in versions().items() if name in TRIAL_SOFTWARE
        },
    }
    text = json.dumps(values, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
