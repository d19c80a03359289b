"""Collects what a verification finds: up to twenty texts, each of which names the row or entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

MOST: Final = 20
Progress = Callable[[int], object]


@dataclass(slots=True)
class Findings:
    """`checked` counts rows by kind. Texts beyond `MOST` are dropped."""

    wrong: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def add(self, text: str) -> None:
        if len(self.wrong) < MOST:
            self.wrong.append(text)

    def count(self, kind: str, number: int = 1) -> None:
        self.checked[kind] = self.checked.get(kind, 0) + number
