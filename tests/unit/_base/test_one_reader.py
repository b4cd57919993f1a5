"""Every place that reads a file uses the one reader, or says here why it need not.

A new call of ``open``, ``json.loads`` or another reading function fails the test until somebody has
decided whether its file may come from a stranger.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

READING = {
    "open",
    "fdopen",
    "read_text",
    "read_bytes",
    "loads",
    "safe_load",
    "load_file",
    "safe_open",
    "memmap",
    "fromfile",
    "loadtxt",
    "genfromtxt",
    "read_csv",
    "read_json",
    "read_parquet",
    "read_pickle",
    "read_table",
    "ParquetFile",
    "ZipFile",
    "TarFile",
    "GzipFile",
    "LZMAFile",
    "BZ2File",
}
"""Names of functions and methods that read a file or parse its content."""
LOADERS = {"json", "tomllib", "torch", "np", "numpy", "pickle", "marshal", "joblib", "yaml", "csv"}
"""Modules whose function ``load`` reads a file. Plugins and victims are "loaded" too."""

OWN = {
    "robench._base.bounded_reading",
    "robench._base.regular_files",
    "robench._base.strict_documents",
    "robench.tasks.own.parquet_files",
    "robench.tasks.own.tables",
    "robench.tasks.own.text_files",
}
"""The one reader itself. Its functions may be called anywhere by their plain names."""

INSTALLED = "reads what is installed with robench, or installed plugins"
WRITES = "writes a file of this run"
MACHINE = "reads the machine's own files"
BOUNDED = "reads from a stream or bytes that the one reader has checked"
HASHED = "reads a file of a victim whose hash has been checked"

ALLOWED: dict[str, tuple[Counter[str], str]] = {
    "robench._base.child": (Counter(loads=1), "reads the answer of a child process of this run"),
    "robench._base.fork_server": (Counter(read_text=1), MACHINE),
    "robench._base.forked_process": (Counter(open=1), "writes to a child process of this run"),
    "robench._base.server_process": (Counter(loads=1), "reads what its own parent tells it"),
    "robench._base.seals": (Counter(loads=1, open=2), WRITES),
    "robench.inspection.health": (
        Counter(loads=2, open=1, read_text=1),
        "reads the answers of a child process of this run",
    ),
    "robench.inspection.scaffold": (
        Counter(loads=1, read_text=2),
        "reads templates, and the pyproject.toml in the user's own folder",
    ),
    "robench.evaluation.remote_work": (
        Counter(read_bytes=1),
        "sends the files of a victim, which are checked where they are read",
    ),
    "robench.evaluation.moved_files": (
        Counter(fdopen=1, open=1),
        "copies files of a victim, which are checked where they are read",
    ),
    "robench.models.encoder_fetching": (Counter(open=2), "writes files, whose hash is compared"),
    "robench.records.verified": (Counter(open=1), "locks a folder and reads nothing"),
    "robench.site.bundled": (Counter(read_text=1), INSTALLED),
    "robench.submission.packing": (Counter(open=1, ZipFile=1), "writes an archive"),
    "robench.models.smoother": (Counter(safe_open=1), HASHED),
    "robench.models.victim_parts": (Counter(load_file=2), HASHED),
    "robench.tasks.archive_copies": (Counter(read_table=1), BOUNDED),
    "robench.tasks.archive_bounds": (Counter(ZipFile=1), BOUNDED),
    "robench.tasks.archives": (Counter(GzipFile=1, open=2), BOUNDED),
    "robench.testing.trainings": (Counter(load=1, read_bytes=1), WRITES),
    "robench.text.surface": (Counter(read_table=1), BOUNDED),
    "robench.verification.unpacking": (Counter(open=1), WRITES),
    "robench.text.wordnet": (Counter(open=1), "reads NLTK's own data"),
    "robench.training.checkpoint": (Counter(load=1, open=1), BOUNDED),
    "robench._base.arithmetic": (Counter(open=1), MACHINE),
    "robench._base.code_hash": (Counter(read_bytes=2), INSTALLED),
    "robench._base.environment": (Counter(read_text=3), MACHINE),
    "robench._base.files": (Counter(open=5), WRITES),
    "robench.inspection.catalogue": (Counter(read_text=1), INSTALLED),
    "robench.inspection.option_names": (Counter(read_text=2), INSTALLED),
    "robench.tasks.mini_reviews": (Counter(read_text=1, loads=1), INSTALLED),
    "robench.text.punkt": (Counter(read_text=1, loads=1), INSTALLED),
}
"""Module -> the reading calls that need not use the one reader, and why."""


def reading_calls(source: str) -> Counter[str]:
    """Count the calls of reading functions, without those of the one reader."""
    tree = ast.parse(source)
    from_reader = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in OWN
        for alias in node.names
    }
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            place = node.func.value
            loads = isinstance(place, ast.Name) and place.id in LOADERS and node.func.attr == "load"
            found[node.func.attr] += loads or node.func.attr in READING
        elif isinstance(node.func, ast.Name) and node.func.id in READING - from_reader:
            found[node.func.id] += 1
    return +found


def test_every_reading_call_is_known() -> None:
    found = {}
    for folder in ("robench", "attacks", "defenses"):
        for path in sorted(Path(folder).rglob("*.py")):
            module = path.with_suffix("").as_posix().replace("/", ".")
            calls = reading_calls(path.read_text(encoding="utf-8"))
            if calls and module not in OWN:
                found[module] = calls
    assert found == {module: calls for module, (calls, _) in ALLOWED.items()}


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("open('a')", {"open": 1}),
        ("path.read_text()", {"read_text": 1}),
        ("import json\njson.loads(x)\njson.load(y)", {"loads": 1, "load": 1}),
        ("from json import loads\nloads(x)", {"loads": 1}),
        ("import pyarrow.parquet as pq\npq.read_table(x)", {"read_table": 1}),
        ("from robench._base.bounded_reading import read_text\nread_text(x)", {}),
        ("from robench._base.bounded_reading import read_text\nx.read_text()", {"read_text": 1}),
        ("victim.load(x)\ntorch.load(x)", {"load": 1}),
        ("def load(): pass", {}),
    ],
)
def test_the_test_notices_a_new_call(source: str, calls: dict[str, int]) -> None:
    assert reading_calls(source) == Counter(calls)


def test_every_reason_is_about_a_module_that_is_there() -> None:
    for module in ALLOWED:
        assert Path(f"{module.replace('.', '/')}.py").is_file()
