"""Files that only other programs read: workflows, templates and the citation are well formed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_job_of_a_workflow_has_a_machine_steps_and_a_time_limit(path: Path) -> None:
    jobs = read(path)["jobs"]
    assert jobs
    for job in jobs.values():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job)
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_needs_of_other_jobs_only_what_exists(path: Path) -> None:
    jobs = read(path)["jobs"]
    assert {job["needs"] for job in jobs.values() if "needs" in job} <= set(jobs)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_fields_of_an_issue_template_have_labels(path: Path) -> None:
    fields = [field for field in read(path).get("body", []) if field["type"] != "markdown"]
    assert all(field["attributes"]["label"] for field in fields)


def test_the_citation_has_the_version_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert read(ROOT / "CITATION.cff")["version"] == project["version"]


# -- dependencies ----------------------------------------------------------------------------------

FIXED = {
    # torch.load ran code or wrote over memory in spite of weights_only.
    "torch": "2.10",  # CVE-2025-32434, CVE-2026-24747
    "nltk": "3.10.4",  # CVE-2024-39705, CVE-2025-14009, and several of 2026
    "pyarrow": "23.0.1",  # CVE-2023-47248, CVE-2026-25087
    "tqdm": "4.66.3",  # CVE-2024-34062
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701
    "scikit-learn": "1.5",  # CVE-2024-5206
    # Versions before run code of a data set's repository.
    "datasets": "4.0",
    "setuptools": "78.1.1",  # CVE-2025-47273
    "pytest": "9.0.3",  # CVE-2025-71176
    "jinja2": "3.1.6",  # CVE-2025-27516
}
"""Package -> the first version without the security holes that were known when this was written."""


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def lower_bounds() -> dict[str, set[str]]:
    """Return the lower bounds of each package that pyproject.toml names."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*content["build-system"]["requires"], *content["project"]["dependencies"]]
    for extra in content["project"]["optional-dependencies"].values():
        wanted += extra
    found: dict[str, set[str]] = {}
    for each in wanted:
        match = re.match(r"([A-Za-z0-9_.-]+)(?:\[.*?\])?.*?>=([0-9.]+)", each)
        if match:
            found.setdefault(match[1].lower(), set()).add(match[2])
    return found


def test_no_lower_bound_lets_a_known_security_hole_in() -> None:
    bounds = lower_bounds()
    for package, fixed in FIXED.items():
        assert bounds[package], package
        assert min(map(version, bounds[package])) >= version(fixed), package


def test_the_pinned_versions_lie_above_the_lower_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    pinned = {name.lower().replace("_", "-"): found for name, found in pinned.items()}
    for package, bounds in lower_bounds().items():
        if package in pinned:
            found = version(re.match(r"[0-9.]+", pinned[package])[0])  # type: ignore[index]
            assert found >= max(map(version, bounds)), package


def test_known_holes_are_looked_for_every_week_and_when_versions_change() -> None:
    # YAML reads the key "on" as true.
    triggers = read(ROOT / ".github" / "workflows" / "audit.yml")[True]
    assert len(triggers["schedule"][0]["cron"].split()) == 5
    assert triggers["schedule"][0]["cron"].endswith("* * 1")
    for event in ("push", "pull_request"):
        assert {"constraints.txt", "pyproject.toml"} <= set(triggers[event]["paths"])


def test_every_hole_that_the_audit_passes_over_has_a_reason() -> None:
    lines = (ROOT / ".github" / "audit-ignored.txt").read_text(encoding="utf-8").splitlines()
    ignored = [line for line in lines if not line.startswith("#")]
    assert ignored
    for line in ignored:
        assert re.fullmatch(r"CVE-\d{4}-\d+ \S.{60,}", line)
        assert line.split()[0] in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_a_release_is_tried_with_hashes_and_publishes_them() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert "make hashes" in text
    assert "--require-hashes" in text
    assert 'gh release create "$TAG" dist/* requirements-release.txt' in text
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--generate-hashes" in makefile
