"""Settings of a certification."""

from __future__ import annotations

from typing import Any

import pytest

from robench._base.errors import UsageError
from robench.certification.settings import CertificationSettings


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"methods": ()}, "at least one --method"),
        ({"spaces": ()}, "at least one --method and one --space"),
        ({"texts": 0}, "--texts must be at least 1, got 0"),
        ({"draws": 0}, "--draws must be at least 1"),
        ({"guess": 0}, "--guess must be at least 1"),
        ({"parts": -1}, "--parts must be at least 0"),
        ({"neighbours": 1}, "--neighbours must be at least 2"),
        ({"alpha": 0.0}, "--alpha must lie between 0 and 1"),
        ({"alpha": 1.0}, "--alpha must lie between 0 and 1"),
    ],
)
def test_a_wrong_value_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        CertificationSettings(**values)


def test_a_certificate_keeps_the_options_of_its_method_only() -> None:
    settings = CertificationSettings(texts=5, alpha=0.1)
    assert settings.options("bounds") == {"texts": 5, "parts": 32}
    assert settings.options("smoothing") == {"draws": 1000, "guess": 100, "alpha": 0.1}
