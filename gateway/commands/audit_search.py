"""`lgsp audit search|journey|reindex`: entries for people, for programs, and as a table."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Engine, func, select

from contracts.base.times import rfc3339
from contracts.base.visible import visible
from gateway.audit.log import origins
from gateway.audit.search import journey as journeys
from gateway.audit.search import search as searching
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.index import Indexer
from gateway.audit.search.journey import Journey
from gateway.audit.search.search import Query
from gateway.commands import given, known
from gateway.commands.output import Exit, emit, fail
from gateway.commands.progress import progress as drawn
from gateway.commands.stopping import Stopped
from gateway.journal.append import append
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from gateway.transfer import entries
from security.grants.windows import VIETNAM, civil
from security.transparency.entry import keyed

_PAGE: Final = 500
_ACTOR_PAGES: Final = 4  # of the newest entries, in which whole names of actors are looked for
_PARTS: Final = {
    True: "--- refused, failed or in doubt / bị từ chối, lỗi hoặc chờ xác minh",
    False: "--- the rest / các mục còn lại",
}
_COLUMNS: Final = (
    "index", "at", "kind", "outcome", "failure", "status", "agency", "system", "provider", "contract", "operation", "grant", "message",
    "transfer", "about", "actor", "source", "door", "times", "detail",
)  # fmt: skip


def search(
    settings: Settings,
    conditions: Mapping[str, Any],
    *,
    message: str | None,
    since: str | None,
    until: str | None,
    oldest_first: bool,
    trouble_first: bool,
    limit: int,
    cursor: str | None,
    indexed: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    if as_csv and as_json:
        what = "--csv and --json are two forms / --csv và --json là hai dạng khác nhau"
        fail(Exit.USAGE, "usage", what, "Choose one of them. / Chỉ chọn một dạng.", as_json)
    if "transfer" in conditions:
        conditions = {**conditions, "transfer": given.transfer_id(str(conditions["transfer"]), as_json)}
    begin = None if since is None else given.moment(since, as_json)
    end = None if until is None else given.moment(until, as_json, whole_day=True)
    if begin is not None and end is not None and begin >= end:
        what = f"--from {since} is not before --to {until} / --from phải trước --to"
        fail(Exit.USAGE, "bad-range", what, "Turn them round. / Đổi lại.", as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        notes = origins.unseen(connection, begin, end)
    if not notes:  # else a name may stand in a log that ended, and nowhere else
        _all_known(engine, conditions, as_json)
    if "actor" in conditions:
        conditions = {**conditions, "actor": _actor(engine, str(conditions["actor"]), bool(notes), as_json)}
    query = Query(
        **conditions,
        message=None if message is None else keyed(Keyring(settings).hash_key(), message),
        since=begin,
        until=end,
        oldest_first=oldest_first,
        trouble_first=trouble_first,
    )
    hits: list[Logged] = []
    disagree: list[int] = []
    live, stopped = not (as_json or as_csv), 0
    looked = 0
    part: bool | None = None
    with drawn(as_json, None) as progress:
        task = progress.add_task("", total=None)
        try:
            while True:
                with searching.reading(engine) as connection:
                    page = searching.search(
                        connection, query, limit=min(_PAGE, limit - len(hits)), cursor=cursor, indexed=indexed
                    )
                for each in page.hits if live else ():
                    if trouble_first and each.facts.trouble is not part:
                        part = each.facts.trouble
                        print(_PARTS[part], flush=True)
                    print(line(each), flush=True)
                hits += page.hits
                disagree += page.disagree
                cursor = page.next
                looked += page.looked
                progress.update(task, description=f"{looked} rows looked at, now at entry {page.reached}")
                if cursor is None or len(hits) >= limit:
                    break
        except (KeyboardInterrupt, Stopped) as told:
            stopped = 130 if isinstance(told, KeyboardInterrupt) else told.code
    if as_csv:
        facts: dict[str, Any] = {
            "search": {name: value for name, value in _told(query).items() if value is not None},
            "entries": len(hits),
        }
        with writing(engine) as connection:  # before anything of it is shown
            append(connection, [entries.note("export", facts, time.time(), actor="command line")])
        _print_csv(hits)
    result = {
        "ok": not disagree and not stopped,
        "entries": [shown(each) for each in hits],
        "next": cursor,
        "stopped": bool(stopped),
        "disagree": disagree,
        "notes": list(notes),
    }
    if not as_json:
        for text in notes:
            print(text, file=sys.stderr)
        if cursor is not None:
            print(f"next: --cursor {cursor}", file=sys.stderr)
        if disagree:
            print(
                f"the index shows entries {disagree[:20]} as what they are not: run `lgsp audit reindex`",
                file=sys.stderr,
            )
    if stopped and not as_json:
        print(
            "stopped before the end of the log: the cursor goes on / dừng giữa chừng: dùng con trỏ để tìm tiếp",
            file=sys.stderr,
        )
    emit(result, as_json, "" if hits or as_csv or stopped else "nothing fits / không có mục nào", ends=stopped or None)


def _all_known(engine: Engine, conditions: Mapping[str, Any], as_json: bool) -> None:
    """End with the first name that neither the registry nor the log has; a look that did not come to the log's end says nothing."""
    with searching.reading(engine) as connection:
        for what in known.CHECKED:
            value = conditions.get(what)
            if value is None or value in (names := known.names(connection, what)):
                continue
            page = searching.search(connection, Query(**{what: value}), limit=1)
            if not page.hits and page.next is None:
                known.refuse(what, value, names, as_json)


