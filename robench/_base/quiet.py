"""Keep the messages and progress bars of other libraries out of robench's output.

Transformers warns about every layer that a checkpoint lacks or that the model does not use, such as
an encoder's pooler. Its version 5 prints a table of these layers ("LOAD REPORT") and draws a bar
for each model that it reads or writes ("Writing model shards").

Errors are still logged and raised.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from robench._base.lean_imports import import_transformers, lean_environment

QUIET_SETTINGS = {
    # Forked tokenizers warn.
    "TOKENIZERS_PARALLELISM": "false",
    # "Some weights were not initialized": the head never is.
    "TRANSFORMERS_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    # Read by the hub's client and by transformers.
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment variable -> the value that keeps a library quiet."""


def quiet_environment() -> None:
    """Keep the libraries quiet that this process and its children import from now on.

    They are imported without what robench does not need (``lean_imports``). A variable that the
    user has set keeps its value.
    """
    for name, value in QUIET_SETTINGS.items():
        os.environ.setdefault(name, value)
    lean_environment()


@contextmanager
def quiet_models() -> Iterator[None]:
    """Hide warnings and progress bars while transformers reads or writes models.

    It works where robench is used as a library, whatever was imported before. Afterwards the
    settings are as they were.
    """
    import_transformers()
    with _only_errors(), _no_bars():
        yield


@contextmanager
def _only_errors() -> Iterator[None]:
    from transformers.utils import logging

    before = logging.get_verbosity()
    # A user who wants to see even less ("critical") keeps that setting.
    logging.set_verbosity(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    # Older releases of transformers cannot say whether they draw bars. They keep their bars.
    drawn = getattr(logging, "is_progress_bar_enabled", lambda: False)()
    # False, not None: the user has asked for bars with HF_HUB_DISABLE_PROGRESS_BARS=0.
    if not drawn or constants.HF_HUB_DISABLE_PROGRESS_BARS is False:
        yield
        return
    hub_bars_disabled = are_progress_bars_disabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
        # The line above enables the bars of the hub's client as well.
        if hub_bars_disabled:
            disable_progress_bars()
