"""Says in one line what an entry of the log holds beside the values by which it is searched, in both languages.

Invariant: the line follows from the entry alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.base.words import Language, Words, WordsFile
from gateway.audit.search.fields import text_in

Say = Callable[..., str]  # a phrase of `details.yaml` in one language, with its fields
_words: Final = WordsFile(__file__, "details.yaml")
_SHOWN: Final = 3
# Tables whose rows are told of in other words: by what came into force, who signed, and where routes lead.
_TOLD_OTHERWISE: Final = frozenset({"registry_proposal", "approval", "route", "notice", "bundle"})
_MOMENTS: Final = frozenset({"revoked", "since"})  # of the entry itself
_CHANGES: Final = 12
_ROUTE: Final = frozenset({"contract", "operation", "system", "position", "id"})


def detail_of(kind: str, facts: Mapping[str, Any], language: Language = "en") -> str | None:
    """`facts` are those of a note; of an intent the entry itself."""
    detail = _DETAILS.get(kind)
    return detail(facts, _SAY[language]) if detail is not None else None


def detail_words(kind: str, facts: Mapping[str, Any]) -> Words:
    """The same in both languages; empty if there is nothing."""
    return Words(detail_of(kind, facts, "vi") or "", detail_of(kind, facts) or "")


def _vi(name: str, /, **fields: object) -> str:
    return _words(name).say("vi", fields)


def _en(name: str, /, **fields: object) -> str:
    return _words(name).say("en", fields)


_SAY: Final[Mapping[Language, Say]] = {"vi": _vi, "en": _en}


def _code(say: Say, of: str, code: object) -> str:
    """The word for a code, or the code."""
    return say(name) if (name := f"{of}.{code}") in set(_words) else str(code)


def part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def listed(facts: Mapping[str, Any], name: str) -> list[str]:
    values = facts.get(name)
    return [str(each) for each in values] if isinstance(values, list) else []


def _call(facts: Mapping[str, Any], say: Say) -> str:
    """Describes a call that a dead process had in hand."""
    size, seconds = facts.get("size"), facts.get("seconds")
    parts = [f"{text_in(facts, 'method') or ''} {text_in(facts, 'path') or ''}".strip()]
    parts += [say("bytes", size=size)] if isinstance(size, int) else []
    named = ("source", "certificate", "process")
    parts += [say(name, value=value) for name in named if (value := text_in(facts, name))]
    parts += [say("in-hand", seconds=seconds)] if isinstance(seconds, int) else []
    return ", ".join(parts)


def _altered(facts: Mapping[str, Any], say: Say) -> str:
    each = [*listed(facts, "schema"), *listed(facts, "registry"), *listed(facts, "accounts")]
    return _counted(facts, say, "differences", each)


def _quarantined(facts: Mapping[str, Any], say: Say) -> str:
    return say("quarantined", file=facts.get("file"), size=facts.get("size"), deaths=facts.get("deaths"))


def _accepted(facts: Mapping[str, Any], say: Say) -> str:
    return f"{_counted(facts, say, 'rows', listed(facts, 'differed'))}: {text_in(facts, 'reason') or '–'}"


def _received(intent: Mapping[str, Any], say: Say) -> str | None:
    """By which grants the provider receives it; those not confirmed in time are named so."""
    overdue = listed(intent, "overdue")
    grants = [say("unconfirmed", grant=name) if name in overdue else name for name in listed(intent, "receiving")]
    return say("received", grants=", ".join(grants)) if grants else None


def _content(facts: Mapping[str, Any], say: Say) -> str | None:
    """What came into force and what waits, who proposed and who signed it."""
    parts = [
        say(what, subject=each.get("subject"))
        + _by(each, say, "proposed_by", "proposed-by")
        + _by(each, say, "signed_by", "signed-by")
        for name, what in (("in_force", "in-force"), ("waiting", "waits"))
        for each in (facts[name] if isinstance(facts.get(name), list) else ())
        if isinstance(each, dict)
    ]
    return "; ".join([*parts[:_SHOWN], *(["…"] if len(parts) > _SHOWN else [])]) or None


def _registered(facts: Mapping[str, Any], say: Say) -> str | None:
    reason = text_in(facts, "reason")
    why = say("reason", texts=reason) if reason else None
    return "; ".join(filter(None, (_content(facts, say), _changes(facts, say), why))) or _begun(facts, say)


def _begun(facts: Mapping[str, Any], say: Say) -> str | None:
    """Rows of the registry that the log sealed as they stood, such as all of them in its first entry."""
    registry = part(facts, "registry")
    rows = sum(len(each) for each in part(registry, "rows").values() if isinstance(each, dict))
    return say("begun", revision=registry.get("revision"), rows=rows) if rows else None


def _by(facts: Mapping[str, Any], say: Say, name: str, phrase: str) -> str:
    value = facts.get(name)
    names = [value] if isinstance(value, str) else listed(facts, name)
    return f", {say(phrase, names=say('and').join(names))}" if names else ""


def _counted(facts: Mapping[str, Any], say: Say, what: str, named: Sequence[str]) -> str:
    more = ", …" if len(named) > _SHOWN else ""
    return say(what, count=facts.get("count"), names=f"{', '.join(named[:_SHOWN])}{more}")


def _changes(facts: Mapping[str, Any], say: Say) -> str | None:
    """What a change of the registry changed: each object, and each field with its old and new value."""
    changes = facts.get("changes")
    objects = [each for each in (changes if isinstance(changes, list) else []) if isinstance(each, dict)]
    parts = [*dict.fromkeys(_object(each, say) for each in objects)]
    changed = part(part(facts, "registry"), "changed")
    rows = [
        (key, [*_pairs(key, part(part(changed, table), key), say)])
        for table in changed
        if table not in _TOLD_OTHERWISE
        for key in part(changed, table)
    ]
    told = [(key, pairs) for key, pairs in rows if pairs]
    for key, pairs in told:
        parts += [f"{key} {pair}" if len(told) > 1 else pair for pair in pairs]
    parts += _routes(part(changed, "route"), objects, say)
    return "; ".join(parts[:_CHANGES]) + ("; …" if len(parts) > _CHANGES else "") if parts else None


def _object(change: Mapping[str, Any], say: Say) -> str:
    """What became of one object; of an approval the officer, of somebody admitted that he is in office."""
    how, fields = text_in(change, "how"), listed(change, "fields")
    told = _code(say, "how", "admitted" if how == "approved" and fields == ["state"] else how)
    if how == "approved" and len(fields) == 2:  # the officer, and the digest of what was signed
        told = say("approved-by", officer=fields[0])
    return f"{_code(say, 'what', text_in(change, 'what'))} {text_in(change, 'id')}: {told}"


def _pairs(key: str, fields: Mapping[str, Any], say: Say) -> Iterator[str]:
    """Each field of a row that was there before and is there now."""
    whole = key in map(str, _ids(fields))
    for name, pair in fields.items():
        if name not in _MOMENTS and isinstance(pair, list) and len(pair) == 2 and not (None in pair and whole):
            yield f"{_code(say, 'field', name)} {_value(pair[0])} → {_value(pair[1])}"


def _ids(fields: Mapping[str, Any]) -> Iterator[Any]:
    """The values that a row got or lost: its id is among them if the row is new or gone."""
    return (each for pair in fields.values() if isinstance(pair, list) and None in pair for each in pair)


def _routes(rows: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], say: Say) -> Iterator[str]:
    """Where messages of each operation went, and go. Of a row that stays, only what changed is in the entry."""
    named = [text_in(each, "id") for each in changes if each.get("what") == "route"]
    only = f"{named[0]} " if len({*named}) == 1 else ""
    tables: dict[str, tuple[list[tuple[Any, str]], list[tuple[Any, str]]]] = {}
    for row in rows.values():
        pairs = {name: pair for name, pair in row.items() if isinstance(pair, list)} if isinstance(row, dict) else {}
        whole = "contract" in pairs
        for side in (0, 1):
            value = {name: pair[side] for name, pair in pairs.items()}
            if target := value.get("system") or ", ".join(_codes(value.get("agencies"))):
                of = f"{value.get('contract')} {value.get('operation')} " if whole else only
                tables.setdefault(of, ([], []))[side].append((value.get("position") or 0, str(target)))
        if not whole:
            for name in sorted(pairs.keys() - _ROUTE):
                yield f"{only}{name} {_value(pairs[name][0])} → {_value(pairs[name][1])}"
    for name, (old, new) in sorted(tables.items()):
        yield say("routed", of=name, old=_systems(old), new=_systems(new))


def _codes(stated: Any) -> list[str]:
    """The agencies of a route without a system."""
    return [str(each) for each in json.loads(stated)] if isinstance(stated, str) else []


def _systems(routes: list[tuple[Any, str]]) -> str:
    return ", ".join(system for _, system in sorted(routes)) or "–"


def _suspended(facts: Mapping[str, Any], say: Say) -> str | None:
    """What was suspended or resumed; the reason that was told, and until when."""
    reason, until = part(facts, "reason"), text_in(facts, "until")
    texts = [text for text in (text_in(reason, "en"), text_in(reason, "vi")) if text]
    parts = [_changes(facts, say), say("until", until=until) if until else None]
    parts += [say("reason", texts=" / ".join(dict.fromkeys(texts))) if texts else None]
    return "; ".join(filter(None, parts)) or None


def _settings(facts: Mapping[str, Any], say: Say) -> str | None:
    """Each setting with its old and new value; of one that may open something only the name."""
    changed = facts.get("changed")
    if changed == []:
        return say("settings.begun")
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


def _keys(facts: Mapping[str, Any], say: Say) -> str | None:
    """The gateway's own keys that were made anew."""
    rotated = ", ".join(listed(facts, "rotated"))
    return say("new-keys.withdrawn" if facts.get("withdrawn") else "new-keys", names=rotated) if rotated else None


