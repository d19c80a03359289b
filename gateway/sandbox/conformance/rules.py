"""The rules of `rules.yaml`, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from contracts.base import safeyaml
from contracts.base.words import Words

Kind = Literal["rest", "soap"]
Expected = Literal["answered", "refused", "unproven", "same", "conflict", "closed"]
GROUPS: Final = ("valid", "broken", "security", "channel", "repeats", "encryption")
NEEDS: Final = frozenset({"body", "encrypted", "signed", "acts", "two"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What is tried, what is expected, where it stands, and what to change where it fails."""

    id: str
    group: str
    kinds: tuple[Kind, ...]
    needs: frozenset[str]
    change: str
    expected: Expected
    source: str
    title: Words
    mend: Words


@cache
def rules() -> Mapping[str, Rule]:
    """All rules by id, in the order of the file."""
    content: dict[str, dict[str, Any]] = safeyaml.load((Path(__file__).parent / "rules.yaml").read_text("utf-8"))
    return {name: _rule(name, each) for name, each in content.items()}


def _rule(name: str, of: Mapping[str, Any]) -> Rule:
    needs = frozenset(of.get("with", ()))
    if of["group"] not in GROUPS or not needs <= NEEDS:
        raise ValueError(f"rules.yaml: {name}")
    return Rule(
        id=name,
        group=of["group"],
        kinds=tuple(of["kinds"]),
        needs=needs,
        change=of.get("change", ""),
        expected=of["expected"],
        source=of["source"],
        title=Words(of["title"]["vi"], of["title"]["en"]),
        mend=Words(of["mend"]["vi"], of["mend"]["en"]),
    )
