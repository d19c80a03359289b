"""Serves `/feeds/{contract}/v{major}/export`: a range of a feed as CSV, XLSX or Parquet, streamed.

The first rows leave at once, whatever the range. An export ends with what was sequenced before it began.
Invariant: an entry of the log names reader, form and range before a byte leaves; each part is logged and counted as a
  page is (`feed_readings`), with the masks of the registry as it is then.
Invariant: a reader that leaves, or may not read any more, gets no further part. A stream that breaks is no whole file.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sqlalchemy import func, select

from contracts.base.errors import Failure, Finding
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import read_json
from gateway.doors.api.errors import API_INVALID, FEED_NO_EXPORT, FEED_NO_FORM
from gateway.doors.api.feed_pages import Part, make_page, times_of
from gateway.doors.api.feed_readings import decided, judged_anew, reading
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.exchange.answer_keys import demand_key
from gateway.exchange.feed_tables import MEDIA, TABLES, XLSX_ROWS, TableWriter, columns_of, has_parquet, row_of
from gateway.feeds.places import Bounds, Times, bounds
from gateway.journal.schema import tables
from gateway.journal.write import Write
from gateway.transfer import entries

NOTE: Final = "export"
ROWS: Final = 500  # of one part
_event: Final = tables.feed_event.c


async def export_feed(services: Services, request: ApiRequest) -> Reply:
    """The reply with the stream. Refusals are answers of their own."""
    name, form = f"{request.params['contract']}/v{request.params['major']}", request.params["form"]
    contract, decision = decided(services, request, name)
    if demand_key(contract.contract, request.snapshot, request.proven.system, request.received.at) is not None:
        raise FEED_NO_EXPORT(contract=name)
    if form == "parquet" and not has_parquet():
        raise FEED_NO_FORM(form=form, package="lgsp[parquet]")
    asked, now = times_of(request.params), services.clock()
    times = Times(asked.since, now if asked.until is None else min(asked.until, now))
    export = _Export(services, request, contract, form, Part(request.params["after"], ROWS, times))
    services.streams.enter(export, request.proven.system.agency)
    try:
        reach, rows = await services.readers.run(request.owner, export.reach)
        if form == "xlsx" and rows > XLSX_ROWS:
            expected = f"a range of at most {XLSX_ROWS} events, or another form"
            raise API_INVALID(count=1, findings=[Finding("query form", "", form, "enum", expected)])
        assert decision.grant is not None
        facts: dict[str, Any] = {"contract": name, "form": form, "from": reach.low + 1, "to": reach.high}
        note = entries.note(NOTE, facts | {"grant": decision.grant.id}, now, actor=request.proven.system.name)
        await services.record(Write(replay=request.proven.replay, log=(note,)))
    except BaseException:
        await export.aclose()
        raise
    export.begin()
    file = f"{name.replace('/', '-')}.{form}"
    headers = {"content-type": MEDIA[form], "content-disposition": f'attachment; filename="{file}"'}
    return Reply(200, headers, b"", export)


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Export:
    """The parts of the reply."""

    services: Services
    request: ApiRequest
    contract: CompiledContract
    form: str
    part: Part
    _parts: AsyncGenerator[bytes] | None = field(init=False, default=None)

    def reach(self) -> tuple[Bounds, int]:
        """The offsets of the range, and the number of its events, counted as far as a sheet holds them. Runs in a
        thread.
        """
        name = self.contract.contract.name
        with self.services.engine.connect() as connection:
            reach = bounds(connection, name, self.part.after, self.part.times)
            within = select(_event.offset).where(_event.contract == name, _event.offset > reach.low)
            counted = within.where(_event.offset <= (reach.high or 0)).limit(XLSX_ROWS + 1).subquery()
            rows = connection.scalar(select(func.count()).select_from(counted)) if self.form == "xlsx" else 0
        return reach, rows or 0

    def begin(self) -> None:
        self._parts = self._run()

    async def next_part(self) -> bytes | None:
        return None if self._parts is None else await anext(self._parts, None)

    async def aclose(self) -> None:
        self.services.streams.leave(self, self.request.proven.system.agency)
        if self._parts is not None:
            await self._parts.aclose()

    async def _run(self) -> AsyncGenerator[bytes]:
        run, name = self.services.readers.run, self.contract.contract.name
        columns = columns_of(self.contract)
        table = await run(self.request.owner, TABLES[self.form], columns)
        part, proven, more = self.part, self.request, True
        try:
            while more:
                contract, decision = decided(self.services, proven, name)
                make = partial(make_page, self.services, contract, part)
                page = await reading(self.services, proven, contract, decision, make, None)
                yield await run(self.request.owner, _written, table, page.events, columns)
                part, more = Part(page.next, ROWS, part.times._replace(since=None)), page.more
                proven = judged_anew(self.services, self.request, proven)
        except Failure as failure:
            await self.services.exchange.refusals.refuse(self.request.received, failure)
            raise
        yield await run(self.request.owner, table.end)


def _written(table: TableWriter, events: Sequence[bytes], columns: Sequence[str]) -> bytes:
    """Runs in a thread."""
    return table.rows([row_of(read_json(event), columns) for event in events])
