"""A Hugging Face hub in a folder: the part of ``HfApi`` that robench uses."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors


class FakeHub:
    """Repositories are folders ``root/USER/NAME``; a download is a copy in ``root/cache``.

    Attributes:
        private: repository -> whether it was made private.
        messages: the first lines of all commits.
    """

    endpoint = "https://hub.example"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.private: dict[str, bool] = {}
        self.messages: list[str] = []

    def folder(self, repo: str) -> Path:
        return self.root / repo

    def repo_exists(self, repo: str) -> bool:
        return self.folder(repo).is_dir()

    def list_repo_files(self, repo: str) -> list[str]:
        folder = self.folder(repo)
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def create_repo(self, repo: str, private: bool, exist_ok: bool) -> None:
        assert exist_ok
        if not self.repo_exists(repo):
            self.private[repo] = private
        self.folder(repo).mkdir(parents=True, exist_ok=True)

    def create_commit(self, repo: str, operations: Sequence[Any], commit_message: str) -> None:
        self.messages.append(commit_message)
        for operation in operations:
            path = self.folder(repo) / operation.path_in_repo
            path.parent.mkdir(exist_ok=True)
            with operation.as_file() as file:
                path.write_bytes(file.read())

    def _copy(self, repo: str, revision: str | None, names: Sequence[str]) -> Path:
        if not self.repo_exists(repo):
            raise _error(errors.RepositoryNotFoundError)
        if revision not in (None, "main", "commit1"):
            raise _error(errors.RevisionNotFoundError)
        target = self.root / "cache" / repo / "commit1"
        for name in set(names) & set(self.list_repo_files(repo)):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder(repo) / name, target / name)
        return target

    def hf_hub_download(self, repo: str, name: str, revision: str | None = None) -> str:
        path = self._copy(repo, revision, [name]) / name
        if not path.is_file():
            raise _error(errors.EntryNotFoundError)
        return str(path)

    def snapshot_download(self, repo: str, revision: str, allow_patterns: Sequence[str]) -> str:
        return str(self._copy(repo, revision, allow_patterns))


def _error(kind: Any) -> Exception:
    """Make an error of the hub's client without an answer of a server."""
    made: Exception = kind.__new__(kind)
    Exception.__init__(made, "from the hub")
    return made


def use_fake_hub(monkeypatch: pytest.MonkeyPatch, root: Path) -> FakeHub:
    """Let robench talk to a hub in ``root``, with a token."""
    hub = FakeHub(root)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_fake")
    return hub
