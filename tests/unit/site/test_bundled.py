"""The bundled scripts are those of the pinned versions, and their licences are beside them."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from robench.site import bundled


@pytest.mark.parametrize("name", bundled.PINS)
def test_a_bundled_file_is_that_of_its_package_byte_by_byte(name: str) -> None:
    content = (bundled.FOLDER / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == bundled.PINS[name].sha256


def test_no_other_file_is_bundled() -> None:
    known = {*bundled.PINS, *bundled.OWN, bundled.LICENSES}
    assert {path.name for path in bundled.FOLDER.iterdir()} == known


@pytest.mark.parametrize("name", bundled.PINS)
def test_the_licences_name_each_package_with_its_version(name: str) -> None:
    pin = bundled.PINS[name]
    assert f"{pin.package} {pin.version} (BSD-3-Clause)" in bundled.text_of(bundled.LICENSES)


def test_the_licences_hold_the_conditions_of_each_kind() -> None:
    text = bundled.text_of(bundled.LICENSES)
    for words in ("Redistribution and use", "Permission to use, copy, modify", "THE SOFTWARE IS"):
        assert words in text


@pytest.mark.parametrize("name", bundled.SCRIPTS)
def test_a_script_can_stand_inside_of_a_page(name: str) -> None:
    text = bundled.text_of(name).lower()
    assert "</script" not in text
    assert "<!--" not in text


@pytest.mark.parametrize("name", bundled.OWN)
def test_own_files_load_nothing_and_run_no_text(name: str) -> None:
    text = bundled.text_of(name)
    found = re.findall(r"https?:|fetch\(|eval\(|innerHTML|document\.write|@import|url\(", text)
    assert found == []


def test_the_hash_of_the_policy_is_that_of_the_script() -> None:
    digest = hashlib.sha256((bundled.FOLDER / "site.js").read_bytes()).digest()
    assert bundled.policy_hash("site.js") == f"'sha256-{base64.b64encode(digest).decode()}'"
