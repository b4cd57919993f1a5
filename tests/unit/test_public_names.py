"""What ``import robench`` offers."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import robench


def test_dir_lists_the_public_names() -> None:
    assert dir(robench) == sorted(robench.__all__)
    assert {"UsageError", "RobenchError", "build_options", "ATTACKS", "__version__"} <= set(
        robench.__all__
    )


def test_each_public_name_is_the_object_of_its_module() -> None:
    assert {*robench._MODULE_OF, "__version__"} == set(robench.__all__)
    for name, module in robench._MODULE_OF.items():
        assert getattr(robench, name) is getattr(importlib.import_module(module), name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'robench' has no attribute 'Attak'$"):
        robench.Attak  # noqa: B018


def test_errors_and_options_come_without_torch() -> None:
    code = (
        "import sys, robench; robench.UsageError, robench.build_options, robench.ATTACKS;"
        "dir(robench); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
