"""Definitions for tests."""

from __future__ import annotations

from datetime import date
from typing import Any

import yaml

from contracts.base.words import Words
from gateway.indicators.definitions import Definition, Known, known_to, parse
from gateway.indicators.periods import Frequency, Period
from gateway.indicators.values import CONTRACT
from tests.registry.making import contracts

OWNER, OTHER = "H14.4", "H14.2"


def definition(frequency: Frequency = "Q", **changes: Any) -> Definition:
    stated: dict[str, Any] = {
        "code": "KT-05",
        "version": 1,
        "title": Words("Thu ngân sách", "State budget revenue"),
        "unit": "tỷ đồng",
        "frequency": frequency,
        "areas": ("04",),
        "owner": OWNER,
        "due": 12,
        "formula": Words("Tổng thu", "All revenue"),
        "first": Period.at(frequency, date(2026, 1, 1)),
    }
    return Definition(**{**stated, **changes})


def known() -> Known:
    return known_to(contracts()[CONTRACT], dict.fromkeys((OWNER, OTHER)))


def document(*stated: Definition, **changes: Any) -> str:
    """`changes` are of the fields of the first one; None leaves a field out."""
    items = [each.json() for each in stated]
    for name, value in changes.items():
        items[0][name] = value
        if value is None:
            del items[0][name]
    return yaml.safe_dump({"indicators": items}, allow_unicode=True)


def parsed(*stated: Definition) -> tuple[Definition, ...]:
    return parse(document(*stated), known())
