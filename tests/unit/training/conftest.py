from __future__ import annotations

from pathlib import Path

import pytest
from victim_cases import encoder_folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small encoder with random weights."""
    return encoder_folder(tmp_path_factory.mktemp("encoder") / "small")
