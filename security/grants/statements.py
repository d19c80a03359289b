"""Signed statements by which a person proves an act at the command line.

A statement names person, command, digest of the arguments, instance and time, and has a random part. Its form is
canonical JSON (RFC 8785); its signature is a detached JWS (RFC 7515 appendix F) like an approval, of another type.
Invariant: a statement proves one command with one set of arguments at one instance, and only while it is fresh.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from contracts.base import jcs
from contracts.base.times import rfc3339
from security.errors import ACT_INVALID, ACT_OTHER, ACT_STALE
from security.grants.approvals import Officer, approve, holds

TYPE: Final = "lgsp-act"
FRESH: Final = 60.0  # seconds
_FUTURE: Final = 5.0
MOST_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked for. `arguments` is the digest of the arguments, `instance` the origin of the instance's log."""

    name: str
    arguments: str
    instance: str

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, object], instance: str) -> Command:
        given = {key: str(value) for key, value in arguments.items() if value is not None}
        return cls(name, hashlib.sha256(jcs.encode(given)).hexdigest(), instance)


@dataclass(frozen=True, slots=True)
class Statement:
    """The signed text, as it stays in the log."""

    text: str
    signature: str


def state(command: Command, person: str, private_pem: bytes, password: bytes | None, now: float) -> Statement:
    """A fresh statement, signed. Raises `key.unacceptable`, `key.password`."""
    content = jcs.encode(
        {
            "act": command.name,
            "arguments": command.arguments,
            "at": rfc3339(now),
            "instance": command.instance,
            "person": person,
            "random": secrets.token_hex(16),
        }
    )
    return Statement(content.decode(), approve(content, person, private_pem, password, typ=TYPE))


def check(statement: Statement, person: Officer, command: Command, now: float) -> None:
    """Raises ACT_INVALID for a signature of another key, ACT_OTHER for another act, ACT_STALE for another time."""
    values = signed(statement, person)
    if values is None:
        raise ACT_INVALID(person=person.id)
    if (values["act"], values["arguments"], values["instance"]) != (command.name, command.arguments, command.instance):
        raise ACT_OTHER(stated=values["act"], command=command.name)
    if not rfc3339(now - FRESH) <= values["at"] <= rfc3339(now + _FUTURE):
        raise ACT_STALE(at=values["at"], now=rfc3339(now))


def signed(statement: Statement, person: Officer) -> dict[str, str] | None:
    """The content of a statement; None if it is not this person's, or not in its canonical form."""
    raw = statement.text.encode("utf-8", "replace")
    if len(raw) > MOST_BYTES or not holds(raw, statement.signature, person, TYPE):
        return None
    values = json.loads(raw)
    names = {"act", "arguments", "at", "instance", "person", "random"}
    if (
        not isinstance(values, dict)
        or set(values) != names
        or not all(isinstance(each, str) for each in values.values())
    ):
        return None
    return values if values["person"] == person.id and jcs.encode(values) == raw else None
