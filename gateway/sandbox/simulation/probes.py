"""Valid messages at the bounds of a contract: as long, and with as many accents, as it allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Literal

from contracts.base.errors import Failure
from contracts.canonical.model import Array, Operation, Scalar, Struct, Type
from contracts.codecs.codec import Codec
from contracts.compiled.contract import CompiledContract
from gateway.sandbox.simulation.answers import examples

# every letter of Vietnamese with each tone, in Unicode form NFC
LETTERS: Final = (
    "aàảãáạăằẳẵắặâầẩẫấậeèẻẽéẹêềểễếệiìỉĩíịoòỏõóọôồổỗốộơờởỡớợuùủũúụưừửữứựyỳỷỹýỵđ "
    "AÀẢÃÁẠĂẰẲẴẮẶÂẦẨẪẤẬEÈẺẼÉẸÊỀỂỄẾỆIÌỈĨÍỊOÒỎÕÓỌÔỒỔỖỐỘƠỜỞỠỚỢUÙỦŨÚỤƯỪỬỮỨỰYỲỶỸÝỴĐ "
)
_BIG: Final = 20_000  # characters of a text, where the contract allows as many
_MORE: Final = 3  # items of each list, where the contract allows as many
_MOST: Final = 2_000_000  # bytes of a big message


def probes(
    compiled: CompiledContract, operation: Operation, codec: Codec, media: Literal["json", "xml"]
) -> dict[str, bytes]:
    """`big` and `diacritics`, where the operation's message can show them and is sent by POST."""
    request, bodies = operation.request, dict[str, bytes]()
    struct = compiled.messages[request]
    for kind, change in (("big", _bigger), ("diacritics", _accented)):
        changed = (change(struct, each) for each in examples(compiled, request))
        valid = (each for each in changed if not compiled.validate(request, each))
        written = _written(compiled, operation, codec, media, valid)
        body = next((body for body in written if len(body) <= _MOST), b"")
        bodies |= {kind: body} if body else {}
    return bodies


def _written(
    compiled: CompiledContract, operation: Operation, codec: Codec, media: str, messages: Any
) -> Iterator[bytes]:
    for message in messages:
        with suppress(Failure):
            if media == "xml":
                yield codec.write_xml(operation.request, message, operation.name)
            else:
                yield codec.write_json(operation.request, message)


def _bigger(type_: Type, value: Any) -> Any:
    """Free texts as long, and lists as many, as the contract allows within bounds."""
    if isinstance(type_, Array) and isinstance(value, list) and value:
        most = min(_MORE, type_.most or _MORE)
        return [_bigger(type_.items, value[number % len(value)]) for number in range(max(most, len(value)))]
    return _texts(type_, value, lambda most: (LETTERS * (_BIG // len(LETTERS) + 1))[: min(most, _BIG)], _bigger)


def _accented(type_: Type, value: Any) -> Any:
    if isinstance(type_, Array) and isinstance(value, list):
        return [_accented(type_.items, each) for each in value]
    return _texts(type_, value, lambda most: LETTERS[:most].strip(), _accented)


def _texts(type_: Type, value: Any, text: Any, below: Any) -> Any:
    if isinstance(type_, Struct) and isinstance(value, dict) and "absent" not in value:
        types = {field.name: field.type for field in type_.fields}
        return {name: below(types[name], each) if name in types else each for name, each in value.items()}
    free = isinstance(type_, Scalar) and type_.kind == "string" and not (type_.values or type_.pattern or type_.format)
    if free and isinstance(type_, Scalar) and not type_.binary and isinstance(value, str):
        return text(type_.max_length or _BIG)
    return value
