"""`lgsp audit search|reindex`: entries for people, for programs, and as a table."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.audit.search.fields import FIELDS, Conditions, Role
from gateway.cli.audit.lines import line
from gateway.cli.common import arguments, name_checks
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail, say
from gateway.cli.common.progress import progress as drawn
from gateway.cli.common.stopping import Stopped

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.audit.search.coverage import Coverage
    from gateway.audit.search.facts import Logged
    from gateway.audit.search.search import Query
    from gateway.settings import Settings

commands = typer.Typer()


class Order(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"


_PAGE: Final = 500
_ACTOR_PAGES: Final = 4  # of the newest entries, in which whole names of actors are looked for


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Part:
    """Which part of the log is searched, and in which order."""

    since: Annotated[
        str | None,
        typer.Option("--from", help="From when it was logged: 2026-11-24 or 2026-11-24T17:30, time in Vietnam."),
    ] = None
    until: Annotated[str | None, typer.Option("--to", help="Until when; a day is meant as a whole.")] = None
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many entries.")] = 50
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Cursor `next` of the page before, with the same conditions.")
    ] = None
    order: Annotated[Order, typer.Option("--order", help="Which come first.")] = Order.NEWEST
    denied: Annotated[bool, typer.Option("--denied", help="Only what was refused.")] = False
    role: Annotated[
        Role | None, typer.Option("--role", help="Only entries in which --agency has this role; without it any.")
    ] = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Form:
    """How the log is read, and what is printed."""

    raw: Annotated[
        bool, typer.Option("--raw", help="Read the entries themselves, not the index: slow, and trusts nothing else.")
    ] = False
    csv: Annotated[
        bool, typer.Option("--csv", help="A table with comma-separated values; that it was made is logged.")
    ] = False
    as_json: AsJson = False

    @property
    def live(self) -> bool:
        """Whether each entry is printed as soon as it is found."""
        return not (self.as_json or self.csv)


@commands.command("search")
@grouped
def audit_search(conditions: Conditions, part: Part, form: Form, data: Data = None) -> None:
    """Entries of the audit log that fit all conditions, each with its index. Goes on by itself until the limit or the
    end is reached."""
    from gateway.audit.log import origins
    from gateway.audit.search import table
    from gateway.audit.search.coverage import coverage
    from gateway.audit.search.shown import shown
    from gateway.journal.database import open_engine

    settings = load_instance(data, form.as_json)
    if form.csv and form.as_json:
        what = "--csv and --json are two forms / --csv và --json là hai dạng khác nhau"
        fail(Exit.USAGE, "usage", what, "Choose one of them. / Chỉ chọn một dạng.", form.as_json)
    wanted, since, until = _checked(conditions, part, form.as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        notes = origins.unseen(connection, since, until)
    query = _query(settings, wanted, part, (since, until), bool(notes), form.as_json)
    results = _search(engine, query, part, form)
    if form.csv:
        _note_export(engine, query, len(results.hits))
        say(table.as_csv(map(table.row, results.hits)), end="")
    with engine.connect() as connection:
        covered = coverage(connection)
    result = {
        "ok": not results.disagree and not results.stopped,
        "entries": [shown(each) for each in results.hits],
        "next": results.cursor,
        "stopped": bool(results.stopped),
        "disagree": results.disagree,
        "notes": list(notes),
        "coverage": covered.to_json(),
    }
    if not form.as_json:
        _print_remarks(results, (*notes, *_coverage(covered)))
    nothing = "" if results.hits or form.csv or results.stopped else "nothing fits / không có mục nào"
    emit(result, form.as_json, nothing, ends=results.stopped or None)


@commands.command("reindex")
def audit_reindex(data: Data = None, as_json: AsJson = False) -> None:
    """Throw the search's index away and make it anew from the log. The gateway may run meanwhile."""
    from sqlalchemy import func, select

    from gateway.audit.search.index import REINDEX, Indexer
    from gateway.journal.append import append
    from gateway.journal.database import lock_of, open_engine, writing
    from gateway.journal.schema import tables
    from gateway.transfer import entries

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
    with writing(engine) as written:
        append(written, [entries.note(REINDEX, {}, time.time(), actor=actor())])
    done = 0
    with drawn(as_json) as progress:
        task = progress.add_task("entries", total=0 if top is None else int(top) + 1)
        for done in Indexer(engine, lock_of(engine)).remake():
            progress.update(task, completed=done)
    emit({"ok": True, "entries": done}, as_json, f"{done} entries are indexed / đã lập chỉ mục {done} mục")


