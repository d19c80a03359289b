"""The files beside the document of a transfer, for somebody who sees the transfer.

Invariant: who sees one agency is told of the fetches of its own systems and of the receiver's.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.audit.search.files import Fetch, files_of
from gateway.audit.search.search import reading
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work.journeys import Seen


class Beside(NamedTuple):
    """`fetched`: when the receiver had asked for all of it. `others`: who else asked, each once, by the last time."""

    id: str
    size: int
    digest: str
    came: str
    fetched: str | None
    others: tuple[Fetch, ...]


def of_transfer(desk: Desk, viewer: Viewer, seen: Seen) -> tuple[Beside, ...]:
    row, scope = seen.journey.row, viewer.account.scope
    if row is None:
        return ()
    receiver = row["provider"] or ""
    with reading(desk.services.engine) as connection:
        found = files_of(connection, seen.transfer)
    shown = []
    for each in found:
        last = {one.who: one for one in each.fetches if one.system != receiver and scope in (None, one.agency)}
        others = tuple(last.values())
        shown.append(Beside(each.id, each.size, each.digest, each.came, each.whole_at(receiver), others))
    return tuple(shown)
