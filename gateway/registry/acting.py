"""Decides who acts at the command line: proves a person's statement against the registry.

Invariant: rows of officers and persons that are not those of the log prove nobody.
Invariant: only an instance in which nobody was ever registered takes changes without a person (it is being founded).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection

from gateway.registry.changes.officers import ROLLS, acting, is_empty
from gateway.registry.errors import ACT_NO_ROLE, ACT_NOT_IN_OFFICE, unknown, words
from gateway.registry.seals.revisions import REVISION
from gateway.registry.seals.rows import Misfit
from gateway.registry.seals.sealed import Sealed
from gateway.registry.seals.sealing import Seal, altered
from security.grants.approvals import Officer
from security.grants.statements import Command, Statement, check

BREAK_GLASS: Final = "break-glass"  # the note of an act without a proved person
_TRUSTED: Final = frozenset({*(roll.table.name for roll in ROLLS), "instance", "log"})


def being_founded(connection: Connection) -> bool:
    """Whether no officer and no person was ever registered."""
    return is_empty(connection, *ROLLS)


def prove(
    connection: Connection,
    seal: Seal,
    person: str,
    statement: Statement,
    asked: tuple[Command, Collection[str]],
    now: float,
) -> Officer:
    """The person who signed the statement. `asked` is the command, and the roles that may give it.

    Raises `registry.unknown`, `registry.altered`, or an error of `act.`. The connection must show one moment.
    """
    wrong = _altered(connection, seal)
    if wrong:
        raise altered(wrong)
    known = acting(connection).get(person)
    if known is None:
        raise unknown("person", person)
    command, roles = asked
    if known.state != "active":
        raise ACT_NOT_IN_OFFICE(person=person, state=words(f"state.{known.state}"))
    check(statement, known, command, now)
    if known.role not in roles:
        raise ACT_NO_ROLE(person=person, role=known.role, command=command.name)
    return known


def _altered(connection: Connection, seal: Seal) -> list[Misfit]:
    """What makes the rows of officers and persons doubtful. Another revision number alone does not, if no seal newer
    than the stored one was ever seen here."""
    differing, number = seal.look(connection)[0], Misfit("instance", REVISION, "altered")
    wrong = [each for each in differing if each.table in _TRUSTED and each != number]
    if wrong or number not in differing:
        return wrong
    sealed = Sealed.read(connection)
    return [number] if sealed is None or seal.set_back(connection, sealed.revision) else []
