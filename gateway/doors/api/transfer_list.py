"""Serves `GET /transfers`: the transfers that the caller sent or received, and its refused requests, newest first.

Theory of operation
1. A page walks an index by system and id (`transfer_caller`, `transfer_provider`) from a cursor. Ids are UUIDv7, so
   times are bounds of id. By a condition without an index it looks at `LOOKS` rows at most. It may be short then, with
   a cursor to continue.
2. A refused request has no row. It is found in the log by the search (`gateway.audit.search`), which is bounded too.
   Refusals are listed once they are in the log, some seconds after the answer.
3. A cursor holds one place for each of the two. It is bound to the system and to the conditions of its list.

Invariant: the log decides who is a party. A row whose intent names neither system is left out. One that contradicts its
  intent otherwise is listed as `transfer.tampered`, with its id alone.
Invariant: transfers are listed in the order of their ids. Refusals are merged by theirs, in the order of the log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, Row, Select, select

from contracts.base.errors import Finding
from contracts.base.integers import whole_number
from contracts.base.times import rfc3339
from gateway.audit.search import search as log_search
from gateway.doors.api.errors import API_INVALID, TRANSFER_BAD_CURSOR
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.feeds.places import moment
from gateway.journal.logged import intent_columns, parse
from gateway.journal.schema import tables
from gateway.transfer.states import FINAL
from gateway.vault.errors import TRANSFER_TAMPERED
from security.transparency.merkle import leaf_hash

LOOKS: Final = 2_000  # rows that a page looks at for a condition without an index
SENDER, RECEIVER = "sender", "receiver"
REFUSED: Final = "refused"
_SLACK: Final = 300.0  # seconds between a request and the sequencing of its refusal that a page allows for
_FIRST, _LAST = "ffffffff-ffff-ffff-ffff-ffffffffffff", "00000000-0000-0000-0000-000000000000"
_LONGEST: Final = 200
_table: Final = tables.transfer.c


class Wanted(NamedTuple):
    """The conditions of a list. `since` and `until` (excluded) are Unix seconds."""

    role: str | None = None
    state: str | None = None
    contract: str | None = None
    failure: str | None = None
    since: float | None = None
    until: float | None = None


class _Place(NamedTuple):
    """Where a page begins: before this id, and before this entry of the log (None: its newest; 0: none is left)."""

    transfer: str = _FIRST
    entry: int | None = None


class _Found(NamedTuple):
    """Some rows of one source, newest first, each with its place. `after`: the place behind all that was looked at."""

    rows: Sequence[tuple[str, Any, dict[str, Any] | None]]
    after: Any
    more: bool


async def list_transfers(services: Services, request: ApiRequest) -> Reply:
    params = request.params
    findings: list[Finding] = []
    wanted = Wanted(
        role=params["role"],
        state=params["state"],
        contract=params["contract"],
        failure=params["failure"],
        since=_moment("since", params, findings),
        until=_moment("until", params, findings),
    )
    if findings:
        raise API_INVALID(count=len(findings), findings=findings)
    system = request.proven.system.id
    place = _place(params["after"], system, wanted) if params["after"] else _Place()
    page = await services.readers.run(request.owner, listed, services.engine, system, wanted, place, params["limit"])
    return Reply(200, {"content-type": "application/json"}, json.dumps(page, ensure_ascii=False).encode())


def listed(engine: Engine, system: str, wanted: Wanted, place: _Place, limit: int) -> dict[str, Any]:
    """One page. Runs in a thread."""
    with log_search.reading(engine) as connection:
        own = _transfers(connection, system, wanted, place, limit)
        refused = _refusals(connection, system, wanted, place, limit)
    items: list[dict[str, Any]] = []
    transfer, entry, taken_own, taken_refused = place.transfer, place.entry, 0, 0
    # What lies behind the end of an unfinished walk waits for the next page.
    floor = own.after if own.more else ""
    while len(items) < limit:
        one = own.rows[taken_own] if taken_own < len(own.rows) else None
        other = refused.rows[taken_refused] if taken_refused < len(refused.rows) else None
        if one is not None and (other is None or one[0] > other[0]):
            taken_own, transfer = taken_own + 1, one[1]
            item = one[2]
        elif other is not None and other[0] > floor:
            taken_refused, entry = taken_refused + 1, other[1]
            item = other[2]
        else:
            break
        if item is not None:
            items.append(item)
    if taken_own == len(own.rows):
        transfer = own.after
    if taken_refused == len(refused.rows):
        entry = refused.after
    left = taken_own < len(own.rows) or taken_refused < len(refused.rows)
    page: dict[str, Any] = {"transfers": items}
    if left or own.more or refused.more:
        page["next"] = _cursor(_Place(transfer, entry), system, wanted)
    return page


# --- transfers --------------------------------------------------------------------------------------------------------
def _transfers(connection: Connection, system: str, wanted: Wanted, place: _Place, limit: int) -> _Found:
    low, high = _id_at(wanted.since, _LAST), min(place.transfer, _id_at(wanted.until, _FIRST))
    if wanted.state == REFUSED or low >= high:
        return _Found((), _LAST, False)
    columns = {SENDER: _table.caller_system, RECEIVER: _table.provider}
    looks = limit + 1 if wanted.state is None and wanted.contract is None and wanted.failure is None else LOOKS
    ids: set[str] = set()
    floor, more = _LAST, False
    for role, column in columns.items():
        if wanted.role not in (None, role):
            continue
        walk = select(_table.id).where(column == system, _table.id < high, _table.id >= low)
        some = list(connection.scalars(walk.order_by(_table.id.desc()).limit(looks)))
        ids.update(some)
        if len(some) == looks:
            more, floor = True, max(floor, some[-1])
    rows: list[tuple[str, Any, dict[str, Any] | None]] = []
    behind = sorted((each for each in ids if each >= floor), reverse=True)
    for start in range(0, len(behind), 400):
        some_rows = connection.execute(_fitting(wanted, behind[start : start + 400])).all()
        intents = _intents(connection, [row.id for row in some_rows])
        rows += [(row.id, row.id, _item(row, intents.get(row.id, {}), system)) for row in some_rows]
        if len(rows) > limit:
            return _Found(rows, rows[-1][0], True)
    return _Found(rows, floor, more)


def _fitting(wanted: Wanted, ids: Sequence[str]) -> Select[Any]:
    query = select(tables.transfer).where(_table.id.in_(ids)).order_by(_table.id.desc())
    for column in ("state", "contract", "failure"):
        value = getattr(wanted, column)
        if value is not None:
            query = query.where(_table[column] == value)
    return query


def _intents(connection: Connection, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The entries of these intents, by transfer; one whose bytes are not those of its leaf is left out."""
    intents: dict[str, Mapping[str, Any]] = {}
    for table in tables.LOGS:
        query = select(table.c.transfer, table.c.entry, table.c.leaf)
        for row in connection.execute(query.where(table.c.transfer.in_(ids), table.c.phase == "intent")):
            if leaf_hash(bytes(row.entry)) == bytes(row.leaf):
                intents[row.transfer] = parse(bytes(row.entry))
    return intents


