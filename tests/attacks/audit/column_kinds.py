"""Columns that share a check, and columns that are exempt for one reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.attacks.audit.picking import (
    Column,
    Pick,
    Value,
)


def same(table: str, check: str, named: str, columns: Mapping[str, tuple[Pick, Value]]) -> Iterator[Column]:
    for name, (pick, value) in columns.items():
        yield Column(table, name, check, pick, value, named)


def exempt(table: str, why: str, *names: str) -> Iterator[Column]:
    for name in names:
        yield Column(table, name, why=why)
