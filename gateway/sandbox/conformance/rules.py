"""The rules of `rules.yaml` (for called systems) and `caller_rules.yaml` (for calling ones), typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from contracts.base import safeyaml
from contracts.base.words import Words

Kind = Literal["rest", "soap"]
Role = Literal["provider", "caller"]
Expected = (
    Literal["answered", "handled", "refused", "unproven", "same", "conflict", "closed", "stated"]  # of providers
    | Literal["accepted", "never", "same-id", "waits", "again", "stops"]  # of callers
)
GROUPS: Final = ("valid", "broken", "security", "channel", "repeats", "encryption", "reactions", "answers")
NEEDS: Final = frozenset({"body", "encrypted", "signed", "acts", "two", "stated"})


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
    step: str = ""  # of a caller's run: when it is judged; empty: by all of her calls
    codes: tuple[str, ...] = ()  # of a caller's run: the refusals that break it; `access.` stands for all that begin so


@cache
def rules(role: Role = "provider") -> Mapping[str, Rule]:
    """All rules by id, in the order of the file."""
    file = Path(__file__).with_name("rules.yaml" if role == "provider" else "caller_rules.yaml")
    content: dict[str, dict[str, Any]] = safeyaml.load(file.read_text("utf-8"))
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
        step=of.get("step", ""),
        codes=tuple(of.get("codes", ())),
    )