def _actor(engine: Engine, said: str, elsewhere: bool, as_json: bool) -> str:
    """An actor whole, by a part of its name that is no other's; wrong usage if several have it, or none where it can stand `elsewhere` neither."""
    with searching.reading(engine) as connection:
        found = searching.search(connection, Query(actor=said), limit=1)
        if found.hits or found.next is not None:
            return said
        cursor, seen = None, {f"{said}, command line"}
        for _ in range(_ACTOR_PAGES):
            page = searching.search(connection, Query(), limit=_PAGE, cursor=cursor)
            seen |= {each.facts.actor for each in page.hits if each.facts.actor}
            if (cursor := page.next) is None:
                break
        near = [
            each
            for each in sorted(seen)
            if said.lower() in each.lower() and searching.search(connection, Query(actor=each), limit=1).hits
        ]
    if not near and elsewhere:
        return said
    if len(near) != 1:
        known.refuse("actor", said, near or seen - {f"{said}, command line"}, as_json, all=bool(near))
    return near[0]


def journey(settings: Settings, id: str, system: str | None, as_json: bool) -> None:
    engine = open_engine(settings.database_url)
    hashed = keyed(Keyring(settings).hash_key(), id)
    with searching.reading(engine) as connection:
        found = (
            []
            if system is not None
            else [each for each in [journeys.of_transfer(connection, id.lower())] if each.steps or each.row]
        )
        found = found or journeys.of_message(connection, hashed, system)
        notes = [text for each in found for text in origins.elsewhere(connection, each.transfer)]
    if not found:
        of = f" of {system}" if system is not None else ""
        what = f"the log holds no transfer and no message {id}{of} / nhật ký không có giao dịch hay thông điệp này"
        then = (
            "Transfer ids stand in answers as Lgsp-Transfer; a message id wants --system. / "
            "Mã giao dịch nằm trong trường Lgsp-Transfer của trả lời; mã thông điệp cần kèm --system."
        )
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    texts = [*map(_journey_text, found), *notes]
    emit({"ok": True, "journeys": [_journey(each) for each in found], "notes": notes}, as_json, "\n\n".join(texts))


def reindex(settings: Settings, as_json: bool) -> None:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
    done = 0
    with drawn(as_json) as progress:
        task = progress.add_task("entries", total=0 if top is None else int(top) + 1)
        for done in Indexer(engine, lock_of(engine)).remake():
            progress.update(task, completed=done)
    emit({"ok": True, "entries": done}, as_json, f"{done} entries are indexed / đã lập chỉ mục {done} mục")


# --- forms ------------------------------------------------------------------------------------------------------------
def shown(hit: Logged) -> dict[str, Any]:
    """One entry for a program."""
    return {"index": hit.idx, "sequenced": rfc3339(hit.sequenced), **_told_of(hit.facts)}


