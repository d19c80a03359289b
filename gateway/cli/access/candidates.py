"""What `lgsp access` says of `officer/ID` and `person/ID`: who they are, and who admitted them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from contracts.base.times import rfc3339
from gateway.cli.common.labels import both

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from gateway.registry.changes.officers import Roll
    from security.grants.approvals import Officer

_NAMED: Final = re.compile(r"(officer|person)/(.+)")


def named(subject: str) -> tuple[Roll, str] | None:
    """The list and the id that `officer/ID` or `person/ID` names."""
    from gateway.registry.changes.officers import OFFICERS, PERSONS

    found = _NAMED.fullmatch(subject)
    return None if found is None else (PERSONS if found[1] == PERSONS.what else OFFICERS, found[2])


def candidate(connection: Connection, roll: Roll, name: str) -> Officer:
    """In any state. Raises `registry.unknown`."""
    from gateway.registry.changes.officers import listed
    from gateway.registry.errors import unknown

    found = listed(connection, roll).get(name)
    if found is None:
        raise unknown(roll.what, name)
    return found


def row(connection: Connection, roll: Roll, each: Officer) -> dict[str, Any]:
    """For programs. `signed_by` are the officers whose signatures count for the content as it stands."""
    from gateway.registry.changes.granting import approvals
    from gateway.registry.changes.officers import officers
    from security.grants.approvals import counted
    from security.grants.grants import digest

    content = each.content()
    signed = approvals(connection).get((f"{roll.what} {each.id}", digest(content)), ())
    return {
        "what": roll.what,
        "id": each.id,
        "agency": each.agency,
        "role": each.role,
        "name": {"vi": each.name.vi, "en": each.name.en},
        "key": each.thumbprint,
        "state": each.state,
        "since": rfc3339(each.since),
        "digest": digest(content),
        "signed_by": list(counted(content, each.id, signed, officers(connection))),
    }


def show(connection: Connection, roll: Roll, each: Officer) -> tuple[dict[str, Any], str]:
    from security.grants.windows import civil

    told = row(connection, roll, each)
    lines = [
        f"{'id':<12} {each.id}",
        f"{'role':<12} {both(each.role)}",
        f"{'agency':<12} {each.agency}",
        f"{'name':<12} {each.name.vi} / {each.name.en}",
        f"{'key':<12} {each.thumbprint}",
        f"{'standing':<12} {both(each.state)}, since / từ {civil(each.since)}",
        f"{'digest':<12} {told['digest']}",
        f"{'signed':<12} {signatures(told)}",
    ]
    return told, "\n".join([*lines, *_next(told)])


def signatures(told: dict[str, Any]) -> str:
    """How many officers have signed, and which. Those who came with the first document needed none."""
    from security.grants.grants import OFFICERS

    count = len(told["signed_by"])
    names = f": {', '.join(told['signed_by'])}" if count else ""
    return f"{count} of {OFFICERS} signatures / {count} trên {OFFICERS} chữ ký{names}"


def approved(connection: Connection, roll: Roll, name: str, *, new: bool) -> tuple[dict[str, Any], str]:
    """After a signature: whether the candidate is in office now, or who has signed so far."""
    told = row(connection, roll, candidate(connection, roll, name))
    before = "" if new else "; signed before / đã ký từ trước"
    head = f"{roll.what}/{name}: {both(told['state'])}, {signatures(told)}{before}"
    return told, "\n".join([head, *_next(told)])


def waiting(connection: Connection) -> Iterator[str]:
    """Those who are proposed, with the commands that come next."""
    from gateway.registry.changes.officers import ROLLS, listed

    for roll in ROLLS:
        for each in listed(connection, roll).values():
            if each.state == "proposed":
                told = row(connection, roll, each)
                yield f"{roll.what}/{each.id}: waits / chờ, {signatures(told)}"
                yield from _next(told)


def _next(told: dict[str, Any]) -> list[str]:
    subject = f"{told['what']}/{told['id']}"
    commands = [f"show {subject}", f"approve {subject} --officer ID --key FILE"]
    return [f"      lgsp access {each}" for each in commands] if told["state"] == "proposed" else []
