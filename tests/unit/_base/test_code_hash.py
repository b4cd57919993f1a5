from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from time import process_time
from types import ModuleType

import pytest

import robench
from robench import ATTACKS, DEFENSES
from robench._base.code_hash import code_sha256, source_sha256
from robench._base.code_meaning import meaning, read_code
from robench._base.errors import UsageError
from robench._base.key_code import TRAINING_CODE


def package(folder: Path, name: str, **files: str) -> Path:
    home = folder / name
    home.mkdir(parents=True)
    for stem, text in {"__init__": "", **files}.items():
        (home / f"{stem}.py").write_text(text)
    return home


def loaded(name: str) -> ModuleType:
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_a_package_counts_with_every_module_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "counted_whole", one="A = 1\n", two="B = 2\n")
    seen = set()
    for edit in (None, ("one", "A = 2\n"), ("two", "B = 3\n"), ("three", "C = 1\n")):
        if edit is not None:
            (home / f"{edit[0]}.py").write_text(edit[1])
        source_sha256.cache_clear()
        seen.add(source_sha256("counted_whole"))
    assert len(seen) == 4
    assert source_sha256("counted_whole.one") != source_sha256("counted_whole.two")


def test_a_file_keeps_the_hash_of_its_package_when_it_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "renamed_inside", one="A = 1\n", two="B = 2\n")
    before = source_sha256("renamed_inside")
    (home / "one.py").rename(home / "uno.py")
    room = package(home, "room", __init__='"""A new room."""\n')
    (home / "two.py").rename(room / "two.py")
    source_sha256.cache_clear()
    assert source_sha256("renamed_inside") == before


def test_neither_order_nor_overlap_of_the_modules_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "listed_twice", one="A = 1\n", two="B = 2\n")
    whole = source_sha256("listed_twice")
    assert source_sha256("listed_twice.two", "listed_twice.one") == whole
    assert source_sha256("listed_twice", "listed_twice.one") == whole


def test_an_unknown_module_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        source_sha256("no_such_module")


def test_a_built_in_counts_with_its_own_file() -> None:
    assert code_sha256(DEFENSES.get("rift")) == source_sha256("robench.defenses.rift")
    assert len({code_sha256(ATTACKS.get(name)) for name in ("genetic", "pwws")}) == 2


def test_a_guest_counts_with_its_whole_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "two_files_of_a_guest", plugin="class Mine: ...\n", helper="X = 1\n")
    mine = loaded("two_files_of_a_guest.plugin").Mine
    before = code_sha256(mine)
    (home / "helper.py").write_text("X = 2\n")
    source_sha256.cache_clear()
    assert code_sha256(mine) != before


def test_a_class_made_at_run_time_has_no_code() -> None:
    assert code_sha256(type("Made", (), {"__module__": "nowhere"})) is None


def test_the_modules_in_further_code_count_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "counted_further", helper="A = 1\n")
    pwws = ATTACKS.get("pwws")
    helped = type(
        "Helped", (pwws,), {"__module__": pwws.__module__, "further_code": ("counted_further",)}
    )
    before = code_sha256(helped)
    assert before != code_sha256(pwws)
    (home / "helper.py").write_text("A = 2\n")
    source_sha256.cache_clear()
    assert before != code_sha256(helped)


def test_a_guest_in_another_language_counts_byte_by_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "future_guest", plugin="class Mine: ...\n", odd="no python\n")
    mine = loaded("future_guest.plugin").Mine
    before = code_sha256(mine)
    (home / "odd.py").write_text("no python  # still\n")
    source_sha256.cache_clear()
    assert code_sha256(mine) != before


def test_a_guest_may_move_its_own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugin = "from moving_guest.{} import x\nclass Mine:\n    y = x\n"
    home = package(tmp_path, "moving_guest", plugin=plugin.format("helper"), helper="x = 1\n")
    mine = loaded("moving_guest.plugin").Mine
    before = code_sha256(mine)
    (home / "helper.py").rename(home / "tools.py")
    (home / "plugin.py").write_text(plugin.format("tools"))
    source_sha256.cache_clear()
    assert code_sha256(mine) == before


# -- which of several files a name comes from ------------------------------------------------------


def keys_after(home: Path, cls: type, *edits: dict[str, str]) -> list[str | None]:
    """Return the hash of a guest's class at first and after each edit (file -> its new text)."""
    keys = [code_sha256(cls)]
    for edit in edits:
        for name, text in edit.items():
            (home / f"{name}.py").write_text(text)
        source_sha256.cache_clear()
        keys.append(code_sha256(cls))
    return keys


