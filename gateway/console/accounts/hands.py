"""Whose hands made an account: who added it, and who made a link that signs in as its person.

Two persons are two histories. Somebody who made the account of another person, or a link for it, could have signed in
as that person. So the two count as one, and so do two whom a third one made. A link that needed a second person is no
such hand: nobody had both of its parts (`store.confirm_link`).
It is read from the log, where each change of an account is an entry. Commands at the host whose person was not proved
name no account: whoever holds the host is beyond this (docs/security.md).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, select

from gateway.console.accounts.records import account_in
from gateway.console.accounts.store import ACCOUNT
from gateway.console.errors import ACCOUNT_ONE_HAND
from gateway.journal.schema import tables

_MAKES: Final = ("added", "link-made")


def check_two(connection: Connection, first: str, second: str) -> None:
    """Raises `account.one-hand` if these accounts do not count as two persons."""
    made = _made(connection)
    common = _of(made, first) & _of(made, second)
    if common:
        raise ACCOUNT_ONE_HAND(first=first, second=second, by=", ".join(sorted(common)))


def _of(made: Mapping[str, set[str]], account: str) -> set[str]:
    """The account, whose hands made it, and whose made theirs."""
    found, wanted = set[str](), [account]
    while wanted:
        if (each := wanted.pop()) and each not in found:
            found.add(each)
            wanted.extend(made.get(each, ()))
    return found


def _made(connection: Connection) -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for table in tables.LOGS:
        for entry in connection.execute(select(table.c.entry).where(table.c.phase == ACCOUNT)).scalars():
            note = json.loads(entry)
            facts = note["facts"]
            if facts.get("how") in _MAKES and (by := account_in(note["actor"])):
                found[facts["account"]].add(by)
    return found
