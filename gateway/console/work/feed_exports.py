"""Exports a range of a feed for a person, as CSV, XLSX or Parquet: streamed, with a reason.

The rows are those that the person reads as pages (`gateway.console.work.feeds`), of the agencies and with the columns
that he chose. An export ends with what was
sequenced before it began.
Invariant: an entry of the log names the person, range, agencies, columns, form and reason before a byte leaves.
Invariant: each part is judged and logged as a page is. Who may not read any more gets no further part, and a stream
  that breaks is no whole file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select

from contracts.wire.jsontext import read_json
from gateway.console.errors import CONSOLE_FORM
from gateway.console.work.feeds import Asking, Following
from gateway.doors.api.errors import FEED_NO_FORM
from gateway.doors.api.feed_exports import NOTE, ROWS
from gateway.doors.api.feed_pages import Part
from gateway.doors.reply import Reply
from gateway.exchange.feed_tables import MEDIA, TABLES, XLSX_ROWS, TableWriter, columns_of, has_parquet, row_of
from gateway.feeds.places import Bounds, Times, bounds
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer import entries

FORMS: Final = tuple(MEDIA)
_event: Final = tables.feed_event.c


def export(following: Following, asking: Asking, form: str, reason: str, columns: Sequence[str] = ()) -> Reply:
    """The reply with the stream. Its entry is in the log. It runs in a thread. Without `columns` the table has all."""
    if form not in FORMS:
        raise CONSOLE_FORM(field="form", why=" | ".join(FORMS))
    if form == "parquet" and not has_parquet():
        raise FEED_NO_FORM(form=form, package="lgsp[parquet]")
    viewer, contract, decision = following.judged(asking.still(), asking.name)
    chosen = _chosen(columns_of(contract), columns)
    now, asked = following.clock(), asking.part.times
    times = Times(asked.since, now if asked.until is None else min(asked.until, now))
    part = asking.part._replace(limit=ROWS, times=times)
    reach, rows = _reach(following, asking.name, part, count=form == "xlsx")
    if rows > XLSX_ROWS:
        raise CONSOLE_FORM(field="form", why=f"csv | parquet: more than {XLSX_ROWS} events")
    facts: dict[str, Any] = {"contract": asking.name, "form": form, "from": reach.low + 1, "to": reach.high}
    facts |= {"grant": decision.through[0].id, "reason": reason}
    facts |= {"agencies": sorted(part.filter.agencies)} if part.filter.agencies else {}
    facts |= {"columns": list(chosen)} if columns else {}
    stream = _Export(following, asking._replace(part=part), viewer.account.id, TABLES[form](chosen), chosen)
    following.streams.enter(stream, viewer.account.id)
    try:
        with writing(following.engine) as connection:
            append(connection, [entries.note(NOTE, facts, now, actor=viewer.actor)])
    except BaseException:
        following.streams.leave(stream, viewer.account.id)
        raise
    file = f"{asking.name.replace('/', '-')}.{form}"
    headers = {"content-type": MEDIA[form], "content-disposition": f'attachment; filename="{file}"'}
    return Reply(200, headers, b"", stream)


def _chosen(every: Sequence[str], wanted: Sequence[str]) -> Sequence[str]:
    """The columns in their order. Raises: console.form."""
    unknown = sorted(set(wanted) - set(every))
    if unknown:
        raise CONSOLE_FORM(field="columns", why=f"{unknown[0][:80]}: {', '.join(every)[:400]}")
    return [each for each in every if each in set(wanted)] if wanted else every


def _reach(following: Following, name: str, part: Part, *, count: bool) -> tuple[Bounds, int]:
    """The offsets of the range; if they count, the number of its events, as far as a sheet holds them."""
    with following.engine.connect() as connection:
        reach = bounds(connection, name, part.after, part.times)
        within = select(_event.offset).where(_event.contract == name, _event.offset > reach.low)
        counted = within.where(_event.offset <= (reach.high or 0)).limit(XLSX_ROWS + 1).subquery()
        rows = connection.scalar(select(func.count()).select_from(counted)) if count else 0
    return reach, rows or 0


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Export:
    """The parts of the reply."""

    following: Following
    asking: Asking
    account: str
    table: TableWriter
    columns: Sequence[str]
    more: bool = True

    async def next_part(self) -> bytes | None:
        if not self.more:
            return None
        return await self.following.readers.run(self.asking.owner, self._next)

    async def aclose(self) -> None:
        self.following.streams.leave(self, self.account)

    def _next(self) -> bytes:
        """It runs in a thread."""
        part = self.asking.part
        page = self.following.page(self.asking.still(), self.asking.name, part)
        written = self.table.rows([row_of(read_json(event), self.columns) for event in page.events])
        self.asking = self.asking._replace(part=part._replace(after=page.next, times=part.times._replace(since=None)))
        self.more = page.more
        return written if page.more else written + self.table.end()
