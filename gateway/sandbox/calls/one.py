"""One call of a tenant: its checks in order, why it was refused and what to change, the answer as it was sent.

The log tells what happened. What it does not hold (the request's fields, the answer, the signature base) is in the
trace of the call (`traces`), which only her own calls have.
Invariant: who asks for a call of another tenant gets the same answer as for one that does not exist.
Invariant: a body is in the result only after a note `body-view` of it is in the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.audit.evidence.reading import Reading, view_body
from gateway.audit.search import steps
from gateway.audit.search.journey import Step
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.console.work import journeys, openings, refusals
from gateway.console.work.journeys import Seen
from gateway.console.work.refusals import Fault, Why
from gateway.sandbox.calls import checks
from gateway.sandbox.calls.checks import Check, Course
from gateway.sandbox.calls.listing import BEGUN
from gateway.sandbox.calls.traces import ANSWER, MOST_BODY, PART, REQUEST, Trace
from gateway.sandbox.vendors import showing
from gateway.vault.errors import VAULT_NOT_FOUND
from gateway.vault.vault import GONE

_KINDS: Final = tuple(BEGUN.split(","))
SHOWN: Final = (REQUEST, ANSWER, "request")  # parts of the caller that may be opened
# Those of the system that was called; the opened form stands for the encrypted one.
CALLED: Final = ("forwarded-opened", "forwarded", "provider-answer-opened", "provider-answer")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`what` and `next` are filled in where they are known. `faults`: rule, place, expected, got."""

    code: str
    title: Words | None
    what: Words | None
    next: Words | None
    faults: tuple[Fault, ...]
    more: int = 0
    part: str = ""  # whose digest is another


@dataclass(frozen=True, slots=True)
class One:
    """`own`: her own system called; else one of hers was called. `first`: the call that this one repeats."""

    id: str
    seen: Seen
    entry: Step
    own: bool
    checks: tuple[Check, ...]
    refusal: Refusal | None
    why: Why | None
    trace: Trace | None
    first: str | None
    parts: tuple[str, ...]  # that may be opened

    @property
    def code(self) -> str | None:
        return None if self.refusal is None else self.refusal.code


def find(desk: Desk, viewer: Viewer, id: str) -> One:
    """Raises `console.no-page`."""
    agency = showing.tenant(desk, viewer)
    seen = journeys.find(desk, viewer, id)
    entry = next((each for each in seen.journey.steps if _is(each, id)), None)
    own = entry is not None and entry.facts.agency == agency
    called = entry is not None and any((each.agency, each.role) == (agency, "provider") for each in entry.facts.parties)
    if entry is None or not (own or called):
        raise CONSOLE_NO_PAGE(path=id[:60])
    with desk.reading() as connection:
        trace = _trace(desk, connection, id) if own else None
    code, ended, faults = _end(seen, entry)
    refusal = None if code is None else _refusal(code, trace, faults)
    why = refusals.why(desk, seen) if entry.facts.kind == "refusal" and seen.begun is entry else None
    course = Course(
        face=entry.facts.door or "rest",
        kind=entry.facts.kind,
        code=code,
        proven=bool((entry.entry.get("caller") or {}).get("key")),
        ended=ended,
        called=entry.facts.provider is not None,
    )
    return One(
        id=id,
        seen=seen,
        entry=entry,
        own=own,
        checks=tuple(checks.checks(course, _facts(entry))),
        refusal=refusal,
        why=why,
        trace=trace,
        first=entry.facts.about if entry.facts.about != id else None,
        parts=_parts(desk, id, (*(SHOWN if own else ()), *(CALLED if called else ()))),
    )


def _is(step: Step, id: str) -> bool:
    return step.facts.transfer == id and step.facts.kind in _KINDS


def _end(seen: Seen, entry: Step) -> tuple[str | None, bool, Mapping[str, Any]]:
    """The code by which it failed, whether it ended, and what was kept of the findings."""
    if entry.facts.kind == "refusal":
        return entry.facts.failure, True, entry.entry
    own = [each for each in seen.journey.steps if each.facts.transfer == entry.facts.transfer]
    outcome = next((each for each in own if each.facts.kind == "outcome"), None)
    tried = [each for each in own if each.facts.kind in ("try-failed", "queued", "in-doubt") and each.facts.failure]
    kept = steps.kept_in(tried[-1]) if tried else {}
    if outcome is not None:
        return outcome.facts.failure, True, kept
    return (tried[-1].facts.failure if tried else None), False, kept


