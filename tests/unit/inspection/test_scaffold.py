"""``robench new`` writes files that work, checks the name, and overwrites nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from robench._base.errors import UsageError
from robench.cli import main
from robench.inspection.scaffold import write_plugin


@pytest.mark.slow
def test_new_packages_pass_their_own_tests_and_the_linter(tmp_path: Path) -> None:
    for kind, name in (
        ("defense", "my-method"),
        ("attack", "my-search2"),
        ("task", "my-reviews"),
    ):
        result = CliRunner().invoke(main, ["new", kind, name, "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output
        stem = name.replace("-", "_")
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(
            [f"{stem}.py", f"test_{stem}.py", "pyproject.toml"]
        )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 passed" in done.stdout
    rules = ["--isolated", "--select", "E,F,W,UP,B", "--line-length", "100"]
    lint = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *rules, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_the_page_on_tasks_shows_what_is_written(tmp_path: Path) -> None:
    plugin = write_plugin("task", "my-reviews", tmp_path)[0]
    page = Path(__file__).resolve().parents[3] / "docs" / "adding-a-task.md"
    shown = page.read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    written = plugin.read_text("utf-8").splitlines()
    assert "@TASKS.register" in shown
    docstrings = [line for line in shown.splitlines() if line.strip().startswith('"""')]
    assert [
        line for line in shown.splitlines() if line not in written and line not in docstrings
    ] == []


def test_the_project_file_names_the_entry_point(tmp_path: Path) -> None:
    write_plugin("attack", "one-word", tmp_path)
    project = tomllib.loads((tmp_path / "one-word" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"] == {
        "robench.attacks": {"one-word": "one_word:OneWord"}
    }
    assert project["tool"]["setuptools"]["py-modules"] == ["one_word"]


def test_inside_the_checkout_the_files_go_beside_the_built_ins(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "robench"\n')
    plugin, test = write_plugin("defense", "their-way", tmp_path)
    assert (plugin, test) == (
        tmp_path / "defenses" / "their_way.py",
        tmp_path / "tests" / "unit" / "defenses" / "test_their_way.py",
    )
    assert 'TheirWay = DEFENSES.get("their-way")' in test.read_text()
    assert "import their_way" not in test.read_text()


@pytest.mark.slow
def test_a_task_inside_the_checkout_passes_its_test(tmp_path: Path) -> None:
    """Copy what the test needs of the checkout, and run the written test there."""
    root = Path(__file__).resolve().parents[3]
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "robench"\n[tool.pytest.ini_options]\n'
        'addopts = "--import-mode=importlib"\n'
    )
    for folder in ("robench", "attacks", "defenses"):
        shutil.copytree(
            root / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    plugin, test = write_plugin("task", "their-data", tmp_path)
    assert plugin == tmp_path / "robench" / "tasks" / "their_data.py"
    assert test == tmp_path / "tests" / "unit" / "tasks" / "test_their_data.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(test)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "name",
    ["Bad", "bad_name", "-bad", "bad-", "2fast", "a--b", "", "päper", "a b", "../escape"],
)
def test_a_malformed_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError,
        match="cannot be a plugin's name: use lower-case letters and digits, words joined by '-'",
    ):
        write_plugin("attack", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_keyword_of_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^'class' cannot .* a keyword of Python\. .* my-class\.$"
    ):
        write_plugin("attack", "class", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["all", "attack", "defense", "task"])
def test_a_reserved_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError,
        match=(
            rf"^'{name}' cannot be a plugin's name: "
            rf"the command line gives it another meaning\. .* such as my-{name}\.$"
        ),
    ):
        write_plugin("attack", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_another_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=(
            r"^There is already an attack 'pwws' "
            r"\(see 'robench show attack pwws'\)\. Choose another name\.$"
        ),
    ):
        write_plugin("attack", "pwws", tmp_path)


def test_the_name_of_an_installed_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="A Python module 'json' is installed already"):
        write_plugin("attack", "json", tmp_path)


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("defence", " Did you mean 'defense'?"),
        ("taks", " Did you mean 'task'?"),
        ("board", ""),
    ],
)
def test_a_kind_without_a_template_is_refused(tmp_path: Path, kind: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        write_plugin(kind, "mine", tmp_path)
    assert (
        str(refused.value)
        == f"'robench new' makes an attack, a defense or a task, not '{kind}'.{hint}"
    )


@pytest.mark.parametrize("existing", ["mine.py", "test_mine.py", "pyproject.toml"])
def test_nothing_is_written_where_a_file_exists(tmp_path: Path, existing: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / existing).write_text("precious")
    with pytest.raises(UsageError, match="exists already and nothing is overwritten"):
        write_plugin("defense", "mine", tmp_path)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [existing]
    assert (tmp_path / "mine" / existing).read_text() == "precious"
