"""Resolving a request: wrong names.

The rest is tested in ``tests/integration/test_evaluate_*.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from robench.evaluation.request import EvaluationRequest
from robench.evaluation.resolve import check_names


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"defenses": ("standard", "riftt")},
            "There is no defense 'riftt'. Did you mean 'rift'? See 'robench list defenses'.",
        ),
        (
            {"attacks": ("genetc",)},
            "There is no attack 'genetc'. Did you mean 'genetic'? See 'robench list attacks'.",
        ),
        (
            {"tasks": ("imbd",)},
            "There is no task 'imbd'. Did you mean 'imdb'? See 'robench list tasks'.",
        ),
        (
            {"protocol": "rift2012"},
            "There is no protocol 'rift2012'. Did you mean 'rift2021'? Known: rift2021, subword.",
        ),
        (
            {"options": {"rfit.alpha": "1"}},
            "Option 'rfit.alpha': 'rfit' is none of the chosen defenses (rift) or attacks (none).",
        ),
        (
            {"options": {"attack.population": "1"}},
            "Option 'attack.population': 'attack' is none of the chosen defenses (rift) or attacks "
            "(none).",
        ),
    ],
)
def test_an_unknown_name_is_refused_without_heavy_imports(
    values: dict[str, Any], sentence: str
) -> None:
    """Check it in a new process, where nothing has been imported yet."""
    code = """
import json, sys
from robench._base.errors import UsageError
from robench.evaluation.resolve import check_names
from robench.evaluation.request import EvaluationRequest
try:
    check_names(EvaluationRequest(**{"defenses": ("rift",), **json.loads(sys.argv[1])}))
except UsageError as error:
    print(error)
heavy = {"torch", "transformers", "datasets", "pandas", "scipy", "statsmodels"}
print(*sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(values)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{sentence}\n\n"


@pytest.mark.slow
def test_a_misspelt_option_is_refused_before_training_code_is_imported() -> None:
    """Check the options, for which the plugin is imported, and a name, for which it is not."""
    code = """
import sys
from click.testing import CliRunner
from robench.cli import main
done = CliRunner().invoke(main, sys.argv[1:])
heavy = {"transformers", "datasets", "pandas", "scipy"}
imported = {name.partition(".")[0] for name in sys.modules}
print(done.exit_code, done.stderr.partition(". ")[0], *sorted(heavy & imported))
"""
    pair = ["--defense", "rift", "--attack", "genetic"]
    for arguments, wanted in (
        (
            ["evaluate", *pair, "--option", "defense.alpa=1"],
            "Error: Option 'defense.alpa': there is no 'alpa' among the options of 'rift'",
        ),
        (
            ["sweep", *pair, "--option", "defense.alpa=1,2"],
            "Error: Option 'defense.alpa': there is no 'alpa' among the options of 'rift'",
        ),
        (
            ["sweep", *pair, "--task", "imbd", "--option", "defense.alpha=1,2"],
            "Error: There is no task 'imbd'",
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout == f"2 {wanted}\n"


def test_known_names_and_options_are_accepted() -> None:
    for values in (
        {"defenses": ("all",), "attacks": ("all",), "tasks": ("all",)},
        {
            "defenses": ("ascc+mixout",),
            "options": {"mixout.probability": "0.5", "defense.epochs": "1"},
        },
    ):
        check_names(EvaluationRequest.model_validate(values))
