"""Reads contract.yaml: identity, operations, protection, evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from contracts.canonical.model import (
    CatalogueFacts,
    Contract,
    Evidence,
    Operation,
    Pattern,
    Priority,
    Protection,
    Scalar,
    Struct,
)
from contracts.canonical.places import Places, scalar_at
from contracts.compiled.event_file import read_event
from contracts.compiled.identity_file import read_feed, read_identity
from contracts.compiled.source import IDENTIFIER, FieldReader, Source
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Path, read_yaml
from contracts.mapping.validity import codes_path

RESERVED: Final = frozenset(
    "soap contracts oauth transfers handlings feeds subscriptions audit api console sandbox docs"
    " healthz readyz metrics".split()
)
_VERSION: Final = re.compile(r"[1-9][0-9]{0,3}\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")
_OPERATION: Final = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
_PATH: Final = re.compile(r"(/[a-z0-9]+(-[a-z0-9]+)*)+")
_OPERATION_WORDS: Final = {
    "pattern", "method", "path", "request", "answer", "idempotent", "key", "identity", "feed", "partial", "title",
    "order", "priority", "event",
}  # fmt: skip
_DATE: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")
MOST_EXPECTED: Final = 10_000  # messages of a system in a period
# The codes that DCAT-AP 3 asks for: the EU's tables "frequency" and "data-theme".
FREQUENCIES: Final = frozenset(
    "UPDATE_CONT HOURLY DAILY WEEKLY MONTHLY QUARTERLY ANNUAL_2 ANNUAL BIENNIAL IRREG UNKNOWN".split()
)
THEMES: Final = frozenset("AGRI ECON EDUC ENER ENVI GOVE HEAL INTR JUST REGI SOCI TECH TRAN".split())
_WORDS: Final = {
    "id", "version", "title", "description", "owner_role", "legal_basis", "operations", "protection",
    "retention_months", "evidence", "shared_codes", "codes_at", "catalogue",
}  # fmt: skip


def read_contract(source: Source, bundle: Bundle) -> None:
    """Sets `source.contract`; faults go to `source.findings`. Needs the messages and code tables."""
    if "contract.yaml" not in bundle.files:
        source.findings.add("contract.yaml", 0, "", "nothing", "layout", "id, version, title, operations")
        return
    document = read_yaml("contract.yaml", bundle.files["contract.yaml"], source.findings)
    if document is None:
        return
    read = FieldReader(document, source.findings)
    read.only((), _WORDS)
    shared = read.get(("shared_codes",))
    if shared is not None and (
        not isinstance(shared, list) or not all(isinstance(each, str) and each in source.tables for each in shared)
    ):
        read.bad(("shared_codes",), repr(shared)[:60], "names of tables that lie in _codes/ beside the contracts")
    name = read.text(("id",), IDENTIFIER)
    if name in RESERVED or name == "canonical":
        read.bad(("id",), f"the reserved word {name}", "another id")
    basis = read.get(("legal_basis",))
    if not isinstance(basis, list) or not basis or not all(isinstance(each, str) for each in basis):
        read.bad(("legal_basis",), "nothing", "at least one legal basis")
        basis = []
    months = read.get(("retention_months",))
    if isinstance(months, bool) or not isinstance(months, int) or months < 3:
        read.bad(("retention_months",), repr(months), "whole months, 3 or more")
        months = 24
    declared = read.get(("operations",))
    if not isinstance(declared, dict) or not declared:
        read.bad(("operations",), "none", "at least one operation")
        declared = {}
    operations = {each: _operation(read, each, source) for each in declared}
    read_feed(read, source, operations)
    addresses: set[tuple[str, str]] = set()
    for each, op in operations.items():
        if (op.method, op.path) in addresses:
            read.bad(("operations", each, "path"), "an address that another operation has", "an address of its own")
        addresses.add((op.method, op.path))
    source.contract = Contract(
        id=name,
        version=read.text(("version",), _VERSION, says="three numbers, as 1.2.0") or "1.0.0",
        title=read.words(("title",)),
        description=read.words(("description",)),
        owner_role=read.text(("owner_role",), IDENTIFIER),
        legal_basis=tuple(basis),
        operations=operations,
        protection=_protection(read, operations),
        retention_months=months,
        digest=bundle.digest,
        codes_at=_codes_at(read, source),
        evidence=_evidence(read, operations),
        catalogue=_catalogue(read),
    )


def _protection(read: FieldReader, operations: Mapping[str, Operation]) -> Protection:
    """The protection of bodies. Addresses are visible to proxies and logs, so an encrypted contract has no GET."""
    value = read.text(("protection",), default="signed")
    if value not in ("signed", "encrypted"):
        read.bad(("protection",), repr(value), "signed or encrypted")
    for each in operations.values():
        if value == "encrypted" and each.method != "POST":
            read.bad(
                ("operations", each.name, "method"), each.method, "POST: the bodies of this contract are encrypted"
            )
    return "encrypted" if value == "encrypted" else "signed"


def _evidence(read: FieldReader, operations: Mapping[str, Operation]) -> Evidence:
    """What is kept of bodies. A feed serves submitted bodies, so `none` requires a contract without submit. Of what is
    dispatched it serves both bodies, which only `full` keeps.
    """
    value = read.text(("evidence",), default="full")
    if value not in ("full", "metadata", "none"):
        read.bad(("evidence",), repr(value), "full, metadata or none")
    if value == "none" and any(each.pattern == Pattern.SUBMIT for each in operations.values()):
        read.bad(
            ("evidence",), "none, with an operation that submits", "full or metadata: the feed keeps what was handed in"
        )
    if value != "full" and any(each.in_feed for each in operations.values()):
        read.bad(("evidence",), f"{value}, with a dispatch in the feed", "full: the feed keeps request and answer")
    return "metadata" if value == "metadata" else "none" if value == "none" else "full"


def _catalogue(read: FieldReader) -> CatalogueFacts:
    """The optional facts for the catalogue."""
    at = "catalogue"
    if read.get((at,)) is None:
        return CatalogueFacts()
    read.only((at,), {"frequency", "expected", "themes", "spatial", "licence", "modified"})
    frequency = read.text((at, "frequency"), default="")
    if frequency and frequency not in FREQUENCIES:
        read.bad((at, "frequency"), repr(frequency), "one of " + ", ".join(sorted(FREQUENCIES)))
    expected = read.get((at, "expected"))
    if expected is not None and (type(expected) is not int or not 1 <= expected <= MOST_EXPECTED):
        read.bad((at, "expected"), repr(expected)[:60], f"messages in each period, 1 to {MOST_EXPECTED}")
        expected = None
    themes = read.get((at, "themes")) or []
    if not isinstance(themes, list) or not all(each in THEMES for each in themes):
        read.bad((at, "themes"), repr(themes)[:60], "a list of " + ", ".join(sorted(THEMES)))
        themes = []
    modified = read.get((at, "modified"))
    if modified is not None and _DATE.fullmatch(str(modified)) is None:
        read.bad((at, "modified"), repr(modified)[:60], "a date, as 2026-11-27")
    return CatalogueFacts(
        frequency=frequency,
        expected=expected or 1,
        themes=tuple(themes),
        spatial=read.words((at, "spatial")) if read.get((at, "spatial")) is not None else None,
        licence=read.words((at, "licence")) if read.get((at, "licence")) is not None else None,
        modified="" if modified is None else str(modified),
    )


def _codes_at(read: FieldReader, source: Source) -> str | None:
    """The path of the time at which codes must be in force, in the messages that have it."""
    path = read.get(("codes_at",))
    if path is not None and not any(codes_path(struct, str(path)) for struct in source.messages.values()):
        read.bad(("codes_at",), repr(path), "the path of a date or time, outside lists, of a message")
        return None
    return None if path is None else str(path)


def _operation(read: FieldReader, name: str, source: Source) -> Operation:
    at = ("operations", name)
    read.only(at, _OPERATION_WORDS)
    if _OPERATION.fullmatch(name) is None or name in source.messages or name.endswith("Response"):
        read.bad(
            at, f"the operation name {name!r}", "a name like getValue, not that of a message, not ending in Response"
        )
    pattern, method = read.text((*at, "pattern")), read.text((*at, "method"))
    if pattern not in set(Pattern):
        read.bad((*at, "pattern"), repr(pattern), "query, submit or dispatch")
        pattern = Pattern.QUERY
    if method not in ("GET", "POST") or method == "GET" and pattern != Pattern.QUERY:
        read.bad((*at, "method"), repr(method), "GET (for a query) or POST")
        method = "POST"
    messages = {}
    for word in ("request", "answer"):
        messages[word] = read.text((*at, word))
        if messages[word] not in source.messages:
            read.bad((*at, word), repr(messages[word]), "a message of schema.json: " + ", ".join(source.messages))
    request = source.messages.get(messages["request"])
    if (
        method == "GET"
        and request is not None
        and not all(isinstance(each.type, Scalar) and not each.absentable for each in request.fields)
    ):
        read.bad((*at, "method"), "GET with objects or lists", "single values only in a query string, or POST")
    key = read.get((*at, "key"))
    fed = pattern == Pattern.DISPATCH and read.get((*at, "feed")) is not None  # its events are named by the answer
    named = source.messages.get(messages["answer"]) if fed else request
    if key is not None and named is not None:
        place = Places(named).get(str(key))
        if (
            place is None
            or scalar_at(place, str(key)) is None
            or "[]" in str(key)
            or not place.field.required
            or place.field.absentable
        ):
            read.bad((*at, "key"), repr(key), "a required single value that cannot be absent")
    identity = read_identity(read, (*at, "identity"), Pattern(pattern), request)
    if key is not None and identity is not None:
        read.bad((*at, "key"), "a key beside the identity", "the identity alone, with its subject")
    idempotent = read.get((*at, "idempotent"))
    if idempotent not in (None, True, False):
        read.bad((*at, "idempotent"), repr(idempotent), "true or false")
    return Operation(
        name=name,
        pattern=Pattern(pattern),
        method="GET" if method == "GET" else "POST",
        path=read.text((*at, "path"), _PATH),
        request=messages["request"],
        answer=messages["answer"],
        idempotent=bool(idempotent),
        key=None if key is None else str(key),
        title=read.words((*at, "title")),
        partial=_partial(read, (*at, "partial"), pattern),
        identity=identity,
        order=_order(read, (*at, "order"), pattern, request),
        priority=_priority(read, (*at, "priority"), pattern),
        event=read_event(read, (*at, "event"), Pattern(pattern), request, fed=fed),
    )


def _order(read: FieldReader, at: Path, pattern: str, request: Struct | None) -> tuple[str, ...]:
    """The fields of the request whose values together are the key of the order."""
    raw = read.get(at)
    if raw is None:
        return ()
    paths = raw if isinstance(raw, list) else [raw]
    if pattern != Pattern.DISPATCH or not paths:
        read.bad(at, repr(raw)[:60], "fields of the request of a dispatch")
        return ()
    for path in paths if request is not None else ():
        place = Places(request).get(str(path)) if request is not None else None
        if (
            place is None
            or scalar_at(place, str(path)) is None
            or "[]" in str(path)
            or not place.field.required
            or place.field.absentable
        ):
            read.bad(at, repr(path)[:60], "a required single value of the request that cannot be absent")
            return ()
    return tuple(dict.fromkeys(map(str, paths)))


def _priority(read: FieldReader, at: Path, pattern: str) -> Priority:
    value = read.text(at, default="normal")
    if value not in ("high", "normal", "low") or value != "normal" and pattern == Pattern.SUBMIT:
        read.bad(at, repr(value), "high, normal or low, of an operation that is forwarded")
    return "high" if value == "high" else "low" if value == "low" else "normal"


def _partial(read: FieldReader, at: Path, pattern: str) -> bool:
    value = read.text(at, default="refuse")
    if value not in ("accept", "refuse") or value == "accept" and pattern == Pattern.QUERY:
        read.bad(at, repr(value), "accept or refuse, of an operation that messages are handed in to")
    return value == "accept"
