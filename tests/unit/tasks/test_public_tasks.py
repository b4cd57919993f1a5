"""What ``import robench.tasks`` offers to a task of another package."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import robench
from robench import tasks


def test_each_public_name_is_the_object_of_its_module() -> None:
    assert set(tasks._MODULE_OF) == set(tasks.__all__)
    assert dir(tasks) == sorted(tasks.__all__)
    for name, module in tasks._MODULE_OF.items():
        assert getattr(tasks, name) is getattr(importlib.import_module(module), name)


def test_names_that_robench_offers_too_are_the_same_objects() -> None:
    for name in set(tasks.__all__) & set(robench.__all__):
        assert getattr(tasks, name) is getattr(robench, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'robench.tasks' has no attribute 'Tusk'$"):
        tasks.Tusk  # noqa: B018


def test_a_task_of_another_package_needs_no_heavy_import() -> None:
    names = ", ".join(tasks.__all__)
    heavy = ("torch", "transformers", "datasets", "pandas", "pyarrow")
    code = (
        f"import sys; from robench.tasks import {names};"
        f"sys.exit(' '.join(name for name in {heavy} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.PIPE)
    assert done.stderr.decode().strip() == ""
