"""Feeds for a person of the centre: in pages, as a stream, and a range as a file."""

from __future__ import annotations

from gateway.console.site.operation import Asked
from gateway.console.work import feed_exports, feeds
from gateway.console.work.feeds import Asking
from gateway.doors.api.feed_filters import Filter
from gateway.doors.api.feed_pages import Part, part_of, times_of
from gateway.doors.reply import Reply


def read_person_feed(asked: Asked) -> Reply:
    params = asked.params
    part = part_of(params)
    part = part._replace(after=params["Last-Event-ID"] or part.after)
    name = f"{params['contract']}/v{params['major']}"
    asking = Asking(name, part, asked.still, ("source", asked.source))
    return feeds.read(asked.desk.feeds, asking, params["form"])


def export_person_feed(asked: Asked) -> Reply:
    times = times_of({name: asked.body.get(name) for name in ("since", "until")})
    name = f"{asked.params['contract']}/v{asked.params['major']}"
    only = Filter(agencies=frozenset(asked.body.get("agencies", ())))
    asking = Asking(name, Part(None, 1, times, only), asked.still, ("source", asked.source))
    columns = asked.body.get("columns", ())
    return feed_exports.export(asked.desk.feeds, asking, asked.body["form"], asked.reason(), columns)


OPERATIONS = {"exportPersonFeed": export_person_feed, "readPersonFeed": read_person_feed}
