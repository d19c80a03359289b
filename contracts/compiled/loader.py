"""Reads a bundle into contract, types, code tables, mapping plans and samples, collecting every finding with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Literal

from contracts.base.words import Words
from contracts.canonical.code_tables import other_orders, read_codes
from contracts.canonical.jsonschema import json_schema
from contracts.canonical.model import (
    CodeTable,
    Contract,
    Evidence,
    Operation,
    Pattern,
    Protection,
    RestCall,
    Sample,
    Scalar,
    Struct,
)
from contracts.canonical.patterns import validator
from contracts.canonical.places import places, scalar_at
from contracts.canonical.profile import Profile
from contracts.folder.bundle import Bundle
from contracts.folder.source_locations import Findings, Located, Path, read_json, read_yaml
from contracts.mapping.cells import HEAD_WORDS, CellPlan, CellTableReader, layout_of
from contracts.mapping.grid import CellMedia, Layout
from contracts.mapping.plan import Plan
from contracts.mapping.table import TableReader
from contracts.mapping.validity import codes_path

RESERVED: Final = frozenset(
    {
        "soap",
        "contracts",
        "oauth",
        "transfers",
        "feeds",
        "audit",
        "api",
        "console",
        "sandbox",
        "healthz",
        "readyz",
        "metrics",
    }
)
_ID: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,3}\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")
_OPERATION: Final = re.compile(r"[a-z][A-Za-z0-9]{0,63}")
_PATH: Final = re.compile(r"(/[a-z0-9]+(-[a-z0-9]+)*)+")
_SAMPLE: Final = re.compile(
    r"samples/(?P<format>[^/]+)/(?P<message>[A-Za-z_]\w*)\.(?P<name>[^/.]+)\.(?P<kind>json|xml|csv|xlsx)"
)


@dataclass(slots=True)
class FormatSource:
    name: str
    media: Literal["json", "xml", "csv", "xlsx"]
    title: Words
    layout: Layout | None = None  # of csv and xlsx
    cells: dict[str, CellPlan] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    calls: dict[str, RestCall] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Source:
    """What could be read; use it only if `findings` is empty."""

    findings: Findings = field(default_factory=Findings)
    contract: Contract | None = None
    messages: dict[str, Struct] = field(default_factory=dict)
    tables: dict[str, CodeTable] = field(default_factory=dict)
    formats: dict[str, FormatSource] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)


def load(bundle: Bundle) -> Source:
    source = Source()
    files = bundle.files
    for path, raw in files.items():
        pure = PurePosixPath(path)
        if len(pure.parts) == 2 and pure.parts[0] == "codes" and pure.suffix == ".csv":
            table = read_codes(path, raw, source.findings)
            if table is not None:
                source.tables.update({each.name: each for each in (table, *other_orders(table))})
        elif path not in ("contract.yaml", "schema.json") and not path.startswith(("samples/", "systems/")):
            source.findings.add(
                path,
                0,
                "",
                "a file without a place",
                "layout",
                "contract.yaml, schema.json, codes/, systems/, samples/",
            )
    _schema(source, files)
    _contract(source, bundle)
    for path, raw in files.items():
        if path.startswith("systems/"):
            _format(source, path, raw)
    _samples(source, files)
    return source


def _schema(source: Source, files: Mapping[str, bytes]) -> None:
    if "schema.json" not in files:
        source.findings.add("schema.json", 0, "", "nothing", "layout", "the canonical messages")
        return
    document = read_json("schema.json", files["schema.json"], source.findings)
    if document is None:
        return
    if not isinstance(document.value, dict):
        source.findings.add("schema.json", 1, "", "not an object", "profile", "a schema")
        return
    if document.value.get("$schema") != "https://json-schema.org/draft/2020-12/schema":
        source.findings.add(
            "schema.json", document.line(("$schema",)), "$schema", "another draft", "profile", "draft 2020-12"
        )
    for word in document.value:
        if word not in ("$schema", "$id", "$defs", "title", "description"):
            source.findings.add(
                "schema.json",
                document.line((word,)),
                word,
                f"the keyword {word}",
                "profile",
                "messages under $defs, nothing beside",
            )
    types = Profile(document, source.tables, source.findings).types()
    source.messages = {name: made for name, made in types.items() if isinstance(made, Struct)}


class _Reader:
    """Typed look-ups in a YAML document; what is missing or of another kind is a finding."""

    def __init__(self, document: Located, findings: Findings) -> None:
        self.document, self.findings = document, findings

    def bad(self, path: Path, got: str, expected: str, rule: str = "contract") -> None:
        self.findings.add(self.document.file, self.document.line(path), ".".join(map(str, path)), got, rule, expected)

    def get(self, path: Path) -> Any:
        value = self.document.value
        for step in path:
            if not isinstance(value, dict) or step not in value:
                return None
            value = value[step]
        return value

    def text(self, path: Path, shape: re.Pattern[str] | None = None, default: str | None = None, says: str = "") -> str:
        value = self.get(path)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value or shape is not None and shape.fullmatch(value) is None:
            self.bad(
                path, repr(value)[:60], says or ("a text" if shape is None else f"a text of the shape {shape.pattern}")
            )
            return ""
        return value

    def words(self, path: Path) -> Words:
        return Words(self.text((*path, "vi")), self.text((*path, "en")))

    def only(self, path: Path, known: set[str]) -> None:
        value = self.get(path)
        if not isinstance(value, dict):
            self.bad(path, "not a mapping", "a mapping")
            return
        for word in value:
            if word not in known:
                self.bad((*path, word), f"the word {word}", "one of " + ", ".join(sorted(known)))


_WORDS: Final = {
    "id", "version", "title", "description", "owner_role", "legal_basis", "operations", "protection", "retention_months", "evidence",
    "shared_codes", "codes_at",
}  # fmt: skip


def _contract(source: Source, bundle: Bundle) -> None:
    if "contract.yaml" not in bundle.files:
        source.findings.add("contract.yaml", 0, "", "nothing", "layout", "id, version, title, operations")
        return
    document = read_yaml("contract.yaml", bundle.files["contract.yaml"], source.findings)
    if document is None:
        return
    read = _Reader(document, source.findings)
    read.only((), _WORDS)
    shared = read.get(("shared_codes",))
    if shared is not None and (
        not isinstance(shared, list) or not all(isinstance(each, str) and each in source.tables for each in shared)
    ):
        read.bad(("shared_codes",), repr(shared)[:60], "names of tables that lie in _codes/ beside the contracts")
    name = read.text(("id",), _ID)
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
    named = read.get(("operations",))
    if not isinstance(named, dict) or not named:
        read.bad(("operations",), "none", "at least one operation")
        named = {}
    operations = {each: _operation(read, each, source) for each in named}
    taken: set[tuple[str, str]] = set()
    for each, op in operations.items():
        if (op.method, op.path) in taken:
            read.bad(("operations", each, "path"), "an address that another operation has", "an address of its own")
        taken.add((op.method, op.path))
    source.contract = Contract(
        name,
        read.text(("version",), _VERSION, says="three numbers, as 1.2.0") or "1.0.0",
        read.words(("title",)),
        read.words(("description",)),
        read.text(("owner_role",), _ID),
        tuple(basis),
        operations,
        _protection(read, operations),
        months,
        bundle.digest,
        _codes_at(read, source),
        _evidence(read, operations),
    )


def _protection(read: _Reader, operations: Mapping[str, Operation]) -> Protection:
    """An encrypted body is a body: what stands in an address is read by every proxy and every log on the way."""
    value = read.text(("protection",), default="signed")
    if value not in ("signed", "encrypted"):
        read.bad(("protection",), repr(value), "signed or encrypted")
    for each in operations.values():
        if value == "encrypted" and each.method != "POST":
            read.bad(
                ("operations", each.name, "method"), each.method, "POST: the bodies of this contract are encrypted"
            )
    return "encrypted" if value == "encrypted" else "signed"


def _evidence(read: _Reader, operations: Mapping[str, Operation]) -> Evidence:
    """What is kept of bodies. A feed gives what was handed in for as long as the contract says, so that `none` is for contracts without one."""
    value = read.text(("evidence",), default="full")
    if value not in ("full", "metadata", "none"):
        read.bad(("evidence",), repr(value), "full, metadata or none")
    if value == "none" and any(each.pattern == Pattern.SUBMIT for each in operations.values()):
        read.bad(
            ("evidence",), "none, with an operation that submits", "full or metadata: the feed keeps what was handed in"
        )
    return "metadata" if value == "metadata" else "none" if value == "none" else "full"


def _codes_at(read: _Reader, source: Source) -> str | None:
    """The path of the time for which codes are to be in force, in the messages that have it."""
    path = read.get(("codes_at",))
    if path is not None and not any(codes_path(struct, str(path)) for struct in source.messages.values()):
        read.bad(("codes_at",), repr(path), "the path of a date or time, outside lists, of a message")
        return None
    return None if path is None else str(path)


def _operation(read: _Reader, name: str, source: Source) -> Operation:
    at = ("operations", name)
    read.only(at, {"pattern", "method", "path", "request", "answer", "idempotent", "key", "partial", "title"})
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
    if key is not None and request is not None:
        place = places(request).get(str(key))
        if (
            place is None
            or scalar_at(place, str(key)) is None
            or "[]" in str(key)
            or not place.field.required
            or place.field.absentable
        ):
            read.bad((*at, "key"), repr(key), "a required single value that cannot be absent")
    idempotent = read.get((*at, "idempotent"))
    if idempotent not in (None, True, False):
        read.bad((*at, "idempotent"), repr(idempotent), "true or false")
    return Operation(
        name,
        Pattern(pattern),
        "GET" if method == "GET" else "POST",
        read.text((*at, "path"), _PATH),
        messages["request"],
        messages["answer"],
        bool(idempotent),
        None if key is None else str(key),
        read.words((*at, "title")),
        _partial(read, (*at, "partial"), pattern),
    )


def _partial(read: _Reader, at: Path, pattern: str) -> bool:
    value = read.text(at, default="refuse")
    if value not in ("accept", "refuse") or value == "accept" and pattern == Pattern.QUERY:
        read.bad(at, repr(value), "accept or refuse, of an operation that messages are handed in to")
    return value == "accept"


def _format(source: Source, path: str, raw: bytes) -> None:
    pure = PurePosixPath(path)
    document = read_yaml(path, raw, source.findings)
    if document is None:
        return
    read = _Reader(document, source.findings)
    kind = read.text(("format",))
    read.only((), {"format", "title", "operations", "messages"} | HEAD_WORDS.get(kind, {"namespaces"}))
    if len(pure.parts) != 2 or pure.suffix != ".yaml" or _ID.fullmatch(pure.stem) is None or pure.stem == "canonical":
        read.bad((), path, "systems/<format>.yaml", "layout")
    if kind in HEAD_WORDS:
        _cells(source, read, pure.stem, "csv" if kind == "csv" else "xlsx")
        return
    if kind not in ("json", "xml"):
        read.bad(("format",), repr(kind), "json, xml, csv or xlsx")
        return
    media: Literal["json", "xml"] = "json" if kind == "json" else "xml"
    made = FormatSource(pure.stem, media, read.words(("title",)))
    spaces = read.get(("namespaces",)) or {}
    if (
        not isinstance(spaces, dict)
        or not all(isinstance(uri, str) and uri for uri in spaces.values())
        or len(set(spaces.values())) < len(spaces)
    ):
        read.bad(("namespaces",), "not prefixes and addresses", "each prefix with a namespace of its own")
        spaces = {}
    if any(
        re.fullmatch(r"([A-Za-z_][\w.-]*)?", prefix) is None or prefix.lower().startswith("xml") or prefix == "xsi"
        for prefix in spaces
    ):
        read.bad(("namespaces",), "a prefix that cannot be used", "a name, not xml… and not xsi")
    codes_at = None if source.contract is None else source.contract.codes_at
    reader = TableReader(document, media, spaces, source.tables, source.findings, _known_values(source), codes_at)
    for name, struct in _messages(source, read):
        plan = reader.plan(name, struct)
        if plan is not None:
            made.plans[name] = plan
    _calls(read, made, source)
    source.formats[made.name] = made


def _cells(source: Source, read: _Reader, name: str, media: CellMedia) -> None:
    layout = layout_of(read.document, media, source.findings)
    made = FormatSource(name, media, read.words(("title",)), layout)
    codes_at = None if source.contract is None else source.contract.codes_at
    reader = CellTableReader(read.document, layout, source.tables, source.findings, _known_values(source), codes_at)
    for message, struct in _messages(source, read):
        plan = reader.plan(message, struct)
        if plan is not None:
            made.cells[message], made.plans[message] = plan, plan.plan
    _calls(read, made, source)
    source.formats[name] = made


def _messages(source: Source, read: _Reader) -> Iterator[tuple[str, Struct]]:
    messages = read.get(("messages",))
    if not isinstance(messages, dict) or not messages:
        read.bad(("messages",), "none", "at least one message")
        return
    for name in messages:
        struct = source.messages.get(name)
        if struct is None:
            read.bad(("messages", name), repr(name), "a message of schema.json: " + ", ".join(source.messages))
        else:
            yield name, struct


def _known_values(source: Source) -> Any:
    compiled: dict[int, Any] = {}

    def is_valid(message: str, scalar: Scalar, value: str) -> bool:
        if id(scalar) not in compiled:
            compiled[id(scalar)] = (scalar, validator(json_schema(scalar), formats=True))
        return bool(compiled[id(scalar)][1].is_valid(value))

    return is_valid


def _calls(read: _Reader, made: FormatSource, source: Source) -> None:
    named = read.get(("operations",)) or {}
    if not isinstance(named, dict):
        read.bad(("operations",), "not a mapping", "operations by name")
        return
    for name in named:
        at = ("operations", name)
        if source.contract is None or name not in source.contract.operations:
            read.bad(at, repr(name), "an operation of contract.yaml")
            continue
        read.only(at, {"method", "path", "action"})
        op = source.contract.operations[name]
        if read.get((*at, "action")) is not None:
            made.actions[name] = read.text((*at, "action"))
        if read.get((*at, "method")) is not None or read.get((*at, "path")) is not None:
            methods = "POST" if source.contract.protection == "encrypted" else "GET|POST"
            method = read.text((*at, "method"), re.compile(methods), default=op.method)
            made.calls[name] = RestCall(
                "GET" if method == "GET" else "POST", read.text((*at, "path"), re.compile(r"/[!-~]*"), default=op.path)
            )


def _samples(source: Source, files: Mapping[str, bytes]) -> None:
    for path, raw in files.items():
        if not path.startswith("samples/") or path.endswith(".canonical.json"):
            continue
        match = _SAMPLE.fullmatch(path)
        if (
            match is None
            or match["message"] not in source.messages
            or match["format"] not in {*source.formats, "canonical"}
        ):
            source.findings.add(
                path,
                0,
                "",
                "a sample without a place",
                "layout",
                "samples/<format>/<Message>.<name>.json, .xml, .csv or .xlsx",
            )
            continue
        twin = f"samples/{match['format']}/{match['message']}.{match['name']}.canonical.json"
        if match["format"] == "canonical" and match["kind"] == "json":
            twin = path
        if twin not in files:
            source.findings.add(path, 0, "", "no canonical twin", "layout", twin)
            continue
        source.samples.append(Sample(match["format"], match["message"], match["name"], match["kind"], raw, files[twin]))
    taken = {path for path in files if path.startswith("samples/") and path.endswith(".canonical.json")}
    twins = {f"samples/{each.format}/{each.message}.{each.name}.canonical.json" for each in source.samples}
    for path in sorted(taken - twins):
        source.findings.add(path, 0, "", "a twin without its sample", "layout", "the sample beside it")
