"""Contracts for a steward: what is in force, its fields, its mapping tables, what changed, a message tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.base import safeyaml
from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.canonical.model import Array, Field, Scalar, Struct, group
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.diff.changes import Change, Level
from contracts.diff.compare import differences, level_of
from contracts.folder.bundle import Bundle
from contracts.proof.tryout import Tryout, messages, try_out
from gateway.console.errors import CONSOLE_FORM, CONSOLE_NO_PAGE
from gateway.console.site.desk import Desk
from gateway.registry import versions
from gateway.registry.changes import publish
from gateway.registry.versions import Stored

MOST_TRIED: Final = 200_000  # characters of a message that is tried in a page
_DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class Line:
    """A field of a message, whole with its path."""

    path: str
    depth: int
    kind: str
    required: bool
    mark: str | None  # personal: basic or sensitive
    title: str
    values: tuple[str, ...]
    table: str | None


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A row of a mapping table: places of both sides, and the other cells as they are written."""

    canonical: str
    here: str
    rest: str
    cells: tuple[tuple[str, str], ...]  # the same by their names


def listed(desk: Desk) -> list[tuple[CompiledContract, int]]:
    """The contracts in force, each with the number of its stored versions."""
    with desk.reading() as connection:
        bundles = versions.stored(connection)
    force = desk.services.registry.snapshot.contracts
    return [(force[name], sum(each.contract == name for each in bundles)) for name in sorted(force)]


def in_force(desk: Desk, name: str) -> CompiledContract:
    """Raises `console.no-page`."""
    contract = desk.services.registry.snapshot.contracts.get(name)
    if contract is None:
        raise CONSOLE_NO_PAGE(path=f"/console/contracts/{name}")
    return contract


def stored(desk: Desk, name: str) -> tuple[list[Stored], Mapping[str, str]]:
    """All versions of a contract, the newest first, and who stays with which minor version."""
    with desk.reading() as connection:
        return versions.stored(connection, name)[::-1], publish.pins(connection, name)


def fields(struct: Struct) -> list[Line]:
    """Every field of a message, those of groups below them; a recursive type has its fields once."""
    return list(_lines(struct, "", 0, None, frozenset()))


def _lines(struct: Struct, above: str, depth: int, mark: str | None, seen: frozenset[str]) -> Iterator[Line]:
    for field in struct.fields:
        path = f"{above}{field.name}{'[]' if isinstance(field.type, Array) else ''}"
        own, inner = field.below(mark), group(field.type)
        yield _line(field, path, depth, own)
        if inner is not None and inner.name not in seen and depth < _DEEPEST:
            yield from _lines(inner, f"{path}.", depth + 1, own, seen | {inner.name})


def _line(field: Field, path: str, depth: int, mark: str | None) -> Line:
    scalar = field.type.items if isinstance(field.type, Array) else field.type
    single = scalar if isinstance(scalar, Scalar) else None
    return Line(
        path=path,
        depth=depth,
        kind=(single.format or single.kind) if single is not None else "list" if path.endswith("[]") else "object",
        required=field.required,
        mark=mark if mark != "none" else None,
        title=field.title,
        values=single.values[:12] if single is not None else (),
        table=single.table if single is not None else None,
    )


def mapping(desk: Desk, name: str, format_name: str) -> dict[str, dict[str, Any]]:
    """The mapping table of each message in one format, as rows; what it drops and reads over.

    Raises `console.no-page`.
    """
    contract = in_force(desk, name)
    with desk.reading() as connection:
        files = versions.load(connection, contract.digest).files
    raw = files.get(f"systems/{format_name}.yaml")
    if raw is None:
        raise CONSOLE_NO_PAGE(path=f"/console/contracts/{name}/formats/{format_name}")
    content = safeyaml.load(raw)
    tables: dict[str, dict[str, Any]] = {}
    for message, table in (content.get("messages") or {}).items():
        rows = [_row(each) for each in table.get("rows") or table.get("columns") or ()]
        tables[message] = {
            "root": table.get("root", ""),
            "rows": rows,
            "drops": table.get("drops", ()),
            "ignores": table.get("ignores", ()),
        }
    return tables


def _row(written: Mapping[str, Any]) -> MappingRow:
    cells = tuple((name, _text(value)) for name, value in written.items() if name not in ("canonical", "here"))
    return MappingRow(
        _place(written.get("canonical", "")),
        _place(written.get("here", "")),
        "; ".join(f"{name}: {text}" for name, text in cells),
        cells,
    )


def _place(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} = {_text(each)}" for name, each in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True, slots=True)
class Compared:
    old: Stored
    new: Stored
    level: Level
    changes: Sequence[Change]


def compare(desk: Desk, name: str, old: str, new: str) -> Compared:
    """Two stored versions of one contract. Raises `console.form`."""
    with desk.reading() as connection:
        known = {each.version: each for each in versions.stored(connection, name)}
        sides: list[tuple[Bundle, CompiledContract]] = []
        for field, version in (("old", old), ("new", new)):
            if version not in known:
                raise CONSOLE_FORM(field=field, why=" | ".join(known))
            bundle = versions.load(connection, known[version].digest)
            sides.append((bundle, compile_bundle(bundle)))
    changes = differences(*sides)
    return Compared(known[old], known[new], level_of(changes), changes)


def tried(desk: Desk, name: str, format_name: str, message: str, text: str) -> Tryout:
    """One message through a contract in force. Nothing is stored or sent. Raises `console.form`."""
    contract = in_force(desk, name)
    codec = contract.formats.get(format_name)
    if codec is None or codec.media == "xlsx":
        raise CONSOLE_FORM(field="format", why=" | ".join(contract.formats))
    known = messages(contract, codec)
    if message and message not in known:
        raise CONSOLE_FORM(field="message", why=" | ".join(known))
    if len(text) > MOST_TRIED:
        raise CONSOLE_FORM(field="text", why=f"more than {MOST_TRIED} characters")
    try:
        return try_out(contract, format_name, text.encode(), message or None, desk.now())
    except Failure as failure:
        return Tryout(format_name, failure=failure)


def receivers(desk: Desk, contract: CompiledContract) -> list[tuple[str, Words, list[str]]]:
    """Of each operation its title and the systems that its messages are routed to."""
    snapshot = desk.services.registry.snapshot
    return [
        (name, operation.title, sorted(each.id for each in snapshot.routed(contract.contract.name, name)))
        for name, operation in contract.contract.operations.items()
    ]
