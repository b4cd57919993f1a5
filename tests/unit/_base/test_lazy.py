"""Tests of public names that are imported on first use."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from robench._base.lazy import import_public


def test_a_name_comes_from_its_module() -> None:
    assert import_public("shop", "PurePath", {"PurePath": "pathlib"}) is PurePath


def test_an_unknown_name_is_an_attribute_error_that_names_the_package() -> None:
    with pytest.raises(AttributeError, match=r"module 'shop' has no attribute 'Price'"):
        import_public("shop", "Price", {"PurePath": "pathlib"})
