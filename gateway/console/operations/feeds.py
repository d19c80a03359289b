"""Feeds for a person of the centre, in pages and as a stream."""

from __future__ import annotations

from gateway.console.site.operation import Asked
from gateway.console.work import feeds
from gateway.console.work.feeds import Asking
from gateway.doors.api.feed_pages import part_of
from gateway.doors.reply import Reply


def read_person_feed(asked: Asked) -> Reply:
    params = asked.params
    part = part_of(params)
    part = part._replace(after=params["Last-Event-ID"] or part.after)
    name = f"{params['contract']}/v{params['major']}"
    asking = Asking(name, part, asked.still, ("source", asked.source))
    return feeds.read(asked.desk.feeds, asking, params["form"])


OPERATIONS = {"readPersonFeed": read_person_feed}