TWO_VERSIONS = {"v1": "def loss(): return 1\n", "v2": "def loss(): return 2\n"}


@pytest.mark.parametrize(
    "line",
    [
        "from {top}.{version} import loss",
        "from .{version} import loss",
        "from {top}.{version} import *",
        "from {top}.{version} import loss as cost",
        "from . import {version} as impl",
        "import {top}.{version} as impl",
    ],
)
def test_an_import_switched_to_another_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    top = f"switching_guest_{abs(hash(line))}"
    plugin = f"{line}\nclass Mine: ...\n"
    first, second = (plugin.format(top=top, version=version) for version in ("v1", "v2"))
    home = package(tmp_path, top, plugin=first, **TWO_VERSIONS)
    mine = loaded(f"{top}.plugin").Mine
    before, switched, back = keys_after(home, mine, {"plugin": second}, {"plugin": first})
    assert before == back != switched


def test_a_re_export_switched_to_another_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugin = "from re_exporting_guest import loss\nclass Mine: ...\n"
    home = package(tmp_path, "re_exporting_guest", plugin=plugin, **TWO_VERSIONS)
    (home / "__init__.py").write_text("from .v1 import loss\n")
    mine = loaded("re_exporting_guest.plugin").Mine
    first, second = keys_after(home, mine, {"__init__": "from .v2 import loss\n"})
    assert first != second


def test_a_file_of_re_exports_from_other_packages_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugin = "from .helper import total\nclass Mine: ...\n"
    helper = "from math import fsum as total\n"
    home = package(tmp_path, "passing_on_guest", plugin=plugin, helper=helper)
    mine = loaded("passing_on_guest.plugin").Mine
    first, second = keys_after(home, mine, {"helper": "from numpy import sum as total\n"})
    assert first != second


def test_a_file_with_a_name_that_others_define_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    plugin = "from .{} import loss\nclass Mine: ...\n"
    home = package(tmp_path, "two_of_a_name", plugin=plugin.format("v1"), **TWO_VERSIONS)
    mine = loaded("two_of_a_name.plugin").Mine
    before = code_sha256(mine)
    (home / "v1.py").rename(home / "first.py")
    (home / "plugin.py").write_text(plugin.format("first"))
    source_sha256.cache_clear()
    assert code_sha256(mine) == before


def test_files_that_import_each_other_have_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    ring = {"a": "from .b import *\nx = 1\n", "b": "from .a import *\nx = 2\n"}
    package(tmp_path, "ring_of_imports", **ring)
    assert len(source_sha256("ring_of_imports")) == 64


def test_a_public_name_pointed_at_another_module_changes_the_plugins_that_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = Path(robench.__file__).parent
    table, other = home / "methods" / "__init__.py", home / "plugins" / "names.py"
    source = table.read_text()
    pointed = source.replace(
        '"symmetric_divergence": "robench.methods.smoothness"',
        '"symmetric_divergence": "robench.plugins.names"',
    )
    assert pointed != source
    edited = {
        table: pointed.encode(),
        other: other.read_bytes() + b"\ndef symmetric_divergence(): ...\n",
    }
    real = Path.read_bytes
    users, others = ("smart",), ("standard", "mixout")
    before = {name: code_sha256(DEFENSES.get(name)) for name in (*users, *others)}
    monkeypatch.setattr(Path, "read_bytes", lambda file: edited.get(file) or real(file))
    source_sha256.cache_clear()
    after = {name: code_sha256(DEFENSES.get(name)) for name in (*users, *others)}
    # Later tests read the files as they are.
    source_sha256.cache_clear()
    assert {name for name in before if before[name] != after[name]} == set(users)


def test_a_namespace_package_counts_with_every_module_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    home = package(tmp_path, "guest_without_init", plugin="class Mine: ...\n", helper="X = 1\n")
    (home / "__init__.py").unlink()
    mine = loaded("guest_without_init.plugin").Mine
    first, second = keys_after(home, mine, {"helper": "X = 2\n"})
    assert first != second


@pytest.mark.parametrize("name", ["robench.methods.textatack", "no_such_package.part"])
def test_a_mistyped_name_in_further_code_is_an_error(name: str) -> None:
    pwws = ATTACKS.get("pwws")
    mistyped = type("Mistyped", (pwws,), {"__module__": pwws.__module__, "further_code": (name,)})
    with pytest.raises(UsageError, match=rf"further_code of .*Mistyped names '{name}'"):
        code_sha256(mistyped)


