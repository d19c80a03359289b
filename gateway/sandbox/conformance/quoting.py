"""Texts that a system quotes in its answer: they come back whole, with their diacritics, in Unicode form NFC.

Each free text of the message begins with a mark of its own. So it is found again wherever the answer quotes it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Final, Literal

from lxml import etree

from contracts.canonical.model import Array, Scalar, Struct, Type
from contracts.compiled.contract import CompiledContract
from gateway.sandbox.simulation.probes import LETTERS

Wrong = Literal["nfd", "plain", "cut", "other"]
_LONGEST: Final = 600  # characters of a marked text
_LEAST: Final = 60  # a field that allows fewer is left as it is
_MARK: Final = "Kiểm thử số "
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


def marked(compiled: CompiledContract, message: str, value: Any) -> tuple[Any, tuple[str, ...]]:
    """The message with marked texts, and these. No texts where it has no free text, or would not be valid."""
    texts: list[str] = []
    numbers = count(1)

    def change(type_: Type, here: Any) -> Any:
        if isinstance(type_, Struct) and isinstance(here, dict) and "absent" not in here:
            types = {each.name: each.type for each in type_.fields}
            return {name: change(types[name], each) if name in types else each for name, each in here.items()}
        if isinstance(type_, Array) and isinstance(here, list):
            return [change(type_.items, each) for each in here]
        if not isinstance(type_, Scalar) or type_.kind != "string" or not isinstance(here, str):
            return here
        most = type_.max_length or _LONGEST
        if type_.values or type_.pattern or type_.format or type_.binary or type_.table or most < _LEAST:
            return here
        texts.append((f"{_MARK}{next(numbers):02d}: {LETTERS * 10}")[: min(most, _LONGEST)].strip())
        return texts[-1]

    changed = change(compiled.messages[message], value)
    return (value, ()) if compiled.validate(message, changed) else (changed, tuple(texts))


def wrong_quotes(sent: Iterable[str], raw: Iterable[str], fields: Iterable[tuple[str, int | None]]) -> Wrong | None:
    """What became of a text that was quoted; None if all came back whole, or none did.

    `raw`: the texts of the answer as they came. `fields`: those of its fields, with the length that each allows; a text
    that fills its field may be cut.
    """
    came, typed = list(raw), list(fields)
    for text in sent:
        head = text[: len(_MARK) + 2]
        for each in came:
            if head in each or text in each:
                continue
            if head in unicodedata.normalize("NFC", each):
                return "nfd"
            if without_marks(head) in each:
                return "plain"
        for each, bound in typed:
            at = each.find(head)
            if at < 0 or text in each or len(each) == bound:
                continue
            return "cut" if text.startswith(each[at:].rstrip(". …")) else "other"
    return None


def without_marks(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.replace("Đ", "D").replace("đ", "d"))
    return "".join(each for each in letters if not unicodedata.combining(each))


def strings(body: bytes) -> Iterator[str]:
    """All texts of a JSON or XML document, as they came. None of one that is neither."""
    try:
        yield from _of(json.loads(body))
    except ValueError:
        try:
            yield from (str(each) for each in etree.fromstring(body, _PARSER).itertext())
        except (etree.XMLSyntaxError, ValueError):
            return


def _of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _of(each)


def texts_of(type_: Type, value: Any) -> Iterator[tuple[str, int | None]]:
    """The texts of a canonical message, each with the length that its field allows."""
    if isinstance(type_, Scalar):
        if isinstance(value, str):
            yield value, type_.max_length
    elif isinstance(type_, Array) and isinstance(value, list):
        for each in value:
            yield from texts_of(type_.items, each)
    elif isinstance(type_, Struct) and isinstance(value, dict):
        for field in type_.fields:
            yield from texts_of(field.type, value.get(field.name))