def _item(row: Row[Any], intent: Mapping[str, Any], system: str) -> dict[str, Any] | None:
    logged = intent_columns(intent)
    if system not in (logged["caller_system"], logged["provider"]):
        return None
    if any(getattr(row, column) != value for column, value in logged.items()):
        return {"transfer": row.id, "failure": TRANSFER_TAMPERED.code}
    item = {
        "transfer": row.id,
        "state": row.state,
        "final": row.state in {each.value for each in FINAL},
        "role": SENDER if row.caller_system == system else RECEIVER,
        "pattern": row.pattern,
        "contract": row.contract,
        "operation": row.operation,
        "messageId": row.message_id,
        "sender": f"{row.caller_agency}/{row.caller_system}",
        "receiver": row.provider,
        "received": rfc3339(row.received),
        "finished": rfc3339(row.finished) if row.finished is not None else None,
        "status": row.status,
        "failure": row.failure,
    }
    return {name: value for name, value in item.items() if value is not None}


# --- refusals ---------------------------------------------------------------------------------------------------------
def _refusals(connection: Connection, system: str, wanted: Wanted, place: _Place, limit: int) -> _Found:
    if place.entry == 0 or wanted.role == RECEIVER or wanted.state not in (None, REFUSED):
        return _Found((), 0, False)
    query = log_search.Query(
        kind="refusal",
        system=system,
        contract=wanted.contract,
        failure=wanted.failure,
        since=wanted.since,
        until=None if wanted.until is None else wanted.until + _SLACK,
    )
    begin = None if place.entry is None else log_search.before(query, place.entry)
    page = log_search.search(connection, query, limit=limit, cursor=begin)
    low, high = _id_at(wanted.since, _LAST), _id_at(wanted.until, _FIRST)
    entry = tables.log_entry.c
    leaves = connection.execute(select(entry.idx, entry.leaf).where(entry.idx.in_([each.idx for each in page.hits])))
    sound = {idx: bytes(leaf) for idx, leaf in leaves}
    rows = [
        (each.facts.transfer, each.idx, _refused(each.entry, system))
        for each in page.hits
        if low <= each.facts.transfer < high and leaf_hash(each.entry) == sound.get(each.idx)
    ]
    if page.next is None:
        return _Found(rows, 0, False)
    return _Found(rows, page.hits[-1].idx if len(page.hits) == limit else page.reached or 0, True)


