"""What a kind of finding is, and one that was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from contracts.base.errors import Words


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    grave: bool
    what: Words
    why: Words
    next: Words
    sandbox_too: bool = True  # else it is how a sandbox is meant to be, and nothing to name there


@dataclass(frozen=True, slots=True)
class Found:
    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)


KINDS: Final[dict[str, Kind]] = {}


def found(code: str, **facts: Any) -> Found:
    return Found(KINDS[code], facts)


def kind(
    code: str,
    what: tuple[str, str],
    why: tuple[str, str],
    then: tuple[str, str],
    *,
    grave: bool = False,
    sandbox_too: bool = True,
) -> None:
    KINDS[code] = Kind(code, grave, Words(*what), Words(*why), Words(*then), sandbox_too)
