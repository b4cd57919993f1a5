"""What ``certify`` shares with ``evaluate``: the choices of the request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robench._base.errors import UsageError
from robench.certification import run as module
from robench.certification.settings import CertificationSettings
from robench.evaluation.request import build_request
from robench.text.punkt import chosen_punkt


class Resolved(Exception):
    """Stop a run where it would resolve its request."""


def certify(**values: Any) -> None:
    request = build_request(defenses=("standard",), **values)
    module.certify(request, CertificationSettings(), None)  # type: ignore[arg-type]


def test_the_chosen_sentence_parameters_hold_while_victims_are_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nltk

    def resolve(*arguments: Any) -> None:
        raise Resolved(chosen_punkt())

    monkeypatch.setattr(module, "_resolve", resolve)
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    monkeypatch.setenv("ROBENCH_PUNKT", "nltk")
    with pytest.raises(Resolved, match="embedded"):
        certify(punkt="embedded")
    monkeypatch.delenv("ROBENCH_PUNKT")
    # NLTK's data are not installed here, so the choice is noticed or ignored.
    with pytest.raises(UsageError, match="--punkt nltk needs NLTK's own Punkt data"):
        certify(punkt="nltk")
    assert chosen_punkt() == "embedded"
