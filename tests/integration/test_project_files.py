"""Files that only other programs read: workflows, templates and the citation are well formed."""

from __future__ import annotations

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
