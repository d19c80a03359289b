"""The orders of the checks name codes that exist, each once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import every
from gateway.sandbox.calls import checks
from gateway.sandbox.calls.checks import Course


@pytest.mark.parametrize(
    ("course", "states"),
    [
        ({"ended": True}, ["passed", "passed", "passed"]),
        ({"called": False, "ended": True}, ["passed", "not-needed", "not-needed"]),
        ({}, ["passed", "under-way", "not-reached"]),
        ({"code": "provider.timeout"}, ["passed", "failed", "not-reached"]),
        ({"code": "provider.bad-answer", "ended": True}, ["passed", "passed", "failed"]),
        ({"code": "provider.down", "ended": True}, ["passed", "failed", "not-reached"]),
    ],
)
@pytest.mark.parametrize("face", ["rest", "soap"])
def test_what_was_accepted_passed_all_before_the_delivery(face: str, course: dict[str, Any], states: list[str]) -> None:
    found = [each.state for each in checks.checks(Course(face=face, kind="intent", **course), {})]
    assert found[-3:] == states and set(found[:-3]) == {"passed"}


def test_what_is_not_known_is_not_said_to_have_passed() -> None:
    """An error of the gateway itself, and a signature within a sealed body, whose call was proven before."""
    unknown = checks.checks(Course(face="rest", kind="refusal", code="gateway.fault", proven=True), {})
    assert [each.state for each in unknown if each.id in ("signature", "grant")] == ["passed", "unknown"]
    sealed = checks.checks(Course(face="rest", kind="refusal", code="signature.unknown-key", proven=True), {})
    assert next(each.id for each in sealed if each.state == "failed") == "decryption"
    repeat = {each.id: each.state for each in checks.checks(Course(face="soap", kind="repeat"), {})}
    assert (repeat["replay"], repeat["route"]) == ("passed", "not-reached")


@pytest.mark.parametrize("face", ["rest", "soap"])
def test_every_code_of_an_order_exists_and_belongs_to_one_check(face: str) -> None:
    assert len(set(checks.order(face))) == len(checks.order(face))
    rules = checks._data()[face]
    named = [code for codes in rules.values() for code in codes]
    assert len(named) == len(set(named))
    known = set(every())
    assert not {each for each in named if not each.endswith(".") and each not in known}
    assert all(any(code.startswith(each) for code in known) for each in named if each.endswith("."))
    assert set(rules) <= set(checks._data()["checks"])