def _refusal(code: str, trace: Trace | None, kept: Mapping[str, Any]) -> Refusal:
    """As it was told, where the trace is kept; else as the log and the catalogue say."""
    from gateway.errors import every

    told = None if trace is None else trace.told
    faults, more = refusals.faults_of(kept), int(kept.get("more") or 0)
    if told is not None and told.code == code:
        if told.findings:
            faults, more = refusals.faults_of({"findings": [_found(each) for each in told.findings]}), 0
        return Refusal(code, told.title, told.what, told.next, faults, more, told.part)
    known = every().get(code)
    if known is None:
        return Refusal(code, None, None, None, faults, more)
    nothing = dict[str, object]()
    words = [Words(each.say("vi", nothing), each.say("en", nothing)) for each in (known.what, known.next)]
    return Refusal(code, known.title, words[0], words[1], faults, more)


def _found(finding: Any) -> dict[str, str]:
    return {name: getattr(finding, name) for name in ("here", "canonical", "rule", "expected", "got")}


def _facts(entry: Step) -> dict[str, dict[str, str]]:
    """What single checks found, by what the log says of the caller and of the rights."""
    caller, value = entry.entry.get("caller") or {}, entry.entry
    found = {
        "certificate": {"certificate": caller.get("certificate"), "system": caller.get("system")},
        "key": {"key": caller.get("key")},
        "request": {"operation": value.get("operation")},
        "grant": {"grant": value.get("grant") or value.get("nearest")},
        "contract": {"contract": value.get("contract")},
        "route": {"provider": value.get("provider")},
    }
    return {check: {name: str(text) for name, text in facts.items() if text} for check, facts in found.items()}


def _trace(desk: Desk, connection: Connection, id: str) -> Trace | None:
    """None where none was kept, or its week is over."""
    try:
        return Trace.read(openings.vault_of(desk).open(connection, f"{id}/{PART}"))
    except Failure as failure:
        if failure.code in GONE or failure.code == VAULT_NOT_FOUND.code:
            return None
        raise


def _parts(desk: Desk, id: str, shown: Sequence[str]) -> tuple[str, ...]:
    with desk.reading() as connection:
        vault = openings.vault_of(desk)
        return tuple(part for part in shown if _meta(vault, connection, f"{id}/{part}"))


def _meta(vault: Any, connection: Connection, id: str) -> bool:
    try:
        return vault.meta(connection, id) is not None
    except Failure:
        return False


def opened(desk: Desk, viewer: Viewer, one: One, part: str, reason: str) -> bytes:
    """The body of her request, or of the answer; the reading is in the log first.

    Raises `console.form`, `vault.no-reason`.
    """
    if part not in one.parts:
        raise CONSOLE_FORM(field="part", why=", ".join(one.parts) or "–")
    if part in openings.SHOWN:
        data = openings.read_part(desk, viewer, one.id, part, reason).data
        return data.partition(b"\r\n\r\n")[2] if part == "request" else data
    reading = Reading(transfer=one.id, part=part, reason=reason, actor=viewer.actor, now=desk.now(), stop=MOST_BODY)
    with view_body(desk.services.engine, openings.vault_of(desk), reading) as view:
        return b"".join(view.pieces)


def as_json(one: One) -> dict[str, Any]:
    """For programs."""
    refusal, trace, facts = one.refusal, one.trace, one.entry.facts
    return {
        "call": one.id,
        "at": facts.at,
        "kind": facts.kind,
        "system": facts.system,
        "provider": facts.provider,
        "contract": facts.contract,
        "operation": facts.operation,
        "repeats": one.first,
        "checks": [{"check": each.id, "state": each.state, **each.facts} for each in one.checks],
        "refusal": None
        if refusal is None
        else {
            "code": refusal.code,
            "messages": {
                language: {
                    name: None if words is None else words.of(language)
                    for name, words in (("title", refusal.title), ("detail", refusal.what), ("next", refusal.next))
                }
                for language in ("vi", "en")
            },
            "findings": [
                {"here": each.here if isinstance(each.here, str) else "", "canonical": each.canonical,
                 "rule": each.rule, "expected": each.expected.en, "got": each.got.en}
                for each in refusal.faults
            ],
        },
        "request": None
        if trace is None
        else {"method": trace.method, "target": trace.target, "headers": dict(trace.headers), "size": trace.size,
              "sha256": trace.sha256},
        "answer": None
        if trace is None
        else {"status": trace.status, "headers": dict(trace.answered), "body": _json_or_text(trace.problem)},
        "signatureBase": None if trace is None or not trace.base else trace.base,
        "bodies": list(one.parts),
    }  # fmt: skip


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text or None
