"""Feeds for a person of the centre: which he may read, one as it comes in, and a range of it as a file."""

from __future__ import annotations

from contracts.base.integers import whole_number
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Menu, Page, Shown
from gateway.console.work import feed_exports, feed_view
from gateway.console.work.feeds import Asking
from gateway.console.work.searching import moment
from gateway.doors.api.feed_filters import TYPES, Filter
from gateway.doors.api.feed_pages import Part
from gateway.doors.reply import Reply
from gateway.exchange.feed_tables import columns_of
from gateway.feeds.places import Times


def every(ask: Ask) -> Shown:
    return Shown("feeds.html", {"feeds": feed_view.listed(ask.desk, ask.viewer)})


def one(ask: Ask) -> Shown:
    text = ask.query.get("upto", "")
    upto = whole_number(text) if text else None
    if text and upto is None:
        raise CONSOLE_FORM(field="upto", why="1, 2, 3 …")
    agencies = ask.desk.services.registry.snapshot.agencies
    view = feed_view.seen(ask.desk, ask.viewer, _name(ask), upto)
    values = {
        "view": view,
        "columns": columns_of(view.contract),
        "upto": upto,
        "words": TYPES,
        "forms": feed_exports.FORMS,
        "names": {code: each.name.of(ask.language) for code, each in agencies.items()},
    }
    return Shown("feed.html", values)


def export(ask: Ask) -> Reply:
    """The days count as Vietnam has them; the last one counts to its end."""
    form, reason = ask.field("form", 10), ask.reason()
    times = Times(
        moment(ask.form.get("from", "").strip() or None, "from"),
        moment(ask.form.get("to", "").strip() or None, "to", whole=True),
    )
    if times.since is not None and times.until is not None and times.since >= times.until:
        raise CONSOLE_FORM(field="to", why="not after `from`")
    agencies = ask.desk.services.registry.snapshot.agencies
    only = Filter(agencies=frozenset(code for code in agencies if ask.form.get(f"agency-{code}")))
    columns = [name.removeprefix("column-") for name in ask.form if name.startswith("column-")]
    asking = Asking(_name(ask), Part(None, 1, times, only), ask.still, ("source", ask.source))
    return feed_exports.export(ask.desk.feeds, asking, form, reason, columns)


def _name(ask: Ask) -> str:
    return f"{ask.path['id']}/v{ask.path['major']}"


PAGES = (
    Page("/feeds", every, May.FEEDS, N_("Feeds"), Menu.OPERATION),
    Page("/feed/{id}/v{major}", one, May.FEEDS, N_("Live feed")),
    Page("/feed/{id}/v{major}/export", export, May.FEEDS, method="POST", operation="exportPersonFeed"),
)
