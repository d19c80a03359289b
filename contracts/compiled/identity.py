"""Reads the business keys of a message, and what it corrects or recalls, as its contract declares (`identity`).

Invariant: equal keys give equal texts, different keys different ones. A time is the same key in each zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from contracts.canonical.model import Identity, Kind
from contracts.wire.jsontext import text_of

LONGEST_SUBJECT: Final = 1000  # characters of the subject of a message with many keys
_ESCAPED: Final = str.maketrans({"%": "%25", ",": "%2C", " ": "%20", "\t": "%09", "\r": "%0D", "\n": "%0A"})


class Keyed(NamedTuple):
    """One business key of a message. `at` is the item's position; None for the message as a whole."""

    key: str
    content: str
    reference: str
    at: int | None


def kind_of(identity: Identity, message: Mapping[str, Any]) -> Kind:
    """The kind of a message by its fields. A correction by the same key is found by comparing with what came before."""
    for kind, relation in identity.relations.items():
        if all(_text(_value(message, path)) in values for path, values in relation.when.items()):
            return kind
    return Kind.SUBMITTED


def keys_of(identity: Identity, message: Mapping[str, Any]) -> Iterator[Keyed]:
    """Each business key with the content that it stands for."""
    if not identity.items:
        reference = joined([_text(_value(message, path)) for path in identity.reference])
        for key, _ in _keys(identity, message):
            yield Keyed(key, _content(message), reference, None)
        return
    for number, (key, item) in enumerate(_keys(identity, message)):
        yield Keyed(key, _content(item), "", number)


def _keys(identity: Identity, message: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each business key with the message, or the item of its list, that it stands for."""
    if not identity.items:
        yield joined([_text(_value(message, path)) for path in identity.key]), message
        return
    inside = len(identity.items) + 1
    within = [path.startswith(identity.items) for path in identity.key]
    shared = [None if inner else _text(_value(message, path)) for path, inner in zip(identity.key, within, strict=True)]
    for item in _value(message, identity.items.removesuffix("[]")) or ():
        parts = [
            _text(_value(item, path[inside:])) if value is None else value
            for path, value in zip(identity.key, shared, strict=True)
        ]
        yield joined(parts), item


def item_of(identity: Identity, message: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """The message, or the item of its list, with this key; None if it has no such key."""
    return next((item for own, item in _keys(identity, message) if own == key), None)


def references_of(identity: Identity, message: Mapping[str, Any], path: str) -> list[tuple[str, str]] | None:
    """(key, whole reference) of each earlier message that the field names; None if one has another form."""
    value = _value(message, path)
    references: list[tuple[str, str]] = []
    for text in value.split() if isinstance(value, str) else ():
        parts = [_text(each) for each in text.split(",")]
        if len(parts) != len(identity.reference) or not all(parts):
            return None
        named = dict(zip(identity.reference, parts, strict=True))
        references.append((joined([named[each] for each in identity.key]), joined(parts)))
    return references


def key_from(message: Mapping[str, Any], fields: Sequence[str]) -> str:
    """The key whose parts are these fields of another message (of a query)."""
    return joined([_text(_value(message, path)) for path in fields])


def subject_of(identity: Identity, message: Mapping[str, Any]) -> str:
    """The CloudEvents subject: the key, or those of all items as far as they fit, then `+` and the number of others."""
    shown: list[str] = []
    length = left = 0
    for each in _subjects(identity, message):
        length += len(each) + 1
        if length > LONGEST_SUBJECT and shown:
            left += 1
        else:
            shown.append(each)
    return " ".join([*shown, f"+{left}"] if left else shown)


def _subjects(identity: Identity, message: Mapping[str, Any]) -> Iterator[str]:
    places = [identity.key.index(path) for path in identity.subject]
    for key, _ in _keys(identity, message):
        parts = key.split(",")
        yield ",".join(parts[place] for place in places)


def joined(parts: Sequence[str]) -> str:
    """The parts of a key, separated by commas. Commas, spaces and `%` inside a part are escaped as in addresses."""
    return ",".join([each.translate(_ESCAPED) for each in parts])


def _content(value: Any) -> str:
    """The value as a text that does not depend on the order of fields."""
    return text_of(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _value(value: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping):  # missing, or absent with a reason
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if len(text) > 18 and text[4:5] == text[7:8] == "-" and text[10:11] == "T" and text[13:14] == ":":
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return text
        if moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return text
