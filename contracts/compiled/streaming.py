"""Translates messages with large attachments in a few megabytes of memory, independent of their size.

    source -> lift (contracts.wire.attachments) -> codec, over stand-ins -> restore -> chunks of bytes

Invariant: a stand-in is accepted only where the schema allows any base64 of bounded length; both are checked against
the contents. A rejection has the finding that the whole message would have given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from contracts.base.errors import Finding
from contracts.canonical.model import Array, Scalar, Struct, Type, group
from contracts.codecs.codec import Codec, Value
from contracts.compiled.contract import CompiledContract
from contracts.errors import MESSAGE_INVALID
from contracts.wire.attachments import Attachment, File, Place, Spool, stand_ins_in
from contracts.wire.lifting import lift_json, lift_xml
from contracts.wire.soap import MAX_BYTES, parse_xml

BASE64: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"  # as written in schemas

_NO_FILE: Final = ("pattern", "a value of the kind that the schema says, not a file")


@dataclass(frozen=True, slots=True)
class LargeForm:
    """A format of a contract; `media` selects one of the canonical format's two."""

    compiled: CompiledContract
    name: str
    media: Literal["json", "xml"] | None = None

    @property
    def codec(self) -> Codec:
        return self.compiled.codec(self.name)

    @property
    def xml(self) -> bool:
        return (self.media or self.codec.media) == "xml"


def read_large(form: LargeForm, message: str, source: File, spool: Spool, *, limit: int = MAX_BYTES) -> Value:
    """The canonical message with stand-ins for its large attachments, whose contents are in `spool`.

    `limit` is the size in bytes without the attachments. MESSAGE_INVALID with findings.
    """
    codec = form.codec
    if form.xml:
        value = codec.read_xml(message, parse_xml(lift_xml(source, spool, limit), max_bytes=limit))
    else:
        value = codec.read_json(message, lift_json(source, spool, limit))
    check_lifted(form, message, value, spool)
    return value


def check_lifted(form: LargeForm, message: str, value: Value, spool: Spool, *, declared: bool = False) -> None:
    """MESSAGE_INVALID where a stand-in is in a field that may not hold such contents.

    `declared`: only fields that the contract declares as base64 may hold any.
    """
    compiled, findings = form.compiled, list[Finding]()

    def seen(place: Place, attachment: Attachment | None) -> None:
        scalar = _scalar_at(compiled.messages[message], place)
        undeclared = declared and (scalar is None or not scalar.binary and scalar.pattern != BASE64)
        fault = _NO_FILE if attachment is None or undeclared else _unfit(scalar, attachment)
        if fault is not None:
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
            findings.append(Finding(path, path, "base64", *fault))

    stand_ins_in(value, spool, seen)
    if findings:
        raise MESSAGE_INVALID(
            findings=findings, message=message, contract=compiled.contract.name, format=form.name, count=len(findings)
        )


def write_large(form: LargeForm, message: str, value: Value, spool: Spool) -> Iterator[bytes]:
    """The message in this format, in pieces of at most a megabyte, attachments in canonical base64."""
    codec = form.codec
    return spool.restore(codec.write_xml(message, value) if form.xml else codec.write_json(message, value))


@lru_cache(maxsize=4096)
def carries_files(compiled: CompiledContract, message: str) -> bool:
    """Whether the contract declares a field of this message as base64."""
    seen: set[int] = set()  # a type may hold itself

    def carries(at: Type) -> bool:
        if isinstance(at, Array):
            return carries(at.items)
        if isinstance(at, Scalar):
            return at.binary or at.pattern == BASE64
        fields = group(at)
        if fields is None or id(fields.fields) in seen:
            return False
        seen.add(id(fields.fields))
        return any(carries(each.type) for each in fields.fields)

    return carries(compiled.messages[message])


def _scalar_at(struct: Struct, place: Place) -> Scalar | None:
    at: Type | None = struct
    for step in place:
        if isinstance(step, int):
            at = at.items if isinstance(at, Array) else None
        else:
            fields = None if at is None or isinstance(at, Array) else group(at)
            field = None if fields is None else fields.field(step)
            at = field.type if field is not None else None
    return at if isinstance(at, Scalar) else None


def _unfit(scalar: Scalar | None, attachment: Attachment) -> tuple[str, str] | None:
    """(rule, expected) where contents of that length are not allowed."""
    length = -(-attachment.size // 3) * 4
    if (
        scalar is None
        or scalar.values
        or scalar.format is not None
        or not scalar.binary
        and scalar.pattern not in (None, BASE64)
    ):
        return _NO_FILE
    if scalar.max_length is not None and length > scalar.max_length:
        return "length", f"at most {scalar.max_length} characters"
    return None
