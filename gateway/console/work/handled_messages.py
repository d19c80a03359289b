"""The message that is handled, for whoever handles it: its newest correction, without personal data.

Invariant: the log has a note `body-view` before anything is shown, with the handling as its reason.
Invariant: it is shown to the agency that handles the message now, to its sender and to the centre, and to nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import handlings, openings
from gateway.console.work.handlings import One
from gateway.console.work.messages import plain, values_of
from gateway.console.work.openings import Body, Opening
from gateway.transfer.handling_events import UPDATE
from gateway.workflow.errors import HANDLING_UNKNOWN
from gateway.workflow.judging import parties

PART: Final = "canonical"
VIEW: Final = ("*", "!@personal")
MOST: Final = 4000  # characters of a value that are shown
_VALUES: Final = 50  # of a repeated place


class Field(NamedTuple):
    path: str
    values: tuple[str, ...]


class Message(NamedTuple):
    """`withheld`: paths with personal data, which have values. `gone`: why nothing is shown, as a code."""

    transfer: str
    fields: tuple[Field, ...]
    withheld: tuple[str, ...]
    gone: str | None


def open_message(desk: Desk, viewer: Viewer, id: str) -> Opening:
    """Logs the reading. Raises `handling.unknown`, `vault.no-part`, `vault.expired`."""
    found = _found(desk, viewer, id)
    return openings.open_parts(desk, viewer, _transfer(found), (PART,), _reason(id), desk.now())


def opened(desk: Desk, viewer: Viewer, found: One, given: Mapping[str, str]) -> Message | None:
    """What is open at an address of the handling; None without one. Raises `console.body-closed`."""
    if "code" not in given or not _may(desk, viewer, found):
        return None
    opening = openings.check(desk, viewer, _transfer(found), {**given, "parts": PART}, desk.now())
    (body,) = openings.bodies(desk, opening) or [Body(PART, b"", 0, "vault.expired")]
    return _message(desk, found, body)


def read(desk: Desk, viewer: Viewer, id: str) -> Message:
    """The message at once, for a program. Raises as `open_message`."""
    found = _found(desk, viewer, id)
    return _message(desk, found, openings.read_part(desk, viewer, _transfer(found), PART, _reason(id)))


def _found(desk: Desk, viewer: Viewer, id: str) -> One:
    found = handlings.one(desk, viewer, id)
    if not _may(desk, viewer, found):
        raise HANDLING_UNKNOWN(handling=id)
    return found


def _may(desk: Desk, viewer: Viewer, found: One) -> bool:
    return found.seen.sound and bool(parties(found.seen.row, handlings.actor_of(desk, viewer)))


def _transfer(found: One) -> str:
    """Of the message, or of its newest correction."""
    corrected = [each.step.transfer for each in found.seen.steps if each.step.step == UPDATE and each.step.transfer]
    return corrected[-1] if corrected else found.seen.row.transfer


def _reason(id: str) -> str:
    return f"handling {id}"


def _message(desk: Desk, found: One, body: Body) -> Message:
    row = found.seen.row
    contract = desk.services.registry.compiled(row.bundle)
    values = values_of(body)
    leaves = contract.leaves(contract.contract.operations[row.operation].request, VIEW)
    filled = [(each, values[plain(each.path)]) for each in leaves if values.get(plain(each.path))]
    return Message(
        transfer=_transfer(found),
        fields=tuple(
            Field(leaf.path, tuple(text[:MOST] for text in texts[:_VALUES])) for leaf, texts in filled if leaf.shown
        ),
        withheld=tuple(leaf.path for leaf, _ in filled if not leaf.shown),
        gone=body.gone,
    )
