"""No call in the tree loads a file in a way that can run code of the file.

Every Python file of the project is parsed, with the notebook and the Python blocks of the pages. A
call that is not safe by itself stands in ``EXEMPT`` with its reason.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("robench", "attacks", "defenses", "scripts", "benchmarks", "examples", "tests", "docs")

OWN_CODE = "names a module of an installed package, never a file of data"
OWN_FOLDER = "loads a folder that the test itself wrote, as a user of transformers would"
OWN_OBJECT = "reads back what the test itself wrote"
EXEMPT = {
    ("robench/_base/pretrained.py", "from_pretrained"): "passes on what the user allowed",
    ("robench/_base/pretrained.py", "from_config"): "passes on what the user allowed",
    ("robench/models/hub_model.py", "super().from_pretrained"): "is such a method itself",
    ("robench/_base/child.py", "pickle.loads"): "reads what the parent process made in memory",
    ("robench/_base/lazy.py", "import_module"): OWN_CODE,
    ("robench/evaluation/backend.py", "import_module"): OWN_CODE,
    ("robench/plugins/registry.py", "import_module"): OWN_CODE,
    ("attacks/families/textattack.py", "import_module"): OWN_CODE,
    ("robench/training/tracking.py", "import_module"): "the user names this module on purpose",
    ("docs/sharing-victims.md", "pipeline"): "says what the folder's own code is",
    ("tests/golden/card/attacked.md", "pipeline"): "the same on a model card",
    ("tests/golden/card/pair.md", "pipeline"): "the same on a model card",
    ("tests/unit/sharing/test_transformers.py", "pipeline"): OWN_FOLDER,
    ("tests/unit/sharing/test_transformers.py", "from_pretrained"): OWN_FOLDER,
    ("tests/unit/sharing/test_transformers.py", "eval"): OWN_FOLDER,
    ("tests/contract/test_plugin_imports.py", "import_module"): OWN_CODE,
    ("tests/unit/_base/test_code_hash.py", "import_module"): OWN_CODE,
    ("tests/unit/defenses/test_mixout.py", "import_module"): OWN_CODE,
    ("tests/unit/tasks/test_mini_reviews_data.py", "import_module"): OWN_CODE,
    ("tests/unit/tasks/test_public_tasks.py", "import_module"): OWN_CODE,
    ("tests/unit/test_public_names.py", "import_module"): OWN_CODE,
    ("tests/unit/models/test_first_token.py", "weights_only of load"): OWN_OBJECT,
    ("tests/unit/search/test_space.py", "pickle.loads"): OWN_OBJECT,
    ("scripts/board_runs.py", "import_module"): OWN_CODE,
    ("tests/unit/models/test_encoder_fetching.py", "__import__"): "imports what it was asked for",
    ("tests/unit/models/test_victim_folder.py", "exec"): "runs the code that robench itself wrote",
}
"""File, call -> why it is no danger."""

UNSAFE_MODULES = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "_pickle"}
UNSAFE_NAMES = {
    "eval": "eval",
    "exec": "exec",
    "__import__": "__import__",
    "read_pickle": "read_pickle",
    "run_path": "run_path",
    "spec_from_file_location": "spec_from_file_location",
    "unsafe_load": "unsafe_load",
    "full_load": "full_load",
    "Unpickler": "Unpickler",
}
WORDS = re.compile(
    r"from_pretrained|from_config|pipeline\(|weights_only|load|pickle|shelve|yaml|marshal|joblib"
    r"|\beval\(|\bexec\(|__import__|import_module|run_path|spec_from_file_location"
)
TRANSFORMERS = {"from_pretrained", "from_config", "pipeline"}


def _name(node: ast.AST) -> str:
    """Return the dotted name of a call's function; ``()`` stands for what is no name."""
    if isinstance(node, ast.Attribute):
        before = _name(node.value)
        return f"{before or '()'}.{node.attr}"
    if isinstance(node, ast.Call) and _name(node.func) == "super":
        return "super()"
    return node.id if isinstance(node, ast.Name) else ""


