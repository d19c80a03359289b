"""The fields by which the audit log is searched, each declared once.

A field of `Conditions` is an option of `lgsp audit search`, a condition of a query, a fact of an entry, a column of the
index and a column of `--csv`. Another one is added here, and as a column of `log_index` in
`gateway/journal/schema/tables.py` with a migration; the rest follows.

Invariant: what an entry tells follows from it and from the intent before it, and from nothing else.
Invariant: the standard library alone is imported here, so that the command line starts fast.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_type_hints

Outcome = Literal["ok", "refused", "failed", "in-doubt", "queued", "repeated"]
OUTCOMES: Final[Mapping[str, int]] = {"ok": 1, "repeated": 2, "queued": 3, "in-doubt": 11, "failed": 12, "refused": 13}
KINDS: Final = frozenset(
    {
        *("intent", "outcome", "refusal", "repeat", "in-doubt"),
        # what a note is
        *(
            "access",
            "altered",
            "altered-ended",
            "backup",
            "body-view",
            "certificate-status",
            "contract",
            "transfer.tampered",
            "token",
        ),
        *(
            "export",
            "feed-read",
            "file",
            "hold",
            "keys",
            "log-read",
            "new-log",
            "package",
            "process-ended",
            "quarantine",
        ),
        *(
            "queued",
            "reconciliation",
            "registry",
            "registry-accepted",
            "registry-adopted",
            "restore",
            "restore-confirmed",
        ),
        *("resumed", "retention", "retention-clock", "retention-held", "settings", "stamp", "suspended", "taken-up"),
        *("unwitnessed", "vouching-unproved", "witness-objection", "witnessed"),
    }
)
_CODE: Final = re.compile(r"[a-z][a-z-]*\.[a-z][a-z-]*")
_ENDS: Final = {
    "taken-up": "failed",
    "refusal": "refused",
    "repeat": "repeated",
    "in-doubt": "in-doubt",
    "queued": "queued",
}


class Parts(NamedTuple):
    """An entry taken apart. `intent` is that of the transfer it is about, empty if it needs none or there is none."""

    value: Mapping[str, Any]
    transfer: str
    phase: str
    intent: Mapping[str, Any]
    facts: Mapping[str, Any]
    caller: Mapping[str, Any]
    acting: re.Match[str] | None  # agency and system, of an actor that is a system

    @property
    def kind(self) -> str:
        """What a note is, or the kind of another entry."""
        name = "what" if self.value.get("kind") == "note" else "kind"
        return text_in(self.value, name) or self.phase.partition("#")[0]


Read = Callable[[Parts], str | None]


@dataclass(frozen=True, slots=True)
class Field:
    """`known` is the registry's column with all names, or what else a name is compared with."""

    help: str  # of the option
    read: Read
    digest: Callable[[str], int]
    column: str = ""  # of the index, if it is not named like the field
    fact: str = ""  # which fact stands in the index, if it is not that of the field
    known: str = ""
    hashed: bool = False  # in the log it stands as a keyed hash


@lru_cache(maxsize=8192)
def word(text: str) -> int:
    """32 bits of a word of which there are few: agencies, contracts, codes."""
    return _digest(text, 4)


def wide(text: str) -> int:
    """64 bits of an id. Those of a UUIDv7 begin with its time (RFC 9562 §5.7)."""
    digits = text.replace("-", "")
    if len(text) == 36 and len(digits) == 32 and digits.isalnum():
        try:
            return int.from_bytes(int(digits[:16], 16).to_bytes(8, "big"), "big", signed=True)
        except ValueError:
            pass
    return _digest(text, 8)


def _digest(text: str, length: int) -> int:
    from hashlib import sha256  # the help of a command needs none

    return int.from_bytes(sha256(text.encode()).digest()[:length], "big", signed=True)


def text_in(value: Mapping[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) and found else None


def _told(name: str) -> Read:
    """In the entry, or among its facts, or in the intent."""
    return lambda parts: text_in(parts.value, name) or text_in(parts.facts, name) or text_in(parts.intent, name)


def _party(name: Literal["agency", "system"]) -> Read:
    return lambda parts: parts.acting[name] if parts.acting is not None else text_in(parts.caller, name)


def _grant(parts: Parts) -> str | None:
    return text_in(parts.value, "grant") or text_in(parts.value, "nearest") or _told("grant")(parts)


def _failure(parts: Parts) -> str | None:
    reason = text_in(parts.value, "reason") if parts.kind == "in-doubt" else None
    code = reason if reason is not None and _CODE.fullmatch(reason) else None
    return text_in(parts.value, "failure") or text_in(parts.facts, "failure") or code


def _outcome(parts: Parts) -> str | None:
    if parts.kind == "outcome":
        return "ok" if _failure(parts) is None else "failed"
    return _ENDS.get(parts.kind)


def _transfer(parts: Parts) -> str:
    return parts.transfer


def _actor(parts: Parts) -> str | None:
    return text_in(parts.value, "actor")


def _kind(parts: Parts) -> str:
    return parts.kind


def _outcome_code(text: str) -> int:
    return OUTCOMES.get(text, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What an entry has to be; all that are given must fit."""

    agency: Annotated[
        str | None,
        Field("Code of the agency that called, or whose doing it was.", _party("agency"), word, known="agency.code"),
    ] = None
    system: Annotated[str | None, Field("Id of its system.", _party("system"), word, known="system.id")] = None
    provider: Annotated[
        str | None, Field("Id of the system that was called.", _told("provider"), word, known="system.id")
    ] = None
    contract: Annotated[
        str | None,
        Field("Such as incident-alert/v1.", _told("contract"), word, known="contract_in_force.contract"),
    ] = None
    operation: Annotated[str | None, Field("Name of the operation.", _told("operation"), word)] = None
    outcome: Annotated[Outcome | None, Field("How it ended.", _outcome, _outcome_code)] = None
    failure: Annotated[
        str | None, Field("Code of docs/errors.md, such as access.no-grant.", _failure, word, known="failures")
    ] = None
    grant: Annotated[
        str | None,
        Field(
            "The grant that allowed it, or came nearest.", _grant, word, column="access_grant", known="access_grant.id"
        ),
    ] = None
    transfer: Annotated[str | None, Field("Id of a transfer.", _transfer, wide, column="about", fact="about")] = None
    message: Annotated[
        str | None, Field("Id of a message, as its sender gave it.", _told("message"), wide, hashed=True)
    ] = None
    actor: Annotated[
        str | None,
        Field(
            "Who did it, for what is no transfer: exports, changes, readings; a part that is no other's will do.",
            _actor,
            word,
        ),
    ] = None
    kind: Annotated[
        str | None,
        Field(
            "intent, outcome, refusal, repeat, in-doubt, or what a note is: export, …",
            _kind,
            word,
            known="kinds",
        ),
    ] = None


def _fields() -> dict[str, Field]:
    hints = get_type_hints(Conditions, include_extras=True)
    return {name: each for name, hint in hints.items() for each in get_args(hint) if isinstance(each, Field)}


FIELDS: Final[Mapping[str, Field]] = _fields()
