"""Says in one line what an entry of the log holds beside the values by which it is searched.

Invariant: the line follows from the entry alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.audit.search.fields import text_in

_SHOWN: Final = 3
# Tables whose rows are told of in other words: by what came into force, who signed, and where routes lead.
_TOLD_OTHERWISE: Final = frozenset({"registry_proposal", "approval", "route", "notice", "bundle"})
_MOMENTS: Final = frozenset({"revoked", "since"})  # of the entry itself
_CHANGES: Final = 12
_ROUTE: Final = frozenset({"contract", "operation", "system", "position", "id"})


def detail_of(kind: str, facts: Mapping[str, Any]) -> str | None:
    """`facts` are those of a note; of an intent the entry itself."""
    detail = _DETAILS.get(kind)
    return detail(facts) if detail is not None else None


def part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def listed(facts: Mapping[str, Any], name: str) -> list[str]:
    values = facts.get(name)
    return [str(each) for each in values] if isinstance(values, list) else []


def _call(facts: Mapping[str, Any]) -> str:
    """Describes a call that a dead process had in hand."""
    size, seconds = facts.get("size"), facts.get("seconds")
    parts = [f"{text_in(facts, 'method') or ''} {text_in(facts, 'path') or ''}".strip()]
    parts += [f"{size} bytes"] if isinstance(size, int) else []
    parts += [f"{name} {text_in(facts, name)}" for name in ("source", "certificate", "process") if text_in(facts, name)]
    parts += [f"{seconds} s in hand"] if isinstance(seconds, int) else []
    return ", ".join(parts)


def _altered(facts: Mapping[str, Any]) -> str:
    return _counted(facts, "differences", [*listed(facts, "schema"), *listed(facts, "registry")])


def _quarantined(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('file')}, {facts.get('size')} bytes, {facts.get('deaths')} processes died with it in hand"


def _accepted(facts: Mapping[str, Any]) -> str:
    return f"{_counted(facts, 'rows', listed(facts, 'differed'))}: {text_in(facts, 'reason') or '–'}"


def _received(intent: Mapping[str, Any]) -> str | None:
    """By which grants the provider receives it; those not confirmed in time are named so."""
    overdue = listed(intent, "overdue")
    grants = [f"{name} (not confirmed in time)" if name in overdue else name for name in listed(intent, "receiving")]
    return f"received by {', '.join(grants)}" if grants else None


def _content(facts: Mapping[str, Any]) -> str | None:
    """What came into force and what waits, who proposed and who signed it."""
    parts = [
        f"{each.get('subject')} {what}{_by(each, 'proposed_by', 'proposed by')}{_by(each, 'signed_by', 'signed by')}"
        for name, what in (("in_force", "in force"), ("waiting", "waits"))
        for each in (facts[name] if isinstance(facts.get(name), list) else ())
        if isinstance(each, dict)
    ]
    return "; ".join([*parts[:_SHOWN], *(["…"] if len(parts) > _SHOWN else [])]) or None


def _registered(facts: Mapping[str, Any]) -> str | None:
    return "; ".join(filter(None, (_content(facts), _changes(facts)))) or None


def _by(facts: Mapping[str, Any], name: str, words: str) -> str:
    value = facts.get(name)
    names = [value] if isinstance(value, str) else listed(facts, name)
    return f", {words} {' and '.join(names)}" if names else ""


def _counted(facts: Mapping[str, Any], what: str, named: Sequence[str]) -> str:
    more = ", …" if len(named) > _SHOWN else ""
    return f"{facts.get('count')} {what}, {', '.join(named[:_SHOWN])}{more}"


def _changes(facts: Mapping[str, Any]) -> str | None:
    """What a change of the registry changed: each object, and each field with its old and new value."""
    changes = facts.get("changes")
    objects = [each for each in (changes if isinstance(changes, list) else []) if isinstance(each, dict)]
    parts = [*dict.fromkeys(map(_object, objects))]
    changed = part(part(facts, "registry"), "changed")
    rows = [
        (key, [*_pairs(key, part(part(changed, table), key))])
        for table in changed
        if table not in _TOLD_OTHERWISE
        for key in part(changed, table)
    ]
    told = [(key, pairs) for key, pairs in rows if pairs]
    for key, pairs in told:
        parts += [f"{key} {pair}" if len(told) > 1 else pair for pair in pairs]
    parts += _routes(part(changed, "route"), objects)
    return "; ".join(parts[:_CHANGES]) + ("; …" if len(parts) > _CHANGES else "") if parts else None


def _object(change: Mapping[str, Any]) -> str:
    """What became of one object; of an approval the officer, of somebody admitted that he is in office."""
    how, fields = text_in(change, "how"), listed(change, "fields")
    if how == "approved" and fields == ["state"]:
        how = "admitted"
    elif how == "approved" and len(fields) == 2:  # the officer, and the digest of what was signed
        how = f"approved by {fields[0]}"
    return f"{text_in(change, 'what')} {text_in(change, 'id')}: {how}"


def _pairs(key: str, fields: Mapping[str, Any]) -> Iterator[str]:
    """Each field of a row that was there before and is there now."""
    whole = key in map(str, _ids(fields))
    for name, pair in fields.items():
        if name not in _MOMENTS and isinstance(pair, list) and len(pair) == 2 and not (None in pair and whole):
            yield f"{name} {_value(pair[0])} → {_value(pair[1])}"


def _ids(fields: Mapping[str, Any]) -> Iterator[Any]:
    """The values that a row got or lost: its id is among them if the row is new or gone."""
    return (each for pair in fields.values() if isinstance(pair, list) and None in pair for each in pair)


def _routes(rows: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Where messages of each operation went, and go. Of a row that stays, only what changed is in the entry."""
    named = [text_in(each, "id") for each in changes if each.get("what") == "route"]
    only = f"{named[0]} " if len({*named}) == 1 else ""
    tables: dict[str, tuple[list[tuple[Any, str]], list[tuple[Any, str]]]] = {}
    for row in rows.values():
        pairs = {name: pair for name, pair in row.items() if isinstance(pair, list)} if isinstance(row, dict) else {}
        whole = "contract" in pairs
        for side in (0, 1):
            value = {name: pair[side] for name, pair in pairs.items()}
            if value.get("system") is not None:
                of = f"{value.get('contract')} {value.get('operation')} " if whole else only
                tables.setdefault(of, ([], []))[side].append((value.get("position") or 0, str(value["system"])))
        if not whole:
            for name in sorted(pairs.keys() - _ROUTE):
                yield f"{only}{name} {_value(pairs[name][0])} → {_value(pairs[name][1])}"
    for name, (old, new) in sorted(tables.items()):
        yield f"{name}to {_systems(old)} → {_systems(new)}"


