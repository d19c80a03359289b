"""Pages of several feeds, with one cursor for all. The order of events holds within each feed.

Invariant: a page shows nothing unless every one of its feeds may be read, each by its own grant.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from contracts.base.errors import Finding
from gateway.doors.api.errors import API_INVALID
from gateway.doors.api.feed_pages import FeedPage, Part, make_page
from gateway.doors.api.feed_readings import decided, reading
from gateway.doors.api.services import ApiRequest, Services
from gateway.exchange.answer_keys import demand_key
from gateway.feeds import cursor as cursors
from gateway.feeds.places import offsets
from gateway.journal import feed_log
from gateway.journal.write import ReplayKey
from security.encryption_keys import EncryptKey

MOST: Final = 8  # feeds of one request: their cursor has to fit into an address


def names_of(request: ApiRequest) -> tuple[str, ...]:
    """The contracts that `feeds` names. Raises `api.invalid` for too many, and for one that stands twice."""
    names = tuple(request.params["feeds"].split(","))
    if len(set(names)) < len(names) or len(names) > MOST:
        finding = Finding("query feeds", "", f"{len(names)} feeds", "uniqueItems", f"1 to {MOST}, each once")
        raise API_INVALID(count=1, findings=[finding])
    return names


def offsets_of(services: Services, names: tuple[str, ...], part: Part) -> dict[str, int]:
    """Runs in a thread."""
    with services.engine.connect() as connection:
        return offsets(connection, part.after, names)


def _log_of(services: Services) -> str:
    with services.engine.connect() as connection:
        return feed_log.name(connection)


async def read_page(
    services: Services, request: ApiRequest, names: tuple[str, ...], part: Part
) -> tuple[FeedPage, EncryptKey | None]:
    """The page, and the key that it is encrypted for because the bodies of one of the contracts are."""
    judged = [decided(services, request, name) for name in names]
    run, at = services.readers.run, request.received.at
    keys = [demand_key(each.contract, request.snapshot, request.proven.system, at) for each, _ in judged]
    places = await run(request.owner, offsets_of, services, names, part)
    log, share = await run(request.owner, _log_of, services), max(1, part.limit // len(names))
    replay: ReplayKey | None = request.proven.replay
    events, more, complete, place = list[bytes](), False, True, dict[str, Any]()
    for name, (contract, decision) in zip(names, judged, strict=True):
        own = part._replace(after=cursors.encode(name, places[name], log), limit=share)
        page = await reading(services, request, contract, decision, partial(make_page, services, contract, own), replay)
        replay = None
        places[name] = cursors.decode(page.next, (name,)).offsets[name]
        events += page.events
        more, complete = more or page.more, complete and page.place.get("complete") is True
    if part.times.until is not None:
        place["complete"] = complete
    key = next((each for each in keys if each is not None), None)
    return FeedPage(events, cursors.encode_all(places, log), more, None, place), key