@dataclass(slots=True)
class Results:
    hits: list[Logged] = field(default_factory=list)
    disagree: list[int] = field(default_factory=list)
    cursor: str | None = None
    stopped: int = 0  # the exit code, if a signal ended the search


def _checked(conditions: Conditions, part: Part, as_json: bool) -> tuple[dict[str, str], float | None, float | None]:
    """The conditions that were given, and the span of time."""
    wanted = {name: str(value) for name, value in asdict(conditions).items() if value is not None}
    if part.role is not None and "agency" not in wanted:
        what = "--role is that of an --agency / --role là vai trò của --agency"
        fail(Exit.USAGE, "role-alone", what, "Name the agency. / Ghi thêm --agency.", as_json)
    if part.denied and wanted.setdefault("outcome", "refused") != "refused":
        what = f"--denied finds what was refused, not --outcome {wanted['outcome']} / --denied chỉ tìm mục bị từ chối"
        fail(Exit.USAGE, "denied-otherwise", what, "Leave one of them out. / Bỏ một trong hai.", as_json)
    if "transfer" in wanted:
        wanted["transfer"] = arguments.transfer_id(wanted["transfer"], as_json)
    since = None if part.since is None else arguments.moment(part.since, as_json)
    until = None if part.until is None else arguments.moment(part.until, as_json, whole_day=True)
    if since is not None and until is not None and since >= until:
        what = f"--from {part.since} is not before --to {part.until} / --from phải trước --to"
        fail(Exit.USAGE, "bad-range", what, "Turn them round. / Đổi lại.", as_json)
    return wanted, since, until


def _query(
    settings: Settings,
    wanted: dict[str, str],
    part: Part,
    span: tuple[float | None, float | None],
    elsewhere: bool,
    as_json: bool,
) -> Query:
    """`elsewhere`: a name may stand in a log that ended, and nowhere else."""
    from gateway.audit.search.search import Query
    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring
    from security.transparency.entry import keyed

    engine = open_engine(settings.database_url)
    if not elsewhere:
        wanted = _all_known(engine, wanted, as_json)
    if "actor" in wanted:
        wanted["actor"] = _actor(engine, wanted["actor"], elsewhere, as_json)
    for name in wanted:
        if FIELDS[name].hashed:
            wanted[name] = keyed(Keyring(settings).hash_key(), wanted[name])
    conditions: dict[str, Any] = {**wanted, "role": part.role, "oldest_first": part.order is Order.OLDEST}
    return Query(**conditions, since=span[0], until=span[1])


def _search(engine: Engine, query: Query, part: Part, form: Form) -> Results:
    """Page after page, until the limit, the end of the log or a signal."""
    from gateway.audit.search import search as searching

    results, looked = Results(cursor=part.cursor), 0
    with drawn(form.as_json, None) as progress:
        task = progress.add_task("", total=None)
        try:
            while True:
                limit = min(_PAGE, part.limit - len(results.hits))
                with searching.reading(engine) as connection:
                    page = searching.search(connection, query, limit=limit, cursor=results.cursor, indexed=not form.raw)
                for each in page.hits if form.live else ():
                    say(line(each.idx, each.facts, query.agency), flush=True)
                results.hits += page.hits
                results.disagree += page.disagree
                results.cursor = page.next
                looked += page.looked
                progress.update(task, description=f"{looked} rows looked at, now at entry {page.reached}")
                if results.cursor is None or len(results.hits) >= part.limit:
                    break
        except (KeyboardInterrupt, Stopped) as signal:
            results.stopped = 130 if isinstance(signal, KeyboardInterrupt) else signal.code
    return results


