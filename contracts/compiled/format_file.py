"""Reads systems/<format>.yaml: one format with the mapping of its messages and its calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Literal

from contracts.canonical.jsonschema import json_schema
from contracts.canonical.model import RestCall, Scalar, Struct
from contracts.canonical.patterns import validator
from contracts.compiled.source import IDENTIFIER, FieldReader, FormatSource, Source
from contracts.folder.source_locations import read_yaml
from contracts.mapping.cells import HEAD_WORDS, CellTableReader, layout_of
from contracts.mapping.content import check_choices
from contracts.mapping.grid import CellMedia
from contracts.mapping.table import TableReader


def read_format(source: Source, path: str, raw: bytes) -> None:
    """Adds the format of one file to `source.formats`; faults go to `source.findings`. Needs the contract."""
    pure = PurePosixPath(path)
    document = read_yaml(path, raw, source.findings)
    if document is None:
        return
    read = FieldReader(document, source.findings)
    kind = read.text(("format",))
    read.only((), {"format", "title", "operations", "messages"} | HEAD_WORDS.get(kind, {"namespaces"}))
    if (
        len(pure.parts) != 2
        or pure.suffix != ".yaml"
        or IDENTIFIER.fullmatch(pure.stem) is None
        or pure.stem == "canonical"
    ):
        read.bad((), path, "systems/<format>.yaml", "layout")
    if kind in HEAD_WORDS:
        _cells(source, read, pure.stem, "csv" if kind == "csv" else "xlsx")
        return
    if kind not in ("json", "xml"):
        read.bad(("format",), repr(kind), "json, xml, csv or xlsx")
        return
    media: Literal["json", "xml"] = "json" if kind == "json" else "xml"
    format_ = FormatSource(pure.stem, media, read.words(("title",)))
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
            format_.plans[name] = plan
    check_choices(reader, format_.plans)
    for op in () if source.contract is None else source.contract.operations.values():
        if op.answer in format_.plans and format_.plans[op.answer].form:
            at = ("messages", op.answer, "body")
            reader.bad(at, op.answer, "an answer that is a form", "unsupported", "JSON: requests alone can be forms")
    _calls(read, format_, source)
    source.formats[format_.name] = format_


def _cells(source: Source, read: FieldReader, name: str, media: CellMedia) -> None:
    layout = layout_of(read.document, media, source.findings)
    format_ = FormatSource(name, media, read.words(("title",)), layout)
    codes_at = None if source.contract is None else source.contract.codes_at
    reader = CellTableReader(read.document, layout, source.tables, source.findings, _known_values(source), codes_at)
    for message, struct in _messages(source, read):
        plan = reader.plan(message, struct)
        if plan is not None:
            format_.cells[message], format_.plans[message] = plan, plan.plan
    _calls(read, format_, source)
    source.formats[name] = format_


def _messages(source: Source, read: FieldReader) -> Iterator[tuple[str, Struct]]:
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
    """A test whether a text is valid for a scalar; validators are compiled once."""
    compiled: dict[int, Any] = {}

    def is_valid(message: str, scalar: Scalar, value: str) -> bool:
        if id(scalar) not in compiled:
            compiled[id(scalar)] = (scalar, validator(json_schema(scalar), formats=True))
        return bool(compiled[id(scalar)][1].is_valid(value))

    return is_valid


def _calls(read: FieldReader, format_: FormatSource, source: Source) -> None:
    declared = read.get(("operations",)) or {}
    if not isinstance(declared, dict):
        read.bad(("operations",), "not a mapping", "operations by name")
        return
    for name in declared:
        at = ("operations", name)
        if source.contract is None or name not in source.contract.operations:
            read.bad(at, repr(name), "an operation of contract.yaml")
            continue
        read.only(at, {"method", "path", "action"})
        op = source.contract.operations[name]
        if read.get((*at, "action")) is not None:
            format_.actions[name] = read.text((*at, "action"))
        if read.get((*at, "method")) is not None or read.get((*at, "path")) is not None:
            methods = "POST" if source.contract.protection == "encrypted" else "GET|POST"
            method = read.text((*at, "method"), re.compile(methods), default=op.method)
            format_.calls[name] = RestCall(
                "GET" if method == "GET" else "POST", read.text((*at, "path"), re.compile(r"/[!-~]*"), default=op.path)
            )