def _emergency(facts: Mapping[str, Any], _say: Say) -> str:
    return f"{facts.get('command')}: {text_in(facts, 'reason') or '–'}"


def _reading(facts: Mapping[str, Any], _say: Say) -> str:
    return f"{facts.get('part')}: {text_in(facts, 'reason') or '–'}"


def _contract(facts: Mapping[str, Any], say: Say) -> str:
    """The version and the one before; the personal fields that grants show newly."""
    old, disclosed = part(facts, "before").get("version") or "–", facts.get("discloses")
    parts = [say("version", how=_code(say, "how", facts.get("how")), old=old, new=facts.get("version"))]
    parts += [
        say(
            "disclosed",
            field=each.get("field"),
            grants=", ".join(listed(each, "grants")),
            agencies=", ".join(listed(each, "agencies")),
        )
        for each in disclosed or ()
        if isinstance(each, dict)
    ]
    return "; ".join(parts[:_CHANGES])


def _value(value: Any) -> str:
    """A value as the entry has it; of a long or personal one there is only a digest."""
    if isinstance(value, dict):
        return "(…)" if "digest" in value else json.dumps(value, ensure_ascii=False)
    return "–" if value is None else str(value)


def _feed_read(facts: Mapping[str, Any], say: Say) -> str:
    """What a session has read, and what it may read until its next entry."""
    parts = [str(facts.get("state") or "")]
    read = ", ".join("–".join(map(str, each)) for each in facts.get("read") or () if isinstance(each, list))
    parts += [say("events", count=facts.get("events"), ranges=read)] if read else []
    parts += [say("may-read", first=facts.get("from"), last=facts.get("to"))] if "to" in facts else []
    owners = listed(facts, "owners")
    return "; ".join(each for each in [*parts, say("owners", owners=", ".join(owners)) if owners else ""] if each)


