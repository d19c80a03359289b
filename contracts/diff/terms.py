"""Changes of contract.yaml: operations, protection, retention, owner."""

from __future__ import annotations

from typing import Final

from contracts.canonical.model import EventFacts, FeedAnswer, Identity, Operation
from contracts.diff.changes import Changes, Level
from contracts.diff.sides import Version

FILE: Final = "contract.yaml"
_KEPT: Final = ("none", "metadata", "full")
_BREAKING: Final = ("pattern", "method", "path", "request", "answer", "partial")


def compare_terms(old: Version, new: Version, changes: Changes) -> list[tuple[Operation, Operation]]:
    """Adds the changes; returns the operations of both versions whose messages have the same names."""
    before, after = old.compiled.contract, new.compiled.contract
    pairs: list[tuple[Operation, Operation]] = []
    for name, operation in before.operations.items():
        other = after.operations.get(name)
        if other is None:
            changes.add("operation.removed", Level.MAJOR, name, old.at(FILE, ("operations", name)))
            continue
        _operation(new, operation, other, changes)
        if (operation.request, operation.answer) == (other.request, other.answer):
            pairs.append((operation, other))
    for name in after.operations:
        if name not in before.operations:
            changes.add("operation.added", Level.MINOR, name, new.at(FILE, ("operations", name)))
    if before.protection != after.protection:
        facts = {"before": before.protection, "after": after.protection}
        changes.add("contract.protection-changed", Level.MAJOR, "protection", new.at(FILE, ("protection",)), **facts)
    if before.retention_months != after.retention_months:
        shorter = after.retention_months < before.retention_months
        code, level = (
            ("contract.retention-shortened", Level.MAJOR) if shorter else ("contract.retention-extended", Level.MINOR)
        )
        months = {"before": before.retention_months, "after": after.retention_months}
        changes.add(code, level, "retention_months", new.at(FILE, ("retention_months",)), **months)
    if before.evidence != after.evidence:
        level = Level.MAJOR if _KEPT.index(after.evidence) < _KEPT.index(before.evidence) else Level.MINOR
        at = new.at(FILE, ("evidence",)) if after.evidence != "full" else old.at(FILE, ("evidence",))
        changes.add("contract.evidence-changed", level, "evidence", at, before=before.evidence, after=after.evidence)
    if before.codes_at != after.codes_at:
        days = {"before": before.codes_at or "–", "after": after.codes_at or "–"}
        at = new.at(FILE, ("codes_at",)) if after.codes_at else old.at(FILE, ("codes_at",))
        changes.add("contract.day-changed", Level.MAJOR, "codes_at", at, **days)
    if before.owner_role != after.owner_role:
        roles = {"before": before.owner_role, "after": after.owner_role}
        changes.add("contract.owner-changed", Level.MINOR, "owner_role", new.at(FILE, ("owner_role",)), **roles)
    return pairs


def _shown(value: object) -> str:
    if isinstance(value, Identity):
        return ", ".join((*value.key, *value.relations))
    if isinstance(value, FeedAnswer):
        return ", ".join((value.operation, *value.key))
    if isinstance(value, EventFacts):
        return ", ".join(each for each in (value.made, value.expires, value.area) if each) or "–"
    return ", ".join(value) if isinstance(value, tuple) and value else str(value or "–")


def _operation(new: Version, old: Operation, other: Operation, changes: Changes) -> None:
    def say(what: str, level: Level) -> None:
        before, after = (
            str(getattr(each, what)).lower()
            if what in ("idempotent", "partial", "in_feed")
            else _shown(getattr(each, what))
            for each in (old, other)
        )
        named = "feed" if what == "in_feed" else what
        at = new.at(FILE, ("operations", old.name, "identity" if what == "subject" else named))
        changes.add("operation.changed", level, old.name, at, what=named, before=before, after=after)

    for what in _BREAKING:
        if getattr(old, what) != getattr(other, what):
            say(what, Level.MAJOR)
    if old.subject != other.subject:  # readers of the feed find a case by it
        say("subject", Level.MINOR if not old.subject else Level.MAJOR)
    if old.identity != other.identity:  # what was one message for all who keep the feed would become two, or none
        say("identity", Level.MINOR if old.identity is None else Level.MAJOR)
    if old.feed != other.feed:  # the answer has the same form, whoever gives it
        say("feed", Level.MINOR)
    if old.in_feed != other.in_feed:  # readers of the feed count on its events
        say("in_feed", Level.MINOR if other.in_feed else Level.MAJOR)
    if old.event != other.event:  # readers get or lose an attribute; no message changes
        say("event", Level.PATCH)
    if old.order != other.order:  # who counts on an order would lose it; with one, the answer comes later
        say("order", Level.MAJOR)
    if old.priority != other.priority:
        say("priority", Level.MINOR)
    if old.idempotent != other.idempotent:
        say(
            "idempotent", Level.MAJOR if other.idempotent else Level.MINOR
        )  # a provider that is not idempotent does not expect repeats
