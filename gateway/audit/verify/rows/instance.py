"""The keys of the table `instance`: who writes each, in which form, and what a change of it is noticed by.

Values are by key alone, so a row that nobody writes could be read by a later release, or by a program of somebody else.
`KEYS` lists all of them. A key that is not in it is a finding, as is a value that its readers could not read. Positions
in feeds and counts of key generations are compared with the rows that they are about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, func, select

from contracts.base.times import rfc3339
from gateway.audit.log.changes import SEEN, values_of
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.forms import LATEST
from gateway.journal import drills
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from gateway.transfer.handling_events import OPENED
from gateway.transfer.key_seals import EXPIRY, HISTORY

Form = Callable[[str], bool]


# --- forms ------------------------------------------------------------------------------------------------------------
def _like(pattern: str) -> Form:
    return lambda text: re.fullmatch(pattern, text, re.ASCII) is not None


def _object(*names: str) -> Form:
    def holds(text: str) -> bool:
        value = _read(text)
        return isinstance(value, dict) and set(names) <= value.keys()

    return holds


def _names(text: str) -> bool:
    value = _read(text)
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _time(text: str) -> bool:
    try:
        return 0 <= float(text) <= LATEST
    except ValueError:
        return False


def _any(text: str) -> bool:
    return bool(text)


def _kept_settings(text: str) -> bool:
    return bool(values_of(text))


def _shared_keys(text: str) -> bool:
    value = _read(text)
    return isinstance(value, dict) and type(value.get("generation")) is int and isinstance(value.get("digest"), str)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


# --- the keys ---------------------------------------------------------------------------------------------------------
class Key(NamedTuple):
    """`key` ends with a space or a dot where more follows. `check`: by what a change is noticed, or why by nothing."""

    key: str
    writer: str
    form: Form
    check: str

    def names(self, key: str) -> bool:
        return key.startswith(self.key) if self.key.endswith((" ", ".")) else key == self.key


_OFFSET: Final = _like(r"\d{1,18}")
KEYS: Final = (
    Key("identity", "the first start, a restore", _object("origin", "log"), "each start: `instance.other`"),
    Key("registry.revision", "each change of the registry", _OFFSET, "the newest entry about the registry"),
    Key("registry.applied", "`registry apply`", _time, "harmless: a time that is shown"),
    Key("registry.seal", "each change of the registry", _object("revision", "digest", "entry", "seal"), "its seal"),
    Key("accounts.seal", "each change of an account", _object("revision", "seal", "rows"), "its seal"),
    Key("receiving.adopt", "the migration from a release without grants to receive", _any, "the log: adopted once"),
    Key("audit.old-agencies", "a migration", _object(), "harmless: who a provider was in entries that do not say it"),
    Key("feed.log", "the first keeper that leads", _like(r"[\w-]{8,40}"), "harmless: other cursors are refused (410)"),
    Key("feed.period", "the making of a sandbox", _like("60"), "harmless: each entry states its period"),
    Key("feed.epoch", "a restore", _OFFSET, "the restores in the log"),
    Key("feed.quality", "the keeper", _like(r"\d{1,18} \d{1,18} [0-9a-f]*"), "the events that follow from entries"),
    Key(f"{EXPIRY} ", "the keeper", _OFFSET, "the newest event of the feed; content that nobody will end"),
    Key(HISTORY, "a migration", _time, "the past rows of business keys"),
    Key(f"{HISTORY} ", "the keeper", _time, "the past rows of business keys"),
    Key(f"{OPENED} ", "the keeper", _like(r"\S+ \d{1,18}"), "the newest event of the feed; messages without handling"),
    Key("log.began ", "a restore", _any, "the note's signature, and entry 0"),
    Key("restored", "a restore", _object("at", "confirmed"), "the entries of restore and confirmation"),
    Key("restore.id", "a restore under way", _any, "harmless: only that restore compares it"),
    Key("move.id", "a move under way", _any, "harmless: only that move compares it"),
    Key("backup.last", "each backup", _object("at"), "the newest entry of a backup"),
    Key("drill.last.", "each drill", _object("at", "ok"), "the newest entry of its kind"),
    Key(SEEN, "each start after a change", _kept_settings, "the digest in the newest entry about settings"),
    Key("machines.keys", "the keeper, when shared keys change", _shared_keys, "the generations that machines have"),
    Key("machines.settings", "each start", _object("kind", "origin"), "the kept settings of the machines"),
    Key("machines.stores", "each start", _names, "the names of machines"),
    Key("admission", "the leading keeper", _like(r"\S+ \S+"), "its seal: `audit.inconsistent`"),
    Key("probed", "`/readyz`", _time, "harmless: it is written, and never read"),
    Key("standby.alone", "`standby alone`", _object("at", "by", "reason"), "`doctor`; the newest entry about it"),
    Key("sandbox.invitation.", "`sandbox invite`", _object("mark", "uses", "used", "until"), "the entries about it"),
    Key("sandbox.fault.", "orders of faults in a sandbox", _object("scope", "kind", "by"), "the entry of the order"),
    Key("sandbox.reset.", "a vendor's reset in a sandbox", _time, "harmless: what a simulated system forgot"),
)


def key_of(key: str) -> Key | None:
    return next((each for each in KEYS if each.names(key)), None)


def check_instance(connection: Connection, wrong: Findings) -> None:
    table = tables.instance.c
    values = {str(key): str(value) for key, value in connection.execute(select(table.key, table.value))}
    sound: dict[str, str] = {}
    for key, value in values.items():
        known = key_of(key)
        if known is None:
            wrong.add(f"instance {key[:80]}: no program keeps a value under that key")
        elif not known.form(value):
            wrong.add(f"table instance, row {key[:80]}: its column value holds what cannot be read")
        else:
            sound[key] = value
    for check in (_positions, _generations, _agreed, _stores, _adoption, _drills, _faults):
        for text in check(connection, sound):
            wrong.add(text)


# --- what a value must agree with -------------------------------------------------------------------------------------
Values = Mapping[str, str]


def _positions(connection: Connection, values: Values) -> Iterator[str]:
    """How far a feed was followed is never further than it goes: behind that position messages would be left out."""
    event = tables.feed_event.c
    newest = dict(connection.execute(select(event.contract, func.max(event.offset)).group_by(event.contract)).all())
    for key, value in values.items():
        prefix = next((each for each in (f"{OPENED} ", f"{EXPIRY} ") if key.startswith(each)), None)
        if prefix is None:
            continue
        upto, last = int(value.rpartition(" ")[2]), int(newest.get(key.removeprefix(prefix), 0))
        if upto > last:
            yield f"instance {key}: it says that the feed was followed up to {upto}, and it goes up to {last}"


def _generations(connection: Connection, values: Values) -> Iterator[str]:
    """A generation of the keys is one that some machine has, or has sealed for another."""
    text = values.get("machines.keys")
    if text is None:
        return
    bundle, machine = tables.machine_bundle.c, tables.machine.c
    found = [connection.scalar(select(func.max(each.generation))) or 0 for each in (bundle, machine)]
    stated = json.loads(text)["generation"]
    if not max(found) <= stated <= max(found) + 1:  # one machine alone tells of its own within seconds
        yield f"instance machines.keys: it says generation {stated}, and the machines have {max(found)}"


def _agreed(_connection: Connection, values: Values) -> Iterator[str]:
    """What machines must have alike is what the last start of one of them had."""
    text = values.get("machines.settings")
    kept = [values_of(value) for key, value in values.items() if key.startswith(SEEN)]
    if text is None or not kept:
        return
    agreed = json.loads(text)
    differing: list[set[str]] = [
        {name for name in agreed.keys() & each.keys() if not _same(agreed[name], each[name])} for each in kept
    ]
    if all(differing):
        fewest: set[str] = min(differing, key=len)
        names = ", ".join(sorted(fewest))
        yield f"instance machines.settings: {names} is not what any machine's last start had"


def _same(agreed: object, seen: object) -> bool:
    """Kept settings are text where they are neither a number nor yes or no; of an address it is agreed whether."""
    return agreed == bool(seen) if isinstance(agreed, bool) else str(agreed) == str(seen)


def _stores(connection: Connection, values: Values) -> Iterator[str]:
    known = set(connection.scalars(select(tables.machine.c.name))) | set(
        connection.scalars(select(tables.process.c.machine).distinct())
    )
    known |= {key.removeprefix(SEEN) for key in values if key.startswith(SEEN)}
    for name in json.loads(values.get("machines.stores", "[]")):
        if name not in known:
            yield f"instance machines.stores: it names {name[:80]}, which is no machine of this instance"


def _adoption(connection: Connection, values: Values) -> Iterator[str]:
    if "receiving.adopt" in values:
        notes = read_notes(connection, ("registry", "receiving-adopted"))
        if any(note.what == "receiving-adopted" or note.facts.get("receiving") == "granted" for note in notes):
            yield "instance receiving.adopt: by the log there is nothing left to adopt"


def _drills(connection: Connection, values: Values) -> Iterator[str]:
    for kind in (drills.RESTORE, drills.FAILOVER):
        text, notes = values.get(drills.LAST + kind), read_notes(connection, (kind,))
        if text is not None and not any(rfc3339(json.loads(text)["at"]) == note.at for note in notes):
            yield f"instance {drills.LAST}{kind}: the log tells of no such drill"


def _faults(connection: Connection, values: Values) -> Iterator[str]:
    orders = {key: json.loads(value) for key, value in values.items() if key.startswith("sandbox.fault.")}
    marks = {str(note.facts.get("mark")) for note in read_notes(connection, ("sandbox-fault",))} if orders else set()
    for key in orders:
        if key.removeprefix("sandbox.fault.") not in marks:
            yield f"instance {key}: the log tells of no such order"