def _exported(facts: Mapping[str, Any], say: Say) -> str | None:
    """Of a feed the form and the range; of entries of the log nothing more than their number."""
    if "contract" not in facts or "from" not in facts:
        return None
    told = say("exported", form=facts.get("form"), first=facts["from"], last=facts.get("to"))
    return "; ".join(each for each in (told, text_in(facts, "reason")) if each)


def _account(facts: Mapping[str, Any], say: Say) -> str:
    """An account of the console: what was done to it, and its roles before and after."""
    changed = part(facts, "changed")
    parts = [f"{text_in(facts, 'account') or '–'}: {_code(say, 'account', facts.get('how') or '–')}"]
    if changed:
        parts.append(" → ".join(_roles(listed(changed, side), say) or "–" for side in ("old", "new")))
    parts += [_roles(roles, say)] if (roles := listed(facts, "roles")) else []
    return " ".join(parts)


def _roles(names: Iterable[str], say: Say) -> str:
    return ", ".join(_code(say, "role", name) for name in names)


_DETAILS: Final[Mapping[str, Callable[[Mapping[str, Any], Say], str | None]]] = {
    "intent": _received,
    **dict.fromkeys(("access", "receiving-adopted", "registry", "registry-adopted"), _registered),
    **dict.fromkeys(("suspended", "resumed"), _suspended),
    "body-view": _reading,
    "console-account": _account,
    "break-glass": _emergency,
    "keys": _keys,
    "settings": _settings,
    "taken-up": _call,
    "altered": _altered,
    "contract": _contract,
    "export": _exported,
    "feed-read": _feed_read,
    "quarantine": _quarantined,
    **dict.fromkeys(("registry-accepted", "accounts-repaired"), _accepted),
}
