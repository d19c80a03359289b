"""What one message of a format is read and written with: closures that are compiled from its plan or its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from contracts.canonical.findings import Enough, Index, Problems, filled
from contracts.canonical.integers import compile_integers
from contracts.canonical.model import Contract, Struct
from contracts.codecs import jsonread, xmlread, xmlwrite
from contracts.codecs.form import form_writer, read_form
from contracts.codecs.xml_fast_path import FastReaders, compile_fast_readers
from contracts.mapping.plan import Chosen, OtherName, Plan, canonical_plan
from contracts.wire.jsontext import read_json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JsonMessage:
    read: Callable[[bytes, str | None], tuple[Any, Problems]]
    write: Callable[[Any], str]
    here: Callable[[str, Any], str]
    fields: Callable[[Any, dict[str, Any], Any, Problems], None] | None  # reads parsed JSON; None: the canonical form


@dataclass(frozen=True, slots=True)
class XmlMessage:
    fast: FastReaders | None
    read: Callable[[Any, Any, Any, Any], None]
    write: Callable[[Any, str], str]
    here: Mapping[str, str]
    canonical: bool
    roots: frozenset[str]
    root: str
    prefixes: Mapping[str, str]
    content: Chosen | None
    also: tuple[OtherName, ...]


class OnFirstUse(dict[str, T | None], Generic[T]):
    """What messages are read and written with, by their names. None: a message that the media type does not have.

    Compiled on first use, since a process has hundreds of contracts and exchanges few of their messages. Two threads
    that compile the same message at once get equal results, of which one stays.
    """

    def __init__(self, compile_message: Callable[[str], T | None]) -> None:
        self._compile_message = compile_message

    def __missing__(self, message: str) -> T | None:
        compiled = self[message] = self._compile_message(message)
        return compiled


def canonical_xml(contract: Contract, struct: Struct, message: str) -> XmlMessage:
    """The canonical form in XML: below its own name, or below that of an operation which exchanges it."""
    space = contract.namespace
    roots = {f"{{{space}}}{message}"}
    for op in contract.operations.values():
        if op.request == message:
            roots.add(f"{{{space}}}{op.name}")
        if op.answer == message:
            roots.add(f"{{{space}}}{op.name}Response")
    return _xml(canonical_plan(struct, "xml", message, space), frozenset(roots), message, {}, canonical=True)


def mapped_xml(plan: Plan) -> XmlMessage:
    """A message that a table maps to XML."""
    prefixes = {uri: prefix for prefix, uri in plan.namespaces.items()}
    return _xml(plan, frozenset({plan.root.name}), plan.root.name.rpartition("}")[2], prefixes)


def _xml(
    plan: Plan, roots: frozenset[str], root: str, prefixes: Mapping[str, str], canonical: bool = False
) -> XmlMessage:
    return XmlMessage(
        fast=compile_fast_readers(plan),
        read=xmlread.compile_reader(plan),
        write=xmlwrite.compile_writer(plan),
        here=plan.here_of(),
        canonical=canonical,
        roots=roots,
        root=root,
        prefixes=prefixes,
        content=plan.content,
        also=plan.also,
    )


def indexed(path: str) -> tuple[str, Index]:
    """`values[2].area` as `values[].area` and its indexes."""
    template, *rest = path.split("[")
    index: Index = None
    for part in rest:
        number, _, below = part.partition("]")
        template, index = f"{template}[]{below}", (index, int(number)) if number else index
    return template, index


def here_in_xml(codec: XmlMessage, root: str) -> Callable[[str, Any], str]:
    def here(path: str, index: Any) -> str:
        known = codec.here.get(path)
        if known is None:
            return ""
        return filled(f"{root}/{known}" if codec.canonical else known, index, 1)

    return here


def mapped_json(plan: Plan) -> JsonMessage:
    """A message that a table maps to JSON."""
    reader, here = jsonread.compile_reader(plan), plan.here_of()
    parse: Callable[[bytes], Any] = partial(read_form, plan=plan) if plan.form else read_json
    writer = jsonread.compile_writer(plan)

    def read(raw: bytes, day: str | None) -> tuple[Any, Problems]:
        into: dict[str, Any] = {}
        problems = Problems(at=day)
        try:
            reader(parse(raw), into, None, problems)
        except Enough:
            pass
        return into, problems

    return JsonMessage(
        read, form_writer(writer) if plan.form else writer, lambda at, index: filled(here.get(at, ""), index, 0), reader
    )


def canonical_json(struct: Struct, message: str) -> JsonMessage:
    """The canonical form in JSON."""
    integers = compile_integers(struct)

    def read(raw: bytes, day: str | None) -> tuple[Any, Problems]:
        value = read_json(raw)
        problems = Problems()
        if integers is not None:
            try:
                integers(value, problems)
            except Enough:
                pass
        return value, problems

    return JsonMessage(
        read,
        jsonread.compile_writer(canonical_plan(struct, "json", message, "")),
        lambda at, index: filled(at, index, 0),
        None,
    )
