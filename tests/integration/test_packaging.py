"""The wheel holds what the repository holds; make and the CI script say what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from guests import robench
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.xdist_group("packaging")  # one wheel serves them all

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = ("robench", "attacks", "defenses")


def tracked(*folders: str) -> list[str]:
    """Return the existing files under version control, relative to the checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel from a copy of the tracked files.

    Files of this checkout that are not tracked could hide a missing one.
    """
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked(*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(target),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (built,) = target.iterdir()
    return built


def test_the_wheel_holds_every_tracked_file_and_nothing_else(wheel: Path) -> None:
    expected = {
        name if name.startswith("robench/") else f"robench/{name}" for name in tracked(*FOLDERS)
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found - expected == set()
    assert expected - found == set()
    assert {
        "robench/py.typed",
        "robench/embedded/tiny/model.safetensors",
        "robench/embedded/mini_reviews/test.jsonl",
    } <= found


def test_the_metadata_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = next(name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name)
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        points = archive.read(f"{info}/entry_points.txt").decode()
        licences = {
            name: archive.read(f"{info}/licenses/{name}").decode()
            for name in metadata.get_all("License-File", [])
        }
    assert (metadata["Name"], metadata["Requires-Python"]) == ("robench", ">=3.11")
    assert points.split() == ["[console_scripts]", "robench", "=", "robench.cli:main"]
    # A reader of the metadata alone must not think that the embedded weights are under MIT.
    assert metadata["License-Expression"] == (
        "MIT AND LicenseRef-imdb-research-use AND LicenseRef-WordNet-3.0 "
        "AND BSD-3-Clause AND ISC AND 0BSD AND Unlicense"
    )
    assert set(licences) == {
        "LICENSE",
        "robench/embedded/tiny/LICENSE",
        "robench/embedded/mini_reviews_held_out/LICENSE",
        "robench/site/bundled/LICENSES.txt",
    }
    assert "MIT License" in licences["LICENSE"]
    assert "non-commercial" in licences["robench/embedded/tiny/LICENSE"]


def test_the_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    env = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "site"),
        "XDG_CACHE_HOME": str(tmp_path),
        "COLUMNS": "200",
    }
    where = subprocess.run(
        [sys.executable, "-c", "import robench; print(robench.__file__, len(robench.__path__))"],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
        check=True,
    )
    assert where.stdout.split() == [str(tmp_path / "site" / "robench" / "__init__.py"), "1"]
    listed = robench("list", env=env, cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert {"genetic", "pwws", "standard", "rift", "mini-reviews"} <= set(listed.stdout.split())
    planned = robench(
        "evaluate", "--defense", "rift", "--attack", "genetic", "--dry-run", env=env, cwd=tmp_path
    )
    assert planned.returncode == 0, planned.stderr
    assert "1000 of 1000" in planned.stdout


def test_every_package_is_listed_by_hand() -> None:
    folders = {
        Path(name).parent.as_posix()
        for name in tracked(*FOLDERS)
        if Path(name).name == "__init__.py"
    }
    expected = {
        (folder if folder.startswith("robench") else f"robench/{folder}").replace("/", ".")
        for folder in folders
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == expected


def test_attacks_cannot_be_imported_under_another_name() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import attacks"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ImportError: Import the built-in attacks as 'robench.attacks'" in done.stderr


def pins() -> dict[str, str]:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines)
    }


def test_constraints_pin_every_direct_dependency_inside_its_range() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        Requirement(line)
        for line in [
            *PROJECT["project"]["dependencies"],
            *(line for lines in extras.values() for line in lines),
        ]
    ]
    for requirement in wanted:
        if requirement.name != "robench":
            assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)]), str(
                requirement
            )


def test_every_constraint_is_an_exact_version() -> None:
    assert pins()["torch"] == "2.13.0"
    assert all(version and "+" not in version and " " not in version for version in pins().values())


def test_no_tracked_file_names_a_folder_of_one_machine() -> None:
    places = ["/" + "root/", "/" + "home/", "/" + "work/", "/opt" + "/", "../" + "shared"]
    found = []
    for name in tracked():
        content = (ROOT / name).read_bytes()
        found += [(name, place) for place in places if place.encode() in content]
    assert found == [(".ci/run", "../" + "shared")]


def make(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    return subprocess.run(
        ["make", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "MAKEFLAGS": ""},
        check=False,
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder with the files that ``make install`` needs, and an old interpreter."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    old = tmp_path / "oldpython"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.1"\nexit 1\n')
    old.chmod(0o755)
    return tmp_path


def test_make_says_that_python_is_too_old(bare: Path) -> None:
    done = make("PYTHON=./oldpython", "install", cwd=bare)
    assert done.returncode != 0
    assert (
        "robench needs Python 3.11 or newer and './oldpython' is Python 3.8.1: "
        "name another one: make PYTHON=python3.12 install" in done.stderr
    )
    assert not (bare / ".venv").exists()


def test_make_says_that_python_is_missing(bare: Path) -> None:
    assert (
        "There is no 'nopython' here: install Python 3.11 or newer"
        in make("PYTHON=nopython", "install", cwd=bare).stderr
    )


def test_a_second_install_does_nothing(bare: Path) -> None:
    (bare / ".venv").mkdir()
    (bare / ".venv" / ".installed").touch()
    assert (
        "Nothing to be done for 'install'" in make("PYTHON=./oldpython", "install", cwd=bare).stdout
    )


def test_make_help_names_every_target(bare: Path) -> None:
    shown = make(cwd=bare).stdout
    for target in ("install", "evaluate", "test", "lint", "clean"):
        assert f"make {target} " in shown


@pytest.mark.parametrize(("given", "exists"), [(None, True), (None, False), ("own", True)])
def test_the_ci_script_names_the_data_and_runs_the_tests(
    tmp_path: Path, given: str | None, exists: bool
) -> None:
    script = tmp_path / "checkout" / ".ci" / "run"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", script)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "make").write_text(
        '#!/bin/sh\necho "make $* in $(pwd) with ${ROBENCH_DATA:-no data}"\n'
    )
    (tools / "make").chmod(0o755)
    data = tmp_path / given if given else tmp_path.joinpath("shared", "data")
    if exists:
        data.mkdir(parents=True)
    env = {name: value for name, value in os.environ.items() if name != "ROBENCH_DATA"} | {
        "PATH": f"{tools}:{os.environ['PATH']}"
    }
    done = subprocess.run(
        ["bash", str(script)],
        env=env | ({"ROBENCH_DATA": str(data)} if given else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where = f"in {tmp_path / 'checkout'} with {data if exists else 'no data'}"
    packing = "tests/contract/test_packing.py tests/unit/search/test_packing.py"
    assert done.stdout.splitlines() == [
        f"make test {where}",
        f"make test-processors INSTRUCTION_SETS=AVX2 PROCESSOR_TESTS={packing} {where}",
    ]
