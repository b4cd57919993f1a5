"""Foreign code: find the code that a model's files would run, and refuse it unless it is allowed.

Five things in a model's folder can make transformers run or fetch something else than the weights:

- ``auto_map`` in ``config.json`` or ``tokenizer_config.json`` names classes in files of the folder,
  or of another repository;
- ``custom_generate/generate.py`` replaces a method of a language model. transformers runs it from a
  folder even with ``trust_remote_code=False``;
- an attention implementation such as ``"owner/kernel"`` in ``config.json`` is fetched from the hub
  and run, whatever ``trust_remote_code`` says;
- ``trust_remote_code`` in ``config.json`` overrides the answer of the caller for some models;
- ``adapter_config.json`` names another model, which is loaded instead.

``check_model`` and ``check_tokenizer`` look at the small files before transformers sees them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robench._base.bounded_reading import Unreadable, read_json
from robench._base.errors import UsageError
from robench._base.seals import file_sha256

ALLOW = "--trust-remote-code"
"""The option that allows foreign code; ``trust_remote_code=True`` in Python."""
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
GENERATE = "custom_generate/generate.py"
ADAPTER = "adapter_config.json"

_ran: set[str] = set()
"""Models whose code runs in this process."""

FindFile = Callable[[str], Path | None]
"""Name of a file of the model -> its path on this machine; None where there is none."""


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model, for the checks.

    Attributes:
        title: what messages call it, such as ``"Encoder 'mine'"``.
        location: a folder or a hub id.
        find: finds one of its files.
        allowed: whether the user allows its code.
        never: where no option allows it: why, as the end of a sentence, and what to do.
    """

    title: str
    location: str
    find: FindFile
    allowed: bool = False
    never: str = ""

    @property
    def folder(self) -> Path | None:
        """The folder; None for a hub id."""
        path = Path(self.location)
        return path if path.is_dir() else None

    def json(self, name: str) -> dict[str, Any]:
        """Return the object in one of the files; an empty one where there is no such file.

        Raises:
            UsageError: the file cannot be read or holds something else.
        """
        path = self.find(name)
        if path is None:
            return {}
        try:
            content = read_json(path)
        except Unreadable as error:
            raise UsageError(
                f"{self.title}: its {name} is damaged ({error.reason}). Get its files again."
            ) from error
        if not isinstance(content, dict):
            raise UsageError(
                f"{self.title}: its {name} is damaged (it holds no object). Get its files again."
            )
        return content


def check_model(files: ModelFiles, classes: Sequence[str]) -> bool:
    """Refuse a model whose files would run code or load another model.

    Args:
        files: the model's files.
        classes: the Auto classes that will load it, such as ``("AutoModel",)``; ``AutoConfig``
            counts always.

    Returns:
        Whether code of its files will run, which can only be where ``files.allowed`` is true.

    Raises:
        UsageError: there is such code and it is not allowed, or it is of a kind that is never run.
    """
    if files.find(ADAPTER) is not None:
        raise UsageError(
            f"{files.title} holds an adapter ({ADAPTER}), which names another model. Merge it "
            "into that model (merge_and_unload of peft), save the model with its tokenizer, and "
            "give that folder."
        )
    # On the hub transformers itself refuses this file.
    if files.folder is not None and files.find(GENERATE) is not None:
        raise UsageError(
            f"{files.title} has code that replaces a method of its model ({GENERATE}). robench "
            "never runs it, and the model does not need it here: delete that file."
        )
    return check_config(files, files.json(CONFIG), classes)


def check_config(files: ModelFiles, config: Mapping[str, Any], classes: Sequence[str]) -> bool:
    """Look at a configuration only; see ``check_model``.

    Args:
        files: the model's files.
        config: what ``config.json`` holds, or the part of it that describes the model.
        classes: the Auto classes that will load it.

    Raises:
        UsageError: see ``check_model``.
    """
    for key, value in _entries(config):
        kernel = next((text for text in _texts(value) if "/" in text), None)
        if "implementation" in key and kernel is not None:
            raise UsageError(
                f"{files.title} names code of the hub ('{kernel}', as {key} in {CONFIG}). robench "
                "never runs it: delete that entry."
            )
        if key == "trust_remote_code" and value:
            raise UsageError(
                f"{files.title} asks for trust by itself ({key} in {CONFIG}), which only you can "
                "give. Delete that entry."
            )
    references = _references(config.get("auto_map"), ("AutoConfig", *classes))
    # Parts of a model, such as an encoder inside it, have configurations of their own.
    parts = (each for name, each in config.items() if name != "auto_map")
    inner = [value for part in parts for key, value in _entries(part) if key == "auto_map"]
    return _judge(files, CONFIG, [*references, *_texts(inner)])


def check_tokenizer(files: ModelFiles) -> bool:
    """Refuse a tokenizer whose files would run code.

    Returns:
        Whether code of its files will run, which can only be where ``files.allowed`` is true.

    Raises:
        UsageError: there is such code and it is not allowed.
    """
    found = False
    for name, wanted in (
        (TOKENIZER_CONFIG, ("AutoTokenizer",)),
        (CONFIG, ("AutoConfig", "AutoTokenizer")),
    ):
        found |= _judge(files, name, _references(files.json(name).get("auto_map"), wanted))
    return found


def code_sha256(files: ModelFiles) -> str:
    """Return a SHA-256 over all Python files of a model's folder, with their names.

    Raises:
        UsageError: the model is not a folder.
    """
    folder = _folder_of(files)
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = file_sha256(path)
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _judge(files: ModelFiles, name: str, references: Sequence[str]) -> bool:
    """Return whether there are references to code that is allowed; refuse the others."""
    if not references:
        return False
    if files.never or not files.allowed:
        unasked = f"which robench does not run unasked. Read that code first; {ALLOW} allows it."
        raise UsageError(
            f"{files.title} needs code from its own repository ({references[0]}, named in {name}), "
            f"{files.never or unasked}"
        )
    _folder_of(files)
    elsewhere = next((each for each in references if "--" in each), None)
    if elsewhere is not None:
        raise UsageError(
            f"{files.title} takes its code from another repository ({elsewhere}, named in {name}), "
            f"where it may change. Copy the code into the folder and write its name without '--'."
        )
    _ran.add(files.title)
    return True


def foreign_code_ran() -> bool:
    """Return whether code of a model's folder was allowed and needed in this process.

    Such code can change everything in the process, so all later results of it are marked.
    """
    return bool(_ran)


def _folder_of(files: ModelFiles) -> Path:
    if files.folder is None:
        raise UsageError(
            f"{files.title} needs code from its own repository, and robench runs such code only "
            f"from a folder, where it cannot change: hf download {files.location} --local-dir "
            "FOLDER, then name that folder."
        )
    return files.folder


def _references(auto_map: Any, classes: Sequence[str]) -> list[str]:
    """Return the code that an ``auto_map`` names for ``classes``.

    A list instead of an object is the old form for tokenizers.
    """
    if isinstance(auto_map, Mapping):
        values = [auto_map[name] for name in classes if name in auto_map]
    elif auto_map and "AutoTokenizer" in classes:
        values = [auto_map]
    else:
        values = []
    return [text for value in values for text in _texts(value)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)
    elif value is not None:
        yield str(value)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, also of objects inside others."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield from each.items()
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
