"""A suite of cases as data: what is sent, what is expected, the rule and where it stands.

    lgsp conform suite CONTRACT --role provider        the same as YAML, for people to read

Invariant: the same contract gives the same suite with the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from contracts.base.words import Words
from gateway.sandbox.conformance.rules import Expected, Kind, Role, Rule


@dataclass(frozen=True, slots=True)
class Case:
    """One trial. `content` is JSON, XML or a query string in the format; `other`: of a rule that needs two messages.

    `broken`: the field and the rule of the schema that the content breaks; empty for a valid one.
    """

    id: str
    rule: Rule
    kind: Kind
    format: str
    operation: str
    title: Words
    content: bytes
    other: bytes = b""
    broken: str = ""
    quoted: tuple[str, ...] = ()  # texts of the message that have to come back whole, if at all
    stated: bytes = b""  # the canonical answer that the owner of the system stated, JSON

    @property
    def expected(self) -> Expected:
        return self.rule.expected

    def to_json(self) -> dict[str, Any]:
        sent: dict[str, Any] = {"protocol": self.kind, "format": self.format, "operation": self.operation}
        sent["content"] = _readable(self.content)
        if self.other:
            sent["then"] = _readable(self.other)
        if self.rule.change:
            sent["change"] = self.rule.change
        if self.rule.step:
            sent["step"] = self.rule.step
        shown: dict[str, Any] = {
            "id": self.id,
            "group": self.rule.group,
            "title": {"vi": self.title.vi, "en": self.title.en},
            "sent": sent,
            "expected": self.rule.expected,
            "rule": self.rule.id,
            "source": self.rule.source,
        }
        if self.stated:
            shown["answer"] = _readable(self.stated)
        return shown | ({"breaks": self.broken} if self.broken else {})


@dataclass(frozen=True, slots=True)
class Suite:
    """All cases of one contract for one role. `digest` is that of the contract's bundle."""

    contract: str
    version: str
    digest: str
    role: Role
    cases: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "contract": self.contract,
            "version": self.version,
            "digest": self.digest,
            "role": self.role,
            "cases": [each.to_json() for each in self.cases],
        }

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.to_json(), allow_unicode=True, sort_keys=False, width=120)

    def chosen(self, ids: str = "") -> Iterator[Case]:
        """Those whose id is `ids` or begins with it; all without it."""
        return (each for each in self.cases if each.id == ids or each.id.startswith(f"{ids}.") or not ids)


def _readable(content: bytes) -> Any:
    """JSON as data, other text as text."""
    text = content.decode("utf-8", "replace")
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
