"""Victims on the Hugging Face hub: find, download and upload them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robench._base.errors import RobenchError, UsageError, first_line
from robench._base.hub import no_pointless_retries
from robench._base.quiet import quiet_models
from robench.models.victim_folder import CARD, README, check_files, read_card

PREFIX = "hf:"
_REMEDY = "Download or publish the victim again."


@dataclass(frozen=True)
class HubLocation:
    """A repository on the hub.

    Attributes:
        repo: ``USER/NAME``.
        revision: a branch, a tag or a commit; None for the main branch.
    """

    repo: str
    revision: str | None = None


def hub_location(text: str) -> HubLocation | None:
    """Read ``hf:USER/NAME[@REVISION]``; return None for a text without ``hf:``.

    Raises:
        UsageError: what follows ``hf:`` is no name of a repository.
    """
    if not text.startswith(PREFIX):
        return None
    repo, _, revision = text.removeprefix(PREFIX).partition("@")
    if text.endswith("@"):
        raise UsageError(f"'{text}' names no revision after '@'. Give one, or leave '@' out.")
    check_repo(repo)
    return HubLocation(repo, revision or None)


def check_repo(repo: str) -> None:
    """Refuse a name that no repository can have.

    Raises:
        UsageError: it is not of the form ``USER/NAME``, or holds a character that is not allowed.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
        valid = repo.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        raise UsageError(
            f"'{repo}' is no repository of the Hugging Face hub. Write USER/NAME, with letters, "
            "digits, '-', '_' and '.'."
        )


def download_victim(where: HubLocation) -> Path:
    """Download a victim into the hub's cache and return its folder.

    Only the files on the victim's card are downloaded, and their hashes are compared with it.

    Raises:
        UsageError: the repository or the revision is not there, it holds no victim, or the hub
            cannot be reached and the cache does not hold it.
        RobenchError: a file is not the one on the card.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with no_pointless_retries(), quiet_models(), _hub_errors(where.repo):
        path = Path(api.hf_hub_download(where.repo, CARD, revision=where.revision))
        card = read_card(path.parent, _REMEDY)
        # The name of the folder in the cache is the commit, so all files are of one commit.
        commit = path.parent.name
        wanted = [CARD, README, *card["files"]]
        folder = Path(api.snapshot_download(where.repo, revision=commit, allow_patterns=wanted))
    check_files(folder, card, _REMEDY)
    return folder


def victim_folder_of(location: str) -> Path:
    """Return the folder of ``location``: a folder, or ``hf:USER/NAME`` after its download.

    Raises:
        UsageError: see ``download_victim``.
    """
    where = hub_location(location)
    if where is not None:
        return download_victim(where)
    try:
        return Path(location).expanduser()
    except RuntimeError:
        # There is no such user, so there is no such folder.
        return Path(location)


def upload(repo: str, files: Mapping[str, Path | bytes], message: str, public: bool) -> str:
    """Send files to a repository in one commit and return its address.

    The repository is made where it is missing.

    Args:
        repo: ``USER/NAME``.
        files: name in the repository -> a path or the content.
        message: first line of the commit.
        public: whether a new repository can be seen by everybody.

    Raises:
        UsageError: there is no token, or it does not allow this, or the hub cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise UsageError(
            "There is no token for the Hugging Face hub. Run 'hf auth login', or set HF_TOKEN to "
            "a token that may write."
        )
    api = HfApi()
    operations = [
        CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    with no_pointless_retries(), quiet_models(), _hub_errors(repo):
        api.create_repo(repo, private=not public, exist_ok=True)
        api.create_commit(repo, operations, commit_message=message)
    return f"{api.endpoint}/{repo}"


def published_card(repo: str) -> dict[str, Any] | None:
    """Return the card of the victim in a repository; None where there is no repository or file.

    Raises:
        UsageError: the repository holds another model, or the hub cannot be reached.
        RobenchError: its card is damaged.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    with no_pointless_retries(), quiet_models(), _hub_errors(repo):
        if not api.repo_exists(repo):
            return None
        names: Sequence[str] = api.list_repo_files(repo)
        if CARD in names:
            path = Path(api.hf_hub_download(repo, CARD))
            return read_card(path.parent, "Choose another repository.")
    if set(names) - {".gitattributes", README}:
        raise UsageError(
            f"'{repo}' exists and holds something else than a victim. Choose another repository."
        )
    return None


@contextmanager
def _hub_errors(repo: str) -> Iterator[None]:
    """Turn the errors of the hub's client into one sentence."""
    from huggingface_hub import errors

    try:
        yield
    except RobenchError:
        raise
    except errors.GatedRepoError as error:
        raise UsageError(
            f"'{repo}' is gated: ask for access on its page, and run 'hf auth login'."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UsageError(
            f"There is no repository '{repo}' on the Hugging Face hub, or your token does not "
            "show it. Check the name, or run 'hf auth login'."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UsageError(f"'{repo}' has no such revision. Check what follows '@'.") from error
    # This error is a subclass of the next one, but it means that the hub was not asked.
    except errors.LocalEntryNotFoundError as error:
        raise _unreachable(repo) from error
    except errors.EntryNotFoundError as error:
        raise UsageError(
            f"'{repo}' holds no victim of robench: it has no '{CARD}'. For another model, leave "
            f"'{PREFIX}' out."
        ) from error
    except errors.HfHubHTTPError as error:
        raise UsageError(
            f"The Hugging Face hub refused '{repo}' ({first_line(error)}). Check your token."
        ) from error
    except (errors.OfflineModeIsEnabled, OSError) as error:
        raise _unreachable(repo) from error
    except Exception as error:
        # The client's network library differs between its releases, and so do its errors.
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3")):
            raise
        raise _unreachable(repo) from error


def _unreachable(repo: str) -> UsageError:
    return UsageError(
        f"The Hugging Face hub cannot be reached, and '{repo}' is not in its cache on this "
        "machine. Check the network."
    )
