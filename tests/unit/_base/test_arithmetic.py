"""The setting of matrix products: when it is set, when it takes effect, how it is reported."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robench._base import arithmetic

torch = pytest.importorskip("torch")


def said(code: str, **environment: str) -> list[str]:
    """What ``code`` prints in a new process without ``MKL_CBWR``, unless it is given."""
    clean = {name: value for name, value in os.environ.items() if name != arithmetic.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_importing_robench_asks_for_strict_products_on_intel_processors_only() -> None:
    (value,) = said("import os, robench; print(os.environ.get('MKL_CBWR'))")
    assert value == ("AUTO,STRICT" if arithmetic._made_by_intel() else "None")


def test_the_users_own_setting_is_left_alone() -> None:
    code = "import os, robench; print(os.environ['MKL_CBWR'])"
    assert said(code, MKL_CBWR="COMPATIBLE") == ["COMPATIBLE"]


def test_importing_robench_loads_no_torch() -> None:
    assert said("import sys, robench; print('torch' in sys.modules)") == ["False"]


@pytest.mark.slow
def test_the_setting_has_an_effect_after_torch_is_imported_but_not_after_it_has_computed() -> None:
    late = "import torch; torch.ones(99, 99) @ torch.ones(99, 99);"
    asks = "from robench._base import arithmetic as a; print(a.independent_rows(), a.products())"
    in_time = said(f"import torch; import robench; {asks}")
    if arithmetic._made_by_intel():
        assert in_time == ["True", "AUTO,STRICT"]
    after, products = said(f"{late} import robench; {asks}")
    # Only a processor without the fault can be independent without the setting.
    assert products == ("AUTO,STRICT" if after == "True" and in_time[1] != "default" else "default")


@pytest.mark.parametrize(
    ("value", "independent", "products", "warned"),
    [
        (None, True, "default", False),
        (None, False, "default", False),
        ("AUTO,STRICT", True, "AUTO,STRICT", False),
        ("AUTO,STRICT", False, "default", True),
        ("COMPATIBLE", False, "COMPATIBLE", False),
    ],
)
def test_products_and_warning(
    monkeypatch: pytest.MonkeyPatch,
    value: str | None,
    independent: bool,
    products: str,
    warned: bool,
) -> None:
    monkeypatch.delenv(arithmetic.VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(arithmetic.VARIABLE, value)
    monkeypatch.setattr(arithmetic, "independent_rows", lambda: independent)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    arithmetic._too_late.cache_clear()
    assert arithmetic.products() == products
    assert (arithmetic.warning() is not None) == warned
    if warned:
        assert "import robench first" in str(arithmetic.warning())
        # Worker processes inherit the environment and must compute as this process does.
        assert os.environ[arithmetic.VARIABLE] == "OFF"
    arithmetic._too_late.cache_clear()


def test_the_trial_of_products_keeps_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        arithmetic.independent_rows.cache_clear()
        assert isinstance(arithmetic.independent_rows(), bool)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_one_thread_ends_with_the_block_even_when_it_fails() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        inside = []
        with contextlib.suppress(ValueError), arithmetic.one_thread():
            inside.append(torch.get_num_threads())
            raise ValueError("boom")
        assert inside == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def in_two_parts(rows: Any, weights: Any, bias: Any) -> Any:
    """A product that adds its inner width in two parts where there are fewer than 64 rows."""
    if len(rows) >= 64:
        return rows @ weights.T + bias
    part = rows.shape[1] // 3
    return (rows[:, :part] @ weights[:, :part].T + rows[:, part:] @ weights[:, part:].T) + bias


def with_a_tail(rows: Any, weights: Any, bias: Any) -> Any:
    """A product whose last row is added in another order than the others."""
    whole = in_two_parts(rows[:0].new_zeros(64, rows.shape[1]), weights, bias)
    last = in_two_parts(rows[-1:], weights, bias)
    return torch.cat([rows[:-1] @ weights.T + bias, last]) if len(rows) else whole


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_kernel_for_few_rows_that_adds_in_another_order_is_found_out(
    monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    monkeypatch.setattr(torch.nn.functional, "linear", in_two_parts)
    assert not arithmetic.rows_agree(512, 16, 80, (9,), precision=precision)


def test_a_kernel_for_the_last_row_is_found_out_without_any_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.nn.functional, "linear", with_a_tail)
    assert not arithmetic.rows_agree(512, 16, 80)


def test_a_product_that_adds_each_row_alike_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_by_one(rows: Any, weights: Any, bias: Any) -> Any:
        return torch.stack([(row * weights).sum(dim=1) + bias for row in rows])

    monkeypatch.setattr(torch.nn.functional, "linear", one_by_one)
    assert arithmetic.rows_agree(33, 8, 20, (3, 9))


BITS = """
import hashlib, sys
def bits():
    import torch
    from robench._base.arithmetic import one_thread
    generator = torch.Generator().manual_seed(0)
    weights, rows = (torch.randn(n, 512, generator=generator) for n in (128, 64))
    with one_thread():
        parts = [torch.nn.functional.linear(rows[:n].clone(), weights) for n in (1, 8, 9, 15, 64)]
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()
"""


@pytest.mark.parametrize("late", [False, True])
def test_a_worker_process_computes_as_its_parent_does(tmp_path: Path, late: bool) -> None:
    """Also where torch had computed before robench was imported."""
    (tmp_path / "bits.py").write_text(BITS)
    (tmp_path / "parent.py").write_text(
        """
import multiprocessing
import torch
if __name__ == "__main__":
    LATE
    import robench
    from bits import bits
    from robench._base import arithmetic
    arithmetic.products()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(bits(), pool.apply(bits))
""".replace("LATE", "torch.ones(99, 99) @ torch.ones(99, 99)" if late else "")
    )
    parent, child = said(
        f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r});"
        f"runpy.run_path({str(tmp_path / 'parent.py')!r}, run_name='__main__')",
        PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]),
    )
    assert parent == child


def test_blocks_of_one_thread_may_overlap() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        first, second = contextlib.ExitStack(), contextlib.ExitStack()
        first.enter_context(arithmetic.one_thread())
        second.enter_context(arithmetic.one_thread())
        first.close()
        assert torch.get_num_threads() == 1
        second.close()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_an_unknown_processor_needs_no_other_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "processor", refused)
    assert not arithmetic._made_by_intel()
