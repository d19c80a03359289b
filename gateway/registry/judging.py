"""What the registry of a past time says: of a transfer, by the revision that decided it.

Invariant: a judgement is made by the rows that the log has of that revision (`gateway.registry.history`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine

from gateway.journal.database import snapshot
from gateway.registry import history
from gateway.registry.snapshot import Snapshot
from security.grants.grants import Decision

PRESENT: Final = -1
_QUOTA: Final = "access.quota"


class Moment(NamedTuple):
    """`registry` has the registry's tables of the time `at`, `here` all tables as they are now."""

    at: float
    registry: Connection
    here: Connection
    past: bool


@contextmanager
def standing_at(engine: Engine, at: float, revision: int | None) -> Iterator[Moment]:
    """The registry of a revision; None: that of the time `at`."""
    with snapshot(engine) as here:
        if revision == PRESENT:
            yield Moment(at, here, here, False)
            return
        number = history.revision_at(here, at) if revision is None else revision
        with history.opened(here, number) as there:
            yield Moment(at, there, here, True)


class Judged(NamedTuple):
    """A transfer as the log has it: what was asked, when, and the revision of the registry that decided.

    `revision` None: the entry is of an older release, and the time says which one.
    """

    transfer: str
    agency: str
    contract: str
    operation: str
    at: float
    revision: int | None
    entry: Mapping[str, Any]

    @property
    def said(self) -> dict[str, Any]:
        """How the log says that it ended at the door."""
        accepted = self.entry["kind"] == "intent"
        names = ("grant", "also", "receiving", "overdue") if accepted else ("failure", "status", "nearest")
        names = (*names, "provider")
        return {"accepted": accepted} | {name: self.entry[name] for name in names if name in self.entry}

    def agrees(self, decision: Decision, snapshot: Snapshot) -> bool | None:
        """Whether the grants decide as the log says; None if the transfer was refused for another reason."""
        received = self._received(snapshot)
        if self.entry["kind"] == "intent":
            named, receiving = {self.entry["grant"], *self.entry.get("also", ())}, self.entry.get("receiving")
            if receiving is not None and (received is None or set(receiving) != {each.id for each in received.through}):
                return False
            return decision.allowed and named <= {each.id for each in decision.through}
        code = str(self.entry["failure"])
        if code == "route.not-granted":
            nearest = received.nearest if received is not None else None
            as_logged = self.entry.get("nearest") == (nearest.id if nearest is not None else None)
            return received is not None and not received.allowed and as_logged
        if code == _QUOTA:
            return self._used_up(decision)
        return not decision.allowed and code == f"access.{decision.reason}" if code.startswith("access.") else None

    def verdict(self, decision: Decision, snapshot: Snapshot) -> dict[str, Any]:
        """Whether the caller might ask, and the system that the entry names might receive it; and why."""
        received = self._received(snapshot)
        if decision.allowed and received is not None and not received.allowed:
            return {"allowed": False, "reason": "route.not-granted"}
        if self.entry.get("failure") == _QUOTA and self._used_up(decision):
            return {"allowed": False, "reason": "quota"}
        return {"allowed": decision.allowed, "reason": str(decision.reason)}

    @staticmethod
    def _used_up(decision: Decision) -> bool:
        """Whether each grant that allows it has a quota, so that used up ones may leave none."""
        return decision.allowed and len(decision.limited) == len(decision.through)

    def _received(self, snapshot: Snapshot) -> Decision | None:
        """Whether the system that the entry names may receive it; None without one. Decided at its time."""
        system = snapshot.system(str(self.entry.get("provider")))
        if system is None:
            return None
        at = datetime.fromisoformat(self.entry["at"]).timestamp()
        return snapshot.decide_receiving(system.agency, self.contract, self.operation, at)


def judged(entry: Mapping[str, Any]) -> Judged | None:
    """What an entry of the log asks to be judged; None if the caller or the operation was not known."""
    agency = entry.get("caller", {}).get("agency")
    if entry.get("kind") not in ("intent", "refusal") or None in (
        agency,
        entry.get("contract"),
        entry.get("operation"),
    ):
        return None
    id = str(entry["transfer"])
    # Grants are asked at the time of arrival, which is in the id; that of a dropped file is made from the file.
    at = int(id.replace("-", "")[:12], 16) / 1000
    if entry.get("door") == "files":
        at = datetime.fromisoformat(entry["at"]).timestamp()
    return Judged(id, agency, entry["contract"], entry["operation"], at, entry.get("registry"), entry)
