"""Read configurations, models and tokenizers with transformers, without code of strangers.

Only this module of robench calls transformers' loading functions with a place. Each call says
whether foreign code is allowed. Without an answer transformers asks on standard input. Weights are
safetensors, or torch files that are read with ``weights_only``, so no pickle runs code.

The callers look for foreign code before (``robench._base.foreign_code``), so that their message
names it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from robench._base.lean_imports import import_transformers


def read_config(place: str | Path, foreign_code: bool = False) -> Any:
    """Return the configuration of a model.

    Args:
        place: a hub id or a folder.
        foreign_code: whether code of the model's files may run.
    """
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(place, trust_remote_code=foreign_code)


def read_model(kind: str, place: str | Path, foreign_code: bool = False, **options: Any) -> Any:
    """Return a model with its weights.

    Args:
        kind: an Auto class of transformers, such as ``"AutoModel"``.
        place: a hub id or a folder.
        foreign_code: whether code of the model's files may run.
        options: further options of ``from_pretrained``.
    """
    import_transformers()
    import transformers

    loader: Any = getattr(transformers, kind)
    return loader.from_pretrained(
        place, trust_remote_code=foreign_code, weights_only=True, **options
    )


def make_model(kind: str, config: Any, foreign_code: bool = False, **options: Any) -> Any:
    """Return the model that a configuration describes, with random weights.

    The arguments are those of ``read_model``.
    """
    import_transformers()
    import transformers

    maker: Any = getattr(transformers, kind)
    return maker.from_config(config, trust_remote_code=foreign_code, **options)


def read_tokenizer(place: str | Path, foreign_code: bool = False, **options: Any) -> Any:
    """Return a tokenizer; the arguments are those of ``read_model``."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place, trust_remote_code=foreign_code, **options)
