"""Filters the events of a feed by the agency that sent them, by what they tell, and by what area they are about.

Invariant: a filter sees an event as its reader does, after the masks. So it tells nothing that the reader may not see.
A reader who may not see the field of the area cannot filter by it, and is told so.
Invariant: an event that was changed in the database passes every filter, since nothing that it says can be trusted.
Invariant: the work of one page is bounded. The cursor goes on over the events that were looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from contracts.base.errors import Finding
from contracts.canonical.model import Kind
from contracts.compiled.contract import CompiledContract
from contracts.compiled.event_facts import area_table, areas
from gateway.doors.api.errors import API_INVALID
from gateway.feeds.masks import Masks, sees
from gateway.feeds.reading import HANDLED
from gateway.feeds.sessions import Span
from gateway.transfer.transfer_records import ENDS, EXPIRED, operation_of

LOOKED_AT: Final = 5000  # events for one page
MOST: Final = 20  # values of one filter
TYPES: Final = (*(each.value for each in Kind), *ENDS.values(), EXPIRED)


class Filter(NamedTuple):
    """Empty: all."""

    agencies: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    areas: frozenset[str] = frozenset()

    def passes(self, event: Mapping[str, Any]) -> bool:
        """The event as its reader sees it."""
        if event.get("tombstonereason") == "tampered":
            return True
        if self.agencies and event.get("lgspagency") not in self.agencies:
            return False
        return not self.types or what(event["type"]) in self.types


ALL: Final = Filter()


def what(type: str) -> str:
    """What an event of this type tells; a message that only states something names its operation alone."""
    end = type.rpartition(":")[2]
    return end if end in TYPES else Kind.SUBMITTED.value


def filter_of(params: Mapping[str, Any]) -> Filter:
    """Raises `api.invalid` for a word that is no type, and for too many values."""
    agencies, types, units = (_values(params.get(name)) for name in ("agency", "type", "area"))
    findings = []
    if wrong := types - set(TYPES):
        findings.append(Finding("query type", "", f"{len(wrong)} unknown words", "enum", ", ".join(TYPES)))
    for name, values in (("agency", agencies), ("type", types), ("area", units)):
        if len(values) > MOST:
            findings.append(Finding(f"query {name}", "", f"{len(values)} values", "maxItems", f"at most {MOST}"))
    if findings:
        raise API_INVALID(count=len(findings), findings=findings)
    return Filter(agencies, types, units)


def area_filter(
    contract: CompiledContract, masks: Masks, wanted: frozenset[str]
) -> Callable[[Mapping[str, Any]], bool]:
    """Judges whether an event, as its reader sees it, is about one of these administrative units or a unit in it. Where
    no table tells what lies in a unit, codes that begin with its code do. An event without data is about none.

    Raises `api.invalid` if the contract names no field of the area, or the reader does not see it.
    """
    named = {each.name: each for each in contract.contract.fed if each.event.area}
    hidden = [each for each in named.values() if not sees(masks[each.name], each, each.event.area)]
    if hidden or not named:
        got = "a field that your grant hides" if hidden else "a feed whose contract names no area"
        expected = ", ".join(sorted({each.event.area for each in hidden})) or "no area"
        raise API_INVALID(count=1, findings=[Finding("query area", "", got, "area", expected)])
    known: dict[str, frozenset[str]] = {}
    for name, operation in named.items():
        table = area_table(contract, operation)
        known[name] = wanted if table is None else wanted.union(*(table.inside(each) for each in wanted))
    begins = {name: tuple(wanted) if area_table(contract, each) is None else () for name, each in named.items()}

    def passes(event: Mapping[str, Any]) -> bool:
        operation = named.get(operation_of(contract.namespace, event["type"]))
        if operation is None:
            return bool(event.get("tombstonereason") == "tampered")
        data = event.get("data", {})
        codes = areas(operation, data.get("request") if operation.in_feed else data)
        return any(code in known[operation.name] or code.startswith(begins[operation.name]) for code in codes)

    return passes


def _values(text: str | None) -> frozenset[str]:
    return frozenset((text or "").split(",")) - {""}


def span_of(span: Span | None, events: Sequence[Mapping[str, Any]], offsets: Collection[int]) -> Span | None:
    """What of the feed these events of a page hold; `span` is that of the whole page."""
    if span is None or not offsets:
        return None
    senders = {str(each.get("lgspagency", "")) for each in events} - {""}
    answered = any(what(each["type"]) == HANDLED for each in events)
    owners = span.owners if answered else span.owners & senders
    tampered = tuple(each for each in span.tampered if each in offsets)
    return Span(min(offsets), max(offsets), len(offsets), owners, tampered)


def joined(spans: Sequence[Span]) -> Span | None:
    """The span of pages that follow each other."""
    if not spans:
        return None
    owners = frozenset[str]().union(*(each.owners for each in spans))
    tampered = tuple(offset for each in spans for offset in each.tampered)
    return Span(spans[0].first, spans[-1].last, sum(each.events for each in spans), owners, tampered)