def _systems(routes: list[tuple[Any, str]]) -> str:
    return ", ".join(system for _, system in sorted(routes)) or "–"


def _suspended(facts: Mapping[str, Any]) -> str | None:
    """What was suspended or resumed; the reason that was told, and until when."""
    reason, until = part(facts, "reason"), text_in(facts, "until")
    texts = [text for text in (text_in(reason, "en"), text_in(reason, "vi")) if text]
    parts = [_changes(facts), f"expected until {until}" if until else None]
    parts += [f"reason: {' / '.join(dict.fromkeys(texts))}" if texts else None]
    return "; ".join(filter(None, parts)) or None


def _settings(facts: Mapping[str, Any]) -> str | None:
    """Each setting with its old and new value; of one that may open something only the name."""
    changed = facts.get("changed")
    return (
        "; ".join(
            f"{each.get('name')} {_value(each['from'])} → {_value(each.get('to'))}"
            if "from" in each
            else f"{each.get('name')}"
            for each in (changed if isinstance(changed, list) else [])
            if isinstance(each, dict)
        )
        or None
    )


def _keys(facts: Mapping[str, Any]) -> str | None:
    """The gateway's own keys that were made anew."""
    rotated = ", ".join(listed(facts, "rotated"))
    return f"new: {rotated}{'; the old ones are withdrawn' if facts.get('withdrawn') else ''}" if rotated else None


def _emergency(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('command')}: {text_in(facts, 'reason') or '–'}"


def _reading(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('part')}: {text_in(facts, 'reason') or '–'}"


def _contract(facts: Mapping[str, Any]) -> str:
    """The version and the one before; the personal fields that grants show newly."""
    old, disclosed = part(facts, "before").get("version") or "–", facts.get("discloses")
    parts = [f"{facts.get('how')}: version {old} → {facts.get('version')}"]
    parts += [
        f"{each.get('field')} newly shown by {', '.join(listed(each, 'grants'))}"
        f" to {', '.join(listed(each, 'agencies'))}"
        for each in disclosed or ()
        if isinstance(each, dict)
    ]
    return "; ".join(parts[:_CHANGES])


def _value(value: Any) -> str:
    """A value as the entry has it; of a long or personal one there is only a digest."""
    if isinstance(value, dict):
        return "(…)" if "digest" in value else json.dumps(value, ensure_ascii=False)
    return "–" if value is None else str(value)


def _feed_read(facts: Mapping[str, Any]) -> str:
    """What a session has read, and what it may read until its next entry."""
    parts = [str(facts.get("state") or "")]
    read = ", ".join("–".join(map(str, each)) for each in facts.get("read") or () if isinstance(each, list))
    parts += [f"{facts.get('events')} events: {read}"] if read else []
    parts += [f"may read {facts.get('from')}–{facts.get('to')}"] if "to" in facts else []
    owners = listed(facts, "owners")
    return "; ".join(each for each in [*parts, f"of {', '.join(owners)}" if owners else ""] if each)


def _account(facts: Mapping[str, Any]) -> str:
    """An account of the console: what was done to it, and its roles before and after."""
    changed = part(facts, "changed")
    parts = [f"{text_in(facts, 'account') or '–'}: {text_in(facts, 'how') or '–'}"]
    if changed:
        parts.append(" → ".join(", ".join(listed(changed, side)) or "–" for side in ("old", "new")))
    parts += [", ".join(roles)] if (roles := listed(facts, "roles")) else []
    return " ".join(parts)


_DETAILS: Final[Mapping[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "intent": _received,
    **dict.fromkeys(("access", "registry"), _registered),
    **dict.fromkeys(("suspended", "resumed"), _suspended),
    "body-view": _reading,
    "console-account": _account,
    "break-glass": _emergency,
    "keys": _keys,
    "settings": _settings,
    "taken-up": _call,
    "altered": _altered,
    "contract": _contract,
    "feed-read": _feed_read,
    "quarantine": _quarantined,
    "registry-accepted": _accepted,
}
