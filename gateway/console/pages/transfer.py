"""One transfer: its journey, why it was refused, its message before and after translation, proofs of it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from contracts.base.errors import Theirs
from gateway.audit.log.proofs import Inclusion
from gateway.audit.log.transfer_proofs import as_json
from gateway.audit.search import steps as told
from gateway.audit.search.journey import Step
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Moved, Page, Sent, Shown
from gateway.console.work import drafting, files, handlings, journeys, messages, openings, proofs, refusals
from gateway.console.work.journeys import Seen
from gateway.console.work.searching import Filter

_HERE = "/console/transfers"
_KINDS = {"ok": "good", "repeated": "good", "queued": "warn", "in-doubt": "warn", "failed": "bad", "refused": "bad"}
_ZIP = "application/zip"
_SIGNED = ("intent", "outcome")  # entries whose messages somebody signed


def transfer(ask: Ask) -> Shown:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    given = Filter.of(ask.query)
    why = refusals.why(ask.desk, seen)
    missing = 0
    if why is not None and why.draft:
        with ask.desk.reading() as connection:
            missing = drafting.missing_officers(connection, ask.viewer)
    found = _inclusions(ask, seen)
    covered = {each.index for each in found}
    steps = seen.journey.steps
    values: dict[str, Any] = {
        **_common(ask, seen),
        "steps": [_step(each) for each in steps],
        "why": why,
        "missing": missing,
        "proofs": found,
        "beside": [each.index for each in steps if each.index is not None and each.index not in covered],
        "lists": proofs.lists(ask.desk),
        "last": max((_seconds(each.facts.at) for each in steps if each.facts.kind in _SIGNED), default=0.0),
        "queue": told.queue_words(seen.journey.queue) if seen.journey.queue is not None else None,
        "state": told.words(f"state.{seen.journey.row['state']}") if seen.journey.row is not None else None,
        "handlings": handlings.of_transfer(ask.desk, ask.viewer, seen.transfer),
        "files": files.of_transfer(ask.desk, ask.viewer, seen),
        "earlier": None,
        "later": None,
        "back": f"/console/search?{urlencode(given.given)}" if given.given else None,
    }
    place = ask.query.get("at", "")
    if place.isascii() and place.isdecimal() and len(place) < 16:
        query = given.query(ask.desk, ask.viewer)
        before, after = journeys.beside(ask.desk, query, int(place), seen.transfer)
        earlier, later = (before, after) if query.oldest_first else (after, before)
        values |= {"earlier": _neighbour(earlier, given), "later": _neighbour(later, given)}
    return Shown("transfer.html", values)


def message(ask: Ask) -> Shown:
    """Paths and marks of personal data alone."""
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    values = {
        **_common(ask, seen),
        "translated": messages.translated(ask.desk, seen),
        "parts": [each for each in openings.SHOWN if each in {one["part"] for one in seen.journey.vault}],
        "minutes": openings.OPEN_SECONDS // 60,
        "opening": None,
    }
    return Shown("message.html", values)


def open_message(ask: Ask) -> Moved:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    parts = ask.form.get("parts", "").split()
    opening = openings.open_parts(ask.desk, ask.viewer, seen.transfer, parts, ask.reason(), ask.now)
    given = {"parts": " ".join(opening.parts), "until": opening.until, "code": opening.code}
    return Moved(f"{_HERE}/{seen.transfer}/opened?{urlencode(given)}")


def opened(ask: Ask) -> Shown:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    opening = openings.check(ask.desk, ask.viewer, seen.transfer, ask.query, ask.now)
    bodies = openings.bodies(ask.desk, opening)
    values = {
        **_common(ask, seen),
        "translated": messages.translated(ask.desk, seen, bodies),
        "parts": (),
        "minutes": openings.OPEN_SECONDS // 60,
        "opening": opening,
        "left": max(1, round(opening.until - ask.now)),
    }
    return Shown("message.html", values)


def proof(ask: Ask) -> Sent:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    return Sent(proofs.archive(ask.desk, ask.viewer, seen.transfer), _ZIP, f"proof-{seen.transfer}.zip")


def proof_json(ask: Ask) -> Sent:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    found = as_json(seen.transfer, proofs.inclusions(ask.desk, ask.viewer, seen.transfer))
    content = json.dumps(found, ensure_ascii=False).encode()
    return Sent(content, "application/json", f"proof-{seen.transfer}.json")


def receipt(ask: Ask) -> Shown:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    found = _inclusions(ask, seen)
    values = {
        **_common(ask, seen),
        "receipts": proofs.receipts(found, seen.transfer),
        "log_key": proofs.log_key(ask.desk, seen.transfer) if found else "",
    }
    return Shown("receipt.html", values)


def package(ask: Ask) -> Sent:
    seen = journeys.find(ask.desk, ask.viewer, ask.path["id"])
    content = proofs.package(ask.desk, ask.viewer, seen.transfer, ask.reason(), ask.now)
    return Sent(content, _ZIP, f"package-{seen.transfer}.zip")


def _inclusions(ask: Ask, seen: Seen) -> list[Inclusion]:
    """Empty while no checkpoint covers an entry of the transfer."""
    with suppress(Theirs):
        return proofs.inclusions(ask.desk, ask.viewer, seen.transfer)
    return []


def _common(ask: Ask, seen: Seen) -> dict[str, Any]:
    agencies = ask.desk.services.registry.snapshot.agencies
    return {
        "seen": seen,
        "transfer": seen.transfer,
        "row": seen.journey.row,
        "entry": seen.entry,
        "facts": seen.begun.facts if seen.begun is not None else None,
        "names": {code: each.name.of(ask.language) for code, each in agencies.items()},
    }


def _step(step: Step) -> dict[str, Any]:
    kept, facts = told.kept_in(step), step.facts
    return {
        "index": step.index,
        "facts": facts,
        "kind": _KINDS.get(facts.outcome or "", "warn" if facts.kind == "try-failed" else ""),
        "sentence": told.sentence(step),
        "failure": told.failure(facts.failure) if facts.failure is not None else None,
        "reason": None if facts.kind == "refusal" else told.reason(kept),
        "faults": refusals.faults_of(kept),
        "more": kept.get("more"),
    }


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0


def _neighbour(found: tuple[str, int] | None, given: Filter) -> str | None:
    return None if found is None else f"{_HERE}/{found[0]}?{urlencode({**given.given, 'at': found[1]})}"


PAGES = (
    Page("/transfers/{id}", transfer, May.SEARCH, N_("Journey of a transfer")),
    Page("/transfers/{id}/message", message, May.SEARCH, N_("Message before and after translation")),
    Page("/transfers/{id}/message", open_message, May.BODIES, method="POST", operation="openBody"),
    Page("/transfers/{id}/opened", opened, May.BODIES, N_("Message before and after translation")),
    Page("/transfers/{id}/proof", proof, May.SEARCH),
    Page("/transfers/{id}/proof.json", proof_json, May.SEARCH),
    Page("/transfers/{id}/receipt", receipt, May.SEARCH, N_("Receipt")),
    Page("/transfers/{id}/package", package, May.EXPORT, method="POST", operation="makePackage"),
)