def line(hit: Logged) -> str:
    """One entry for a person: when (in Vietnam), who, what, how it ended."""
    return _line(hit.idx, hit.facts)


def _line(idx: int | None, told: Facts) -> str:
    who = f"{told.agency}/{told.system}" if told.system else told.actor or told.source or "–"
    to = f" → {told.provider}" if told.provider else ""
    what = " ".join(each for each in (told.contract, told.operation) if each)
    ended = told.kind if told.outcome is None else told.outcome
    code = f": {told.failure}" if told.failure else ""
    times = f" × {told.times}" if told.times > 1 else ""
    by = f" by {told.actor}" if told.actor and told.system and told.actor != f"{told.agency}/{told.system}" else ""
    detail = f"  ({told.detail})" if told.detail else ""
    return visible(
        f"{'–' if idx is None else f'#{idx}':>9}  {civil(told.at, seconds=True)}  {who}{to}  {what or told.kind}  {ended}{code}{times}{by}  {told.about}{detail}"
    )


def _local(at: str) -> str:
    """As a spreadsheet reads it."""
    try:
        return datetime.fromisoformat(at).astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return at


def _told_of(told: Facts) -> dict[str, Any]:
    return {
        name: value for name, value in told._asdict().items() if value is not None and (name, value) != ("times", 1)
    }


def _told(query: Query) -> dict[str, Any]:
    return {name: getattr(query, name) for name in searching.WORDS} | {
        "transfer": query.transfer,
        "from": None if query.since is None else rfc3339(query.since),
        "to": None if query.until is None else rfc3339(query.until),
    }


def _print_csv(hits: Sequence[Logged]) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for each in hits:
        row = each.facts._asdict() | {"index": each.idx, "at": _local(each.facts.at)}
        writer.writerow({name: _cell(value) for name, value in row.items()})
    sys.stdout.write(out.getvalue())


def _cell(value: Any) -> Any:
    """A spreadsheet takes what begins like a formula for one."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _journey(of: Journey) -> dict[str, Any]:
    steps = [{"index": step.index, **_told_of(step.facts), "entry": step.entry} for step in of.steps]
    return {
        "transfer": of.transfer,
        "steps": steps,
        "state": _row(of.row),
        "queue": _queue(of.queue),
        "feed": of.feed,
        "vault": of.vault,
    }


def _row(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    names = (
        "state",
        "pattern",
        "caller_agency",
        "caller_system",
        "contract",
        "operation",
        "message_id",
        "grant_id",
        "provider",
        "status",
        "failure",
    )
    found = {name: row[name] for name in names} | {
        name: None if row[name] is None else rfc3339(row[name]) for name in ("received", "committed", "finished")
    }
    return found | {"receipt": json.loads(row["receipt"]) if row["receipt"] else None}


def _queue(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "state": row["state"],
        "tries": row["tries"],
        "next": rfc3339(row["next_at"]),
        "last_failure": row["last_failure"],
    }


def _journey_text(of: Journey) -> str:
    lines = [f"transfer / giao dịch {of.transfer}", *(_line(step.index, step.facts) for step in of.steps)]
    if of.row is not None:
        ended = f", status / mã trả lời {of.row['status']}" if of.row["status"] else ""
        lines.append(
            f"state / trạng thái: {of.row['state']}{ended}{': ' + of.row['failure'] if of.row['failure'] else ''};"
            f" message / thông điệp {of.row['message_id']}"
        )
        receipt = json.loads(of.row["receipt"]) if of.row["receipt"] else {}
        lines += [f"receipt / biên nhận: {name} {leaf}" for name, leaf in receipt.items()]
    if of.queue is not None:
        last = f", last / lỗi gần nhất {of.queue['last_failure']}" if of.queue["last_failure"] else ""
        lines.append(f"queue / hàng đợi: {of.queue['state']}, {of.queue['tries']} tries / lần thử{last}")
    lines += [f"feed / luồng tin: {each['contract']}, offset / vị trí {each['offset']}" for each in of.feed]
    lines += [
        f"vault / kho nội dung: {each['part']}, {each['size']} bytes, key / khóa {each['key']}" for each in of.vault
    ]
    return "\n".join(lines)
