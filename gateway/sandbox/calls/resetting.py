"""Resets a tenant's data in a sandbox: what simulated systems were told, and the faults that it ordered.

Invariant: the log is not changed. A reset is an entry of it (`sandbox-reset`), and so is the end of the faults.
Invariant: nothing of another tenant, and nothing of the province, is reset.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.journal.append import append
from gateway.sandbox.simulation import resets
from gateway.sandbox.vendors import ordering, showing
from gateway.sandbox.vendors.ordering import Orderer
from gateway.transfer import entries

KIND: Final = "sandbox-reset"


def reset(desk: Desk, viewer: Viewer) -> dict[str, Any]:
    """What was reset. Raises `console.no-page` for whoever has no tenant."""
    agency, now = showing.tenant(desk, viewer), desk.now()
    with desk.writing() as connection:
        resets.put(connection, agency, now)
        ended = ordering.end(connection, Orderer(viewer.actor, agency), None, now)
        append(connection, [entries.note(KIND, {"agency": agency, "faults": len(ended)}, now, actor=viewer.actor)])
    return {"tenant": agency, "faults": [each.mark for each in ended]}
