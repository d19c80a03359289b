"""What `lgsp doctor` can find. Codes, severity and words are data: `findings.yaml`; docs/doctor.md lists them.

Invariant: a grave finding makes the command end with 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from contracts.base.words import Words, read


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    grave: bool
    what: Words
    why: Words
    next: Words
    sandbox_too: bool  # else it is how a sandbox is meant to be, and nothing to name there


@dataclass(frozen=True, slots=True)
class Found:
    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind of finding by its code, in the order of the file."""
    return {
        code: Kind(
            code=code,
            grave=entry.get("grave", False),
            what=Words(**entry["what"]),
            why=Words(**entry["why"]),
            next=Words(**entry["next"]),
            sandbox_too=not entry.get("production_only", False),
        )
        for code, entry in read(Path(__file__).with_name("findings.yaml")).items()
    }


def found(code: str, **facts: Any) -> Found:
    return Found(kinds()[code], facts)