def test_a_plugin_in_a_script_counts_with_its_further_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package(tmp_path, "used_by_a_script", helper="A = 1\n")
    script = ModuleType("a_script")
    script.__file__ = str(tmp_path / "used_by_a_script" / "helper.py")
    monkeypatch.setitem(sys.modules, "a_script", script)
    alone = type("Mine", (), {"__module__": "a_script"})
    helped = type(
        "Mine", (alone,), {"__module__": "a_script", "further_code": ["used_by_a_script"]}
    )
    assert code_sha256(alone) is not None
    assert code_sha256(alone) != code_sha256(helped)


# -- what counts in a file -------------------------------------------------------------------------

CODE = '''
"""A module."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from robench.text.words import split_words

if TYPE_CHECKING:
    from robench.tasks.base import Example

__all__ = ["Field", "score"]
LIMIT: int = 3
"""At most so many."""


class Field(Base):
    """A field."""

    size: int
    """In words."""
    rate: float = 0.5


class Empty: ...


@cached
def score(words: Sequence[str], example: Example, floor: float = 0.1) -> str:
    """Score."""
    total: float = 0.0
    for word in words:
        total += sqrt(len(split_words(word)))
        print(word)
    if total > LIMIT:
        total = np.log(total)
    return f"{total:.3f} of {example.id!r}" "."
'''