def _note_export(engine: Engine, query: Query, count: int) -> None:
    """In the log before anything is printed."""
    from gateway.audit.search import table
    from gateway.journal.append import append
    from gateway.journal.database import writing

    with writing(engine) as connection:
        append(connection, [table.note(query, count, time.time(), actor())])


def _coverage(covered: Coverage) -> tuple[str, ...]:
    """Up to where the search goes, and what is not found yet."""
    from gateway.audit.search.coverage import MOST_WAITING
    from security.grants.windows import civil

    newest = "–" if covered.newest is None else civil(covered.newest)
    searched = (
        f"{covered.entries} entries are searched, up to {newest} / đã tìm trong {covered.entries} mục, đến {newest}"
    )
    if not covered.waiting:
        return (searched,)
    number = f"{covered.waiting}{'+' if covered.waiting == MOST_WAITING else ''}"
    since = "–" if covered.oldest is None else civil(covered.oldest)
    return searched, (
        f"{number} entries since {since} have no place in the log yet and are not found: search again; if they stay,"
        f" run `lgsp doctor` / {number} mục từ {since} chưa được xếp vào nhật ký nên chưa tìm thấy: tìm lại sau;"
        " nếu vẫn còn, chạy `lgsp doctor`"
    )


def _print_remarks(results: Results, notes: Sequence[str]) -> None:
    remarks = [*notes]
    if results.cursor is not None:
        remarks.append(f"next: --cursor {results.cursor}")
    if results.disagree:
        shown = results.disagree[:20]
        remarks.append(f"the index shows entries {shown} as what they are not: run `lgsp audit reindex`")
    if results.stopped:
        remarks.append(
            "stopped before the end of the log: the cursor goes on / dừng giữa chừng: dùng con trỏ để tìm tiếp"
        )
    for text in remarks:
        say(text, to=sys.stderr)


def _all_known(engine: Engine, conditions: dict[str, str], as_json: bool) -> dict[str, str]:
    """The conditions by ids. Ends with the first name that neither the registry nor the log has; a look that did not
    come to the log's end says nothing."""
    from gateway.audit.search import known
    from gateway.audit.search.search import reading

    with reading(engine) as connection:
        found, unknown = known.resolved(connection, conditions)
        for each in unknown:
            near = each.near or known.names(connection, each.field)
            name_checks.refuse(each.field, each.name, near, as_json, all=each.several)
    return found


def _actor(engine: Engine, name: str, elsewhere: bool, as_json: bool) -> str:
    """An actor whole, by a part of its name that is no other's; wrong usage if several have it, or none where it can
    stand `elsewhere` neither."""
    from gateway.audit.search import search as searching
    from gateway.audit.search.search import Query

    with searching.reading(engine) as connection:
        exact = searching.search(connection, Query(actor=name), limit=1)
        if exact.hits or exact.next is not None:
            return name
        cursor, seen = None, {f"{name}, command line"}
        for _ in range(_ACTOR_PAGES):
            page = searching.search(connection, Query(), limit=_PAGE, cursor=cursor)
            seen |= {each.facts.actor for each in page.hits if each.facts.actor}
            if (cursor := page.next) is None:
                break
        near = [
            each
            for each in sorted(seen)
            if name.lower() in each.lower() and searching.search(connection, Query(actor=each), limit=1).hits
        ]
    if not near and elsewhere:
        return name
    if len(near) != 1:
        name_checks.refuse("actor", name, near or seen - {f"{name}, command line"}, as_json, all=bool(near))
    return near[0]
