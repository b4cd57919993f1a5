"""Verdicts of a certificate that were made again, here and on other software."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from certified import make_certificate

from robench.certification.results import ExampleResult
from robench.records.certificate import Certificate
from robench.verification.certificate_parts import proof_differences


def again(certificate: Certificate, changed: Sequence[int]) -> dict[int, ExampleResult]:
    """Return the verdicts of a certificate, with another letter for some of them."""
    return {
        number: ExampleResult(
            id=f"toy/{number}",
            letter="U" if number in changed else letter,
            reason="bounds",
            positions=certificate.positions[number],
        )
        for number, letter in enumerate(certificate.letters)
    }


@pytest.mark.parametrize("exact", [False, True])
def test_the_same_verdicts_differ_in_nothing(exact: bool) -> None:
    certificate = make_certificate("CFCW")
    assert proof_differences(certificate, again(certificate, []), exact=exact) == ([], [])


@pytest.mark.parametrize(
    ("examples", "changed", "exact", "fails"),
    [
        (4, 1, True, True),
        (4, 1, False, False),
        (4, 2, False, True),
        (100, 5, False, False),
        (100, 6, False, True),
        (100, 1, True, True),
    ],
)
def test_few_differences_leave_a_claim_on_other_software_only(
    examples: int, changed: int, exact: bool, fails: bool
) -> None:
    certificate = make_certificate("C" * examples)
    results = again(certificate, range(changed))
    found, soft = proof_differences(certificate, results, exact=exact)
    assert (len(found), len(soft)) == ((changed, 0) if fails else (0, changed))
    assert [*found, *soft][0] == "the letter of toy/0 is C, and its proof gives U"


def test_another_number_of_positions_is_a_difference() -> None:
    certificate = make_certificate("CC")
    results = again(certificate, [])
    more = certificate.positions[1] + 1
    results[1] = results[1].model_copy(update={"positions": more})
    found, _ = proof_differences(certificate, results, exact=True)
    assert found == [f"toy/1 has {more - 1} positions, and its space has {more}"]
