"""The vendor's pages of her own calls, below `/sandbox/calls`."""

from __future__ import annotations

from typing import Any, Final

from contracts.base.errors import Failure
from gateway.audit.search.fields import OUTCOMES
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Shown
from gateway.console.site.render import failure_values
from gateway.registry.own_feed import OWN
from gateway.sandbox.calls import bases, listing, one, repeating, resetting
from gateway.sandbox.calls.listing import Listed
from gateway.sandbox.calls.one import One
from gateway.sandbox.calls.traces import ANSWER
from gateway.sandbox.vendors import showing
from gateway.sandbox.vendors.programs import PAGE_ONLY

HERE: Final = "/sandbox/calls"
_MOST_BASE: Final = 4 * bases.MOST  # of a form: base64 and the coding of the form are longer
_DIGEST: Final = "signature.digest-mismatch"
_FORM: Final = frozenset({"console.form"})
FACTS: Final = {
    "certificate": N_("Certificate"),
    "system": N_("System"),
    "key": N_("Key"),
    "operation": N_("Operation"),
    "grant": N_("Grant"),
    "contract": N_("Contract"),
    "provider": N_("Provider"),
}


def calls(ask: Ask) -> Shown:
    mine, failure, given = showing.mine(ask.desk, ask.viewer), None, dict[str, str]()
    cursor = ask.query.get("cursor") or None
    try:
        given = listing.given_in(ask.query)
        found = listing.page(ask.desk, ask.viewer, given, cursor)
    except Failure as refused:
        if refused.code not in _FORM:
            raise
        failure, found = refused, Listed((), None)
    snapshot = ask.desk.services.registry.snapshot
    values = {
        "calls": found.calls,
        "given": given,
        "next": f"{HERE}?{listing.address(given, found.next)}" if found.next else None,
        "first": f"{HERE}?{listing.address(given)}" if cursor else None,
        "live": None if cursor or failure else f"{HERE}/events",
        "outcomes": list(OUTCOMES),
        "roles": listing.ROLES,
        "systems": [each.id for each in mine.systems],
        "contracts": sorted(name for name in snapshot.contracts if name not in OWN),
        "failure": None if failure is None else failure_values(failure, ask.language),
    }
    return Shown("sandbox-calls.html", values, 200 if failure is None else failure.status)


def events(ask: Ask) -> Live:
    agency = showing.tenant(ask.desk, ask.viewer)
    return Live(("sandbox-calls", agency), lambda: listing.newest(ask.desk, ask.viewer))


def call(ask: Ask) -> Shown:
    return _shown(ask, one.find(ask.desk, ask.viewer, ask.path["id"]))


def compare(ask: Ask) -> Shown:
    """The same page, with the base that she gave beside ours."""
    found = one.find(ask.desk, ask.viewer, ask.path["id"])
    upload = ask.files.get("file") or b""
    hers = upload or bases.given(ask.form.get("base", ""))
    return _shown(ask, found, hers=hers)


def open_body(ask: Ask) -> Shown:
    """The same page, with the body of the request or of the answer."""
    found = one.find(ask.desk, ask.viewer, ask.path["id"])
    part = ask.field("part")
    body = one.opened(ask.desk, ask.viewer, found, part, ask.reason())
    shown, told = _shown(ask, found, body=(part, body.decode("utf-8", "replace"))), found.refusal
    if told is not None and told.code == _DIGEST and told.part and part != ANSWER:
        canonical = bases.canonical_part(body, told.part)
        return Shown(shown.template, {**shown.values, "canonical": bases.readable((canonical or b"")[: bases.MOST])})
    return shown


def reset(ask: Ask) -> Moved:
    resetting.reset(ask.desk, ask.viewer)
    return Moved(HERE, "sandbox-reset")


def _shown(ask: Ask, found: One, *, hers: bytes = b"", body: tuple[str, str] | None = None) -> Shown:
    trace = found.trace
    if trace is not None and not hers:
        hers = bases.decoded(trace.hers) or b""
    base = ask.desk.services.settings.base
    ours = b"" if trace is None else trace.base.encode()
    values: dict[str, Any] = {
        "it": found,
        "facts": FACTS,
        "ours": bases.readable(ours) if ours else "",
        "compared": bases.compared(ours, hers) if ours and hers else None,
        "repeat": None if trace is None else repeating.repeat(found.id, trace, found.parts, ask.origin, base),
        "body": body,
        "canonical": "",
        "digest": bases.digest_of(trace.sha256) if trace is not None and found.code == _DIGEST else "",
    }
    return Shown("sandbox-call.html", values)


PAGES: Final = (
    Page("/calls", calls, May.TENANT, N_("My calls"), Menu.SANDBOX, root="/sandbox"),
    Page("/calls/events", events, May.TENANT, root="/sandbox"),
    Page("/calls/reset", reset, May.TENANT, method="POST", page_only=PAGE_ONLY, root="/sandbox"),
    Page("/calls/{id}", call, May.TENANT, N_("A call of mine"), root="/sandbox"),
    Page(
        "/calls/{id}/base", compare, May.TENANT, N_("A call of mine"), method="POST", page_only=PAGE_ONLY,
        root="/sandbox", looks=True, upload=_MOST_BASE,
    ),
    Page(
        "/calls/{id}/body", open_body, May.TENANT, N_("A call of mine"), method="POST", page_only=PAGE_ONLY,
        root="/sandbox",
    ),
)  # fmt: skip
