"""The handlings and the cases of the system's agency (openapi/handlings.yaml, openapi/cases.yaml), for `AsyncClient`.

Steps of handlings are messages of their contract; they have no call here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway.client import rest
from gateway.client.listing import Listing, object_of, path_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlingsWanted:
    """Which handlings a list has; all conditions hold together. `transfer` handed the message in: then each handling
    has its steps with their reasons. `list`: open, overdue, ended or all; default: all with `transfer`, else open.
    """

    list: str | None = None
    contract: str | None = None
    state: str | None = None
    transfer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCase:
    """A case that is to be opened (`OwnCaseWanted`). Times are RFC 3339 with their zone; `days` are working days."""

    kind: str
    subject: str
    text: str
    receivers: Sequence[str] = ()
    reference: str | None = None
    days: int | None = None
    begins: str | None = None
    ends: str | None = None
    urgent: bool = False

    def to_json(self) -> dict[str, Any]:
        told = asdict(self) | {"receivers": list(self.receivers)}
        return {name: value for name, value in told.items() if value not in (None, [], False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReply:
    """What goes with a step of a case: `decision` is granted or refused, `link` such as `grant:ID`."""

    text: str = ""
    decision: str | None = None
    link: str | None = None


OPEN = HandlingsWanted(list="open")
NOTHING = CaseReply()


class Casework(Listing):
    """The calls of a client about handlings and cases. All raise `ClientError`."""

    def handlings(self, wanted: HandlingsWanted = OPEN, limit: int = 100) -> AsyncIterator[dict[str, Any]]:
        """Handlings of messages that the system's agency sent or handles, the nearest deadline first; for the centre,
        all. `limit` is that of one page, 200 at most.
        """
        return self._rows("/handlings", "handlings", asdict(wanted) | {"limit": str(limit)})

    async def handling(self, handling: str) -> dict[str, Any]:
        """One handling with its steps, and its deadlines minute by minute."""
        return await self._object(path_of("handlings", handling))

    def cases(self, view: str = "open", kind: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Cases of which the system's agency is a party, overdue ones first. `view`: open, overdue, ended or all."""
        return self._rows("/cases", "cases", {"view": view, "kind": kind})

    async def case(self, case: str) -> dict[str, Any]:
        """`{case, acts}`: one case with its steps and texts, and the steps that the agency may take now."""
        return await self._object(path_of("cases", case))

    async def open_case(self, case: NewCase, key: str | None = None) -> dict[str, Any]:
        """`{case, state, due}`. The same `key` with the same content gets the case that stands; default: a new one."""
        return await self._act("/cases", case.to_json(), key)

    async def take_case_step(
        self, case: str, act: str, reply: CaseReply = NOTHING, key: str | None = None
    ) -> dict[str, Any]:
        """`{case, state, due}`. `act`: acknowledge or answer for a receiver; close, withdraw or remind for the sender.
        The same `key` again changes nothing.
        """
        told = {name: value for name, value in asdict(reply).items() if value}
        return await self._act(path_of("cases", case, act), told, key)

    async def _act(self, path: str, content: dict[str, Any], key: str | None) -> dict[str, Any]:
        return await self._read("POST", path, object_of, content | {"key": key or rest.new_message_id()})
