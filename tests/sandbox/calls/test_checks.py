"""The orders of the checks name codes that exist, each once."""

from __future__ import annotations

import pytest

from gateway.errors import every
from gateway.sandbox.calls import checks


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