def _refused(raw: bytes, system: str) -> dict[str, Any] | None:
    entry = parse(raw)
    caller = entry.get("caller")
    if not isinstance(caller, dict) or caller.get("system") != system:
        return None
    item = {
        "transfer": entry.get("transfer"),
        "state": REFUSED,
        "final": True,
        "role": SENDER,
        "contract": entry.get("contract"),
        "operation": entry.get("operation"),
        "sender": f"{caller.get('agency')}/{system}",
        "received": entry.get("at"),
        "status": entry.get("status"),
        "failure": entry.get("failure"),
    }
    return {name: value for name, value in item.items() if value is not None}


# --- cursors and times ------------------------------------------------------------------------------------------------
def _id_at(at: float | None, otherwise: str) -> str:
    """The least id of this time; an id sorts by its milliseconds."""
    if at is None:
        return otherwise
    text = f"{min(max(int(at * 1000), 0), 0xFFFFFFFFFFFF):012x}"
    return f"{text[:8]}-{text[8:]}-0000-0000-000000000000"


def _moment(name: str, params: Mapping[str, Any], findings: list[Finding]) -> float | None:
    text = params[name]
    at = moment(text) if text is not None else None
    if text is not None and at is None:
        findings.append(
            Finding(f"query {name}", "", f"text of {len(text)} characters", "format", "a date and time with its zone")
        )
    return at


def _mark(system: str, wanted: Wanted) -> str:
    return hashlib.sha256(json.dumps([system, *wanted]).encode()).hexdigest()[:16]


def _cursor(place: _Place, system: str, wanted: Wanted) -> str:
    text = f"1 {_mark(system, wanted)} {place.transfer} {'-' if place.entry is None else place.entry}"
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")


def _place(cursor: str, system: str, wanted: Wanted) -> _Place:
    """Raises `transfer.bad-cursor` for a cursor that is not of this list."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        version, mark, transfer, entry = text.split(" ")
        place = _Place(transfer, None if entry == "-" else whole_number(entry))
        if version != "1" or mark != _mark(system, wanted) or _cursor(place, system, wanted) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise TRANSFER_BAD_CURSOR() from None
    return place
