"""The kinds of findings of `lgsp doctor`, read from `findings.yaml` (docs/doctor.md lists them).

Invariant: a grave finding makes the command end with 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from contracts.base.phrases import vietnamese
from contracts.base.words import Language, Words, read


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    grave: bool
    what: Words
    why: Words
    next: Words
    sandbox_too: bool  # else it is normal in a sandbox and not reported there


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)

    def words(self, language: Language) -> dict[str, str]:
        kind, facts = self.kind, self.facts
        if language == "vi" and isinstance(facts.get("reason"), str):  # as errors do
            facts = {**facts, "reason": vietnamese(facts["reason"])}
        return {
            "what": kind.what.say(language, facts),
            "why": kind.why.say(language, facts),
            "next": kind.next.say(language, facts),
        }

    def shown(self) -> dict[str, Any]:
        """For programs."""
        said = {"vi": self.words("vi"), "en": self.words("en")}
        return {"code": self.kind.code, "grave": self.kind.grave, **said, "facts": self.facts}


@cache
def kinds() -> Mapping[str, Kind]:
    """The kinds of finding by code, in the order of the file."""
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


def finding(code: str, **facts: Any) -> Finding:
    return Finding(kinds()[code], facts)