def _aliases(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for: ``np`` -> ``numpy``."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                if each.asname:
                    found[each.asname] = each.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                found[each.asname or each.name] = f"{node.module}.{each.name}"
    return found


def _literal(call: ast.Call, keyword: str) -> object:
    """Return the literal value of a keyword; Ellipsis where there is none."""
    for each in call.keywords:
        if each.arg == keyword and isinstance(each.value, ast.Constant):
            return each.value.value
    return ...


def unsafe_calls(source: str) -> Iterator[tuple[str, int]]:
    """Yield the short name and the line of every call that can run code of what it loads."""
    # Most files hold none of these words and need not be parsed.
    if not WORDS.search(source):
        return
    tree = ast.parse(source)
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = _name(node.func).partition(".")
            short = _judge(node, aliases.get(first, first) + dot + rest)
            if short:
                yield short, node.lineno


def _judge(call: ast.Call, name: str) -> str:
    module, _, last = name.rpartition(".")
    root = name.partition(".")[0]
    if last in TRANSFORMERS:
        safe = _literal(call, "trust_remote_code") is False
        return "" if safe else f"{'super().' if module == 'super()' else ''}{last}"
    if any(
        each.arg == "weights_only" and _literal(call, "weights_only") is not True
        for each in call.keywords
    ):
        return f"weights_only of {last}"
    if root in UNSAFE_MODULES and last in {"load", "loads", "open", "Unpickler"}:
        return f"{root}.{last}"
    if root == "torch" and last == "load":
        return "" if _literal(call, "weights_only") is True else "torch.load"
    if root == "numpy" and last == "load":
        return "" if _literal(call, "allow_pickle") is False else "numpy.load"
    if root == "yaml" and last in {"load", "load_all"}:
        return f"yaml.{last}"
    if last == "import_module" and not (call.args and isinstance(call.args[0], ast.Constant)):
        return "import_module"
    # A method of another object, such as model.eval() or connection.exec(), is another thing.
    if last in {"eval", "exec"} and module and root not in {"builtins", "pandas"}:
        return ""
    return UNSAFE_NAMES.get(last, "")


def sources(path: Path) -> Iterator[str]:
    """Yield the Python texts in a file: a module, the cells of a notebook, or a page's blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield text
    elif path.suffix == ".ipynb":
        for cell in json.loads(text)["cells"]:
            if cell["cell_type"] == "code":
                yield "".join(cell["source"])
    else:
        for block in re.findall(r"^ *```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            yield dedent(block)


def files() -> Iterator[Path]:
    for folder in FOLDERS:
        for pattern in ("*.py", "*.ipynb", "*.md"):
            yield from sorted((ROOT / folder).rglob(pattern))
    yield from sorted(ROOT.glob("*.md"))


def found_in(path: Path) -> set[str]:
    found = set()
    for source in sources(path):
        try:
            found |= {short for short, _ in unsafe_calls(source)}
        except SyntaxError:
            # A block of a page may be a sketch with "…" or a prompt.
            assert path.suffix == ".md", path
    return found


@pytest.fixture(scope="module")
def found() -> set[tuple[str, str]]:
    return {
        (path.relative_to(ROOT).as_posix(), short) for path in files() for short in found_in(path)
    }


def test_every_loading_call_of_the_tree_is_safe(found: set[tuple[str, str]]) -> None:
    assert sorted(found - set(EXEMPT)) == []


def test_every_exemption_is_needed(found: set[tuple[str, str]]) -> None:
    assert sorted(set(EXEMPT) - found) == []


def test_the_whole_tree_is_looked_at() -> None:
    looked = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {
        "robench/models/encoders.py",
        "attacks/pwws.py",
        "defenses/rift.py",
        "examples/own_model.py",
        "docs/sharing-victims.md",
        "README.md",
    } <= looked
    assert any(name.endswith(".ipynb") for name in looked)
    assert len(looked) > 700


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ("AutoModel.from_pretrained(place)", "from_pretrained"),
        ("AutoModel.from_pretrained(place, trust_remote_code=None)", "from_pretrained"),
        ("AutoModel.from_pretrained(place, trust_remote_code=yes)", "from_pretrained"),
        ("AutoModel.from_pretrained(place, trust_remote_code=True)", "from_pretrained"),
        ("AutoModel.from_pretrained(place, **options)", "from_pretrained"),
        ("getattr(transformers, kind).from_pretrained(place)", "from_pretrained"),
        ("loaders[kind].from_pretrained(place)", "from_pretrained"),
        ("AutoModel.from_config(config)", "from_config"),
        ("from transformers import pipeline\npipeline('text-classification')", "pipeline"),
        ("super().from_pretrained(*args)", "super().from_pretrained"),
        ("import torch\ntorch.load(path)", "torch.load"),
        ("import torch\ntorch.load(path, weights_only=False)", "weights_only of load"),
        ("from torch import load as read\nread(path)", "torch.load"),
        ("AutoModel.read(place, weights_only=flag)", "weights_only of read"),
        ("import torch as t\nt.load(path)", "torch.load"),
        ("import numpy as np\nnp.load(path)", "numpy.load"),
        ("import numpy as np\nnp.load(path, allow_pickle=True)", "numpy.load"),
        ("import pickle\npickle.load(file)", "pickle.load"),
        ("from pickle import loads\nloads(content)", "pickle.loads"),
        ("import pickle as p\np.Unpickler(file)", "pickle.Unpickler"),
        ("import joblib\njoblib.load(path)", "joblib.load"),
        ("import yaml\nyaml.load(text)", "yaml.load"),
        ("import yaml\nyaml.full_load(text)", "full_load"),
        ("import pandas as pd\npd.read_pickle(path)", "read_pickle"),
        ("import pandas as pd\npd.eval(text)", "eval"),
        ("eval(text)", "eval"),
        ("exec(code, names)", "exec"),
        ("__import__(name)", "__import__"),
        ("import importlib\nimportlib.import_module(name)", "import_module"),
        (
            "from importlib.util import spec_from_file_location as s\ns(a, b)",
            "spec_from_file_location",
        ),
        ("import runpy\nrunpy.run_path(path)", "run_path"),
    ],
)
def test_an_unsafe_call_is_found(source: str, short: str) -> None:
    assert [name for name, _ in unsafe_calls(source)] == [short]


@pytest.mark.parametrize(
    "source",
    [
        "AutoModel.from_pretrained(place, trust_remote_code=False)",
        "import torch\ntorch.load(path, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "import yaml\nyaml.safe_load(text)",
        "import json\njson.load(file)",
        "model.eval()",
        "make().eval()",
        "import importlib\nimportlib.import_module('robench.defenses.rift')",
        "Victim.load(folder)",
    ],
)
def test_a_safe_call_is_left_alone(source: str) -> None:
    assert list(unsafe_calls(source)) == []


def test_blocks_of_pages_and_cells_of_notebooks_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python\neval(text)\n```\n\n```bash\nexec(x)\n```\n")
    assert found_in(page) == {"eval"}
    notebook = tmp_path / "book.ipynb"
    cells = [{"cell_type": "code", "source": ["import pickle\n", "pickle.loads(x)\n"]}]
    notebook.write_text(json.dumps({"cells": cells}))
    assert found_in(notebook) == {"pickle.loads"}
