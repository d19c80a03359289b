"""Pages and events of feeds (openapi/feeds.yaml): CloudEvents, oldest first, with the cursors to go on from."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlencode

from gateway.client.answers import Answer
from gateway.client.errors import CLIENT_FEED_PARTS

_CONTRACT: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*/v[1-9][0-9]{0,2}"
_EXPORT: Final = re.compile(rf"/feeds/({_CONTRACT})/export")
_FEED: Final = re.compile(rf"/feeds/(?:({_CONTRACT})|events)")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Keep `next` once the events are stored. `more` False: nothing newer yet; ask later with the same cursor.
    `complete`: this is the end of the range up to `until`, and no event will come into it any more. `goes_on`: of a
    page of the state, the cursor to go on with in the feed.
    """

    events: tuple[dict[str, Any], ...]
    next: str
    more: bool
    answer: Answer
    complete: bool = False
    goes_on: str | None = None

    @classmethod
    def read(cls, answer: Answer) -> FeedPage:
        """Raises ValueError for anything but a page."""
        try:
            content = answer.json()
            events, next, more = tuple(content["events"]), str(content["next"]), content["more"] is True
            return cls(events, next, more, answer, content.get("complete") is True, content.get("continue"))
        except (KeyError, TypeError) as wrong:
            raise ValueError(f"{type(wrong).__name__}: {wrong}") from None


class FeedEvent(NamedTuple):
    """An event of a stream, and the cursor behind it: where a reader goes on that has stored the event."""

    cursor: str
    event: dict[str, Any]


def page_query(
    after: str | None, limit: int, since: datetime | str | None, until: datetime | str | None, wait: int
) -> str:
    """The query of a page. A `datetime` has its zone; raises ValueError for one without."""
    query = {"limit": str(limit)} | ({"after": after} if after else {}) | _times(since, until)
    return urlencode(query | ({"wait": str(wait)} if wait > 0 else {}))


def digests_query(since: datetime | str | None, until: datetime | str | None) -> str:
    """The query of digests."""
    return urlencode({"limit": "500"} | _times(since, until))


def state_query(after: str | None, limit: int, at: datetime | str | None) -> str:
    """The query of a page of a state; its cursor keeps the time."""
    return urlencode({"limit": str(limit)} | ({"after": after} if after else _times(at=at)))


def export_query(form: str, after: str | None, since: datetime | str | None, until: datetime | str | None) -> str:
    """The query of an export."""
    return urlencode({"form": form} | ({"after": after} if after else {}) | _times(since, until))


def _times(
    since: datetime | str | None = None, until: datetime | str | None = None, at: datetime | str | None = None
) -> dict[str, str]:
    times: dict[str, str] = {}
    for name, time in (("since", since), ("until", until), ("at", at)):
        if isinstance(time, datetime):
            if time.tzinfo is None:
                raise ValueError(f"{name}: a time without its zone")
            times[name] = time.isoformat()
        elif time:
            times[name] = time
    return times


def refuse_parts(method: str, path: str) -> None:
    """Raises `BadUsage` for the address, with its query, of an export or a stream: these come in parts, and only their
    head is signed (docs/wire.md, "Streams of events"), so a single call would not believe them.
    """
    if method != "GET":
        return
    address, _, query = path.partition("?")
    asked = parse_qs(query)
    if export := _EXPORT.fullmatch(address):
        command = f"lgsp client feed-export {export[1]} FILE --form {shlex.quote(asked.get('form', ['csv'])[0])}"
        raise CLIENT_FEED_PARTS(path=path, command=command, python="Client.export")
    if (feed := _FEED.fullmatch(address)) and asked.get("form") == ["events"]:
        contract = feed[1] or asked.get("feeds", ["CONTRACT"])[0].partition(",")[0]
        command = f"lgsp client feed {shlex.quote(contract)} --follow"
        raise CLIENT_FEED_PARTS(path=path, command=command, python="Client.stream")
