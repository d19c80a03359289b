"""Serves `/feeds/{contract}/v{major}/figures`: figures of indicators (`gateway.indicators`), for readers of the feed.

Invariant: a reader sees what its grant for the operation `feed` shows; the reading is logged and counted as a page is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from contracts.compiled.contract import CompiledContract
from gateway.doors.api.errors import FEED_UNKNOWN
from gateway.doors.api.feed_codings import coding_of
from gateway.doors.api.feed_pages import FeedPage, feed_name
from gateway.doors.api.feed_readings import decided, reading
from gateway.doors.api.feeds import sent
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.exchange.answer_keys import demand_key
from gateway.feeds.masks import Masks
from gateway.indicators.figures import Wanted, figures
from gateway.indicators.forms import MEDIA, in_states, written
from gateway.indicators.store import every
from gateway.indicators.values import CONTRACT, Source
from gateway.journal.database import snapshot


async def read_figures(services: Services, request: ApiRequest) -> Reply:
    """The figures in the form that was asked for."""
    name, params = feed_name(request), request.params
    if name != CONTRACT:
        raise FEED_UNKNOWN(contract=name)
    contract, decision = decided(services, request, name)
    coding_of(params["coding"])  # refused before anything is read
    receiver = demand_key(contract.contract, request.snapshot, request.proven.system, request.received.at)
    wanted = wanted_of(params, services.clock())
    make = partial(_made, services, request, contract, wanted)
    page = await reading(services, request, contract, decision, make, request.proven.replay)
    return await sent(services, request, page.events[0], MEDIA[params["format"]], receiver)


def wanted_of(params: Any, now: float) -> Wanted:
    """By the parameters of the operation. Raises `indicator.period`."""
    codes, areas = ((params[name] or "").split(",") if params[name] else () for name in ("indicator", "area"))
    return Wanted.of(now, params["from"] or "", params["until"] or "", codes, areas)


def _made(
    services: Services, request: ApiRequest, contract: CompiledContract, wanted: Wanted, masks: Masks
) -> FeedPage:
    """A page of one text. Runs in a thread."""
    now, centre = services.clock(), request.snapshot.centre()
    with snapshot(services.engine) as connection:
        source = Source(connection, services.vault, contract, services.exchange.hash_id, masks)
        found = figures(source, every(connection), wanted, now)
    shown = in_states(found.figures, request.params["state"])
    sender = centre.name.vi if centre is not None else "LGSP"
    body, _ = written(shown, request.params["format"], contract, sender, now)
    return FeedPage([body], "", False, found.span, {})