def edited(old: str, new: str) -> str:
    assert CODE.count(old) == 1, old
    return meaning(CODE.replace(old, new).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another wording."""'),
        ('"""A module."""', ""),
        ('"""At most so many."""', '"""The limit."""'),
        ('"""In words."""', ""),
        ('    """Score."""\n', '    """Return the score.\n\n    Args: ...\n    """\n'),
        ("class Empty: ...", 'class Empty:\n    """Holds nothing."""'),
        ("class Empty: ...", "class Empty:\n    pass"),
        ("LIMIT: int = 3", "LIMIT = 3  # words"),
        ("LIMIT: int = 3", "LIMIT: Final = (0x3)"),
        ("total: float = 0.0", "total = 0.0"),
        ("words: Sequence[str]", "words: list[str]"),
        ("words: Sequence[str]", "words"),
        (" -> str:", " -> Any:"),
        ("floor: float = 0.1) -> str", "floor: float = 0.1,\n) -> str"),
        ("from collections.abc import Sequence\n", "from collections.abc import Iterable\n"),
        ("import numpy as np\n", "import numpy as np\nfrom typing import Final\n"),
        ("from robench.text.words import split_words", "from .splitting import split_words"),
        ("from robench.text.words import split_words", "from robench.x import split_words, y"),
        ("    from robench.tasks.base import Example", "    from robench.tasks.example import *"),
        ('__all__ = ["Field", "score"]', '__all__ = ["score"]'),
        ('"{total:.3f} of {example.id!r}" "."', '"{total:.3f}" f" of {example.id!r}."'),
    ],
)
def test_wording_and_formatting_do_not_count(old: str, new: str) -> None:
    assert edited(old, new) == meaning(CODE.encode())


def test_the_place_of_an_import_does_not_count() -> None:
    later = CODE.replace("from math import sqrt\n", "").replace(
        "    total: float", "    from math import sqrt\n\n    total: float"
    )
    assert later != CODE
    assert meaning(later.encode()) == meaning(CODE.encode())


FALLBACK = "try:\n    {}\nexcept ImportError:\n    {}\n"
ARMS = "if fast:\n    {}\nelse:\n    {}\n"
ONE_AFTER_THE_OTHER = "{}\n{}\n"
IN_A_CLASS = "class A:\n    {}\n    {}\n"
IN_TWO_FUNCTIONS = "def f():\n    {}\ndef g():\n    {}\n"


@pytest.mark.parametrize(
    "file", [FALLBACK, ARMS, ONE_AFTER_THE_OTHER, IN_A_CLASS, IN_TWO_FUNCTIONS]
)
@pytest.mark.parametrize(
    "imports",
    [
        ("import fast as m", "import slow as m"),
        ("from fast import m", "from slow import m"),
        ("from .fast import loss as m", "from .slow import cost as m"),
    ],
)
def test_which_of_two_imports_binds_a_name_counts(file: str, imports: tuple[str, str]) -> None:
    first, second = imports
    assert meaning(file.format(first, second).encode()) != meaning(
        file.format(second, first).encode()
    )


@pytest.mark.parametrize("file", [FALLBACK, ARMS, ONE_AFTER_THE_OTHER])
def test_which_of_two_own_files_a_name_comes_from_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    top = f"choosing_guest_{abs(hash(file))}"
    home = package(tmp_path, top, choice=file.format("", "pass"), **TWO_VERSIONS)
    seen = set()
    for versions in (("v1", "v2"), ("v2", "v1")):
        imports = (f"from .{version} import loss" for version in versions)
        (home / "choice.py").write_text(file.format(*imports))
        source_sha256.cache_clear()
        seen.add(source_sha256(top))
    assert len(seen) == 2


def test_the_order_of_imports_with_different_names_does_not_count() -> None:
    assert meaning(b"import a\nimport b.c\nimport b.d\n") == meaning(
        b"import b.d\nimport b.c\nimport a\n"
    )


def test_an_import_after_a_definition_of_the_name_counts_where_it_stands() -> None:
    definition, other = "def loss(): ...\n", "from fast import loss\n"
    assert meaning((definition + other).encode()) != meaning((other + definition).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT: int = 3", "LIMIT: int = 4"),
        ("LIMIT: int = 3", "LIMIT: int = 3.0"),
        ("floor: float = 0.1", "floor: float = 0.2"),
        ("floor: float = 0.1", "*, floor: float = 0.1"),
        ("size: int", "size: float"),
        ("    size: int\n", ""),
        ("rate: float = 0.5", "rate = 0.5"),
        ("total > LIMIT", "total >= LIMIT"),
        ("total += sqrt", "total -= sqrt"),
        ("sqrt(len(", "sqrt(sum("),
        ("from math import sqrt", "from numpy import sqrt"),
        ("import split_words", "import join_words as split_words"),
        ("import numpy as np", "import torch as np"),
        ("import numpy as np\n", "import numpy as np\nimport patches_torch\n"),
        ("import numpy as np\n", "import numpy as np\nfrom math import fsum as shared\n"),
        ("@cached\n", ""),
        ("class Field(Base)", "class Field(Other)"),
        (":.3f}", ":.4f}"),
        ("!r}", "!s}"),
        (" of {", " in {"),
        ('{example.id!r}" "."', '{example.id!r}" "!"'),
        ('    """Score."""\n', '    log("""Score.""")\n'),
        ('    """Score."""\n', '    f"{words[0]}"\n'),
        ('    """Score."""\n', '    doc = """Score."""\n'),
        ("print(word)", "return word"),
        ("        print(word)\n    if", "    print(word)\n    if"),
        ("LIMIT: int", "EXTRA = 1\nLIMIT: int"),
    ],
)
def test_what_code_does_counts(old: str, new: str) -> None:
    assert edited(old, new) != meaning(CODE.encode())


def test_the_order_of_statements_counts() -> None:
    assert meaning(b"a()\nb()\n") != meaning(b"b()\na()\n")


def test_what_only_types_need_is_not_what_runs_otherwise() -> None:
    guarded = "if TYPE_CHECKING:\n    import a\nelse:\n    a = {}\n"
    assert meaning(guarded.format(1).encode()) == meaning(b"a = 1\n")
    assert meaning(guarded.format(1).encode()) != meaning(guarded.format(2).encode())


def test_a_file_of_words_alone_means_nothing() -> None:
    assert meaning(b'"""A package."""\n\nfrom .x import y  # shown here\n__all__ = ["y"]\n') == ""


def test_a_name_and_its_text_are_told_apart() -> None:
    sources = [b"x = inf", b"x = 1e999", b"x = 'inf'", b"x = b'inf'", b"x = None", b"x = 'None'"]
    assert len({meaning(source) for source in sources}) == len(sources)


@pytest.mark.slow
def test_no_file_of_robench_depends_on_its_formatting() -> None:
    files = list(Path(robench.__file__).parent.rglob("*.py"))
    assert files
    for file in files:
        source = file.read_bytes()
        assert meaning(ast.unparse(ast.parse(source)).encode()) == meaning(source), file


def test_a_key_costs_little_time() -> None:
    source_sha256.cache_clear()
    read_code.cache_clear()
    start = process_time()
    source_sha256(*TRAINING_CODE)
    # It takes 0.14 seconds on a quiet machine, and 0.006 where the files have been read.
    assert process_time() - start < 1
