"""The fields by which the audit log is searched.

A field of `Conditions` is an option of `lgsp audit search` and a condition of a query. It is also a fact of an entry, a
column of the index and a column of `--csv`. A new field needs an entry here, a column of `log_index` in
`gateway/journal/schema/tables.py`, and a migration.

Invariants:
- The facts of an entry follow from it and from the intent before it alone.
- Only the standard library is imported here, so that the command line starts fast.
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
        # kinds of notes
        *("access", "access-review", "alarm", "accounts-adopted", "accounts-repaired", "altered", "altered-ended"),
        *("authorities-asked", "backup", "backup-drill", "body-view", "break-glass", "case"),
        *(
            "certificate-status",
            "conformance",
            "console-account",
            "console-sign-in",
            "console-sign-out",
            "console-token",
        ),
        *("contract", "contract-draft", "enrolment", "export", "feed-keys", "key-end"),
        *("feed-digest", "feed-expired", "feed-hour"),
        *(
            "failover-drill",
            "feed-answer",
            "feed-read",
            "file",
            "finding",
            "handling",
            "handling-none",
            "handling-told",
            "hold",
            "keys",
            "log-read",
            "new-log",
            "package",
            "process-ended",
        ),
        *("opaque-body", "opaque-body-read", "opaque-body-removed"),
        *("moved", "notice", "probes", "push-altered", "push-key", "push-subscription"),
        *("quarantine", "queued", "receiving-adopted", "reconciliation", "registry", "reindex"),
        *("registry-accepted", "registry-adopted", "report", "restore"),
        *("restore-confirmed", "token", "transfer.tampered"),
        *("bulk-retry", "callback", "cancelled", "connection-test", "discarded", "log-check", "retried", "settled"),
        *("resumed", "retention", "retention-clock", "retention-held", "sandbox-fault", "sandbox-invitation"),
        *("sandbox-reset",),
        *("settings", "stamp", "suspended", "taken-up", "tenant-clock"),
        *("registry-rows", "try-failed", "unwitnessed", "vouching-unproved", "witness-objection", "witnessed"),
    }
)
# What may change the registry, or who may do what at the console: `--kind change` stands for all of them.
CHANGES: Final = (
    "access", "certificate-status", "console-account", "contract", "receiving-adopted", "registry", "registry-accepted",
    "registry-adopted", "registry-rows", "restore", "restore-confirmed", "resumed", "suspended", "tenant-clock",
)  # fmt: skip
CHANGE: Final = "change"
Role = Literal["caller", "owner", "provider", "reader"]  # of an agency in an entry
_CODE: Final = re.compile(r"[a-z][a-z-]*\.[a-z][a-z-]*")
_ACTOR: Final = re.compile(r"(?P<agency>[^/\s]+)/(?P<id>[^/\s:]+)(?:: .*)?", re.DOTALL)
_ENDS: Final = {
    "taken-up": "failed",
    "refusal": "refused",
    "repeat": "repeated",
    "in-doubt": "in-doubt",
    "queued": "queued",
}


class Parts(NamedTuple):
    """The parts of an entry. `intent` is that of the transfer it concerns, empty if there is none or it needs none."""

    value: Mapping[str, Any]
    transfer: str
    phase: str
    intent: Mapping[str, Any]
    facts: Mapping[str, Any]
    caller: Mapping[str, Any]
    acting: re.Match[str] | None  # agency and system, if the actor is a system

    @property
    def kind(self) -> str:
        """The kind of a note, or of another entry."""
        name = "what" if self.value.get("kind") == "note" else "kind"
        return text_in(self.value, name) or self.phase.partition("#")[0]


Read = Callable[[Parts], str | None]


@dataclass(frozen=True, slots=True)
class Field:
    """`known` is the registry's column with all valid names, or another list of them."""

    help: str  # of the option
    read: Read
    digest: Callable[[str], int]
    column: str = ""  # of the index, if its name differs
    fact: str = ""  # the indexed fact, if its name differs
    known: str = ""
    hashed: bool = False  # the log contains a keyed hash of it


@lru_cache(maxsize=8192)
def word(text: str) -> int:
    """A 32-bit digest of a value of which there are few: agencies, contracts, codes."""
    return _digest(text, 4)


def wide(text: str) -> int:
    """A 64-bit digest of an id. That of a UUIDv7 begins with its time (RFC 9562 §5.7)."""
    digits = text.replace("-", "")
    if len(text) == 36 and len(digits) == 32 and digits.isalnum():
        try:
            return int.from_bytes(int(digits[:16], 16).to_bytes(8, "big"), "big", signed=True)
        except ValueError:
            pass
    return _digest(text, 8)


def _digest(text: str, length: int) -> int:
    from hashlib import sha256  # not needed for the help of a command

    return int.from_bytes(sha256(text.encode()).digest()[:length], "big", signed=True)


def text_in(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    return text if isinstance(text, str) and text else None


def _anywhere(name: str) -> Read:
    """Reads it from the entry, from its facts, or from the intent."""
    return lambda parts: text_in(parts.value, name) or text_in(parts.facts, name) or text_in(parts.intent, name)


def _party(name: Literal["agency", "system"]) -> Read:
    return lambda parts: parts.acting[name] if parts.acting is not None else text_in(parts.caller, name)


def _grant(parts: Parts) -> str | None:
    return text_in(parts.value, "grant") or text_in(parts.value, "nearest") or _anywhere("grant")(parts)


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


def id_of_actor(text: str) -> str:
    """The id of the person or system in the name of an actor (`H14.0/lan: console, totp 1f2e`); else the whole name."""
    named = _ACTOR.fullmatch(text)
    return text if named is None else named["id"]


def is_actor(sought: str, actor: str | None) -> bool:
    """Whether somebody is meant: by the whole name, by the id, or by agency and id."""
    if actor is None:
        return False
    named = _ACTOR.fullmatch(actor)
    return sought == actor or (named is not None and sought in (named["id"], f"{named['agency']}/{named['id']}"))


def _actor_digest(text: str) -> int:
    """One for all names of a person: each session has another."""
    return word(id_of_actor(text))


def _kind(parts: Parts) -> str:
    return parts.kind


def _outcome_code(text: str) -> int:
    return OUTCOMES.get(text, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions of a search; all that are not None must match."""

    agency: Annotated[
        str | None,
        Field(
            "Code of an agency that called, owns the data, provides, or reads (--role).",
            _party("agency"),
            word,
            known="agency.code",
        ),
    ] = None
    system: Annotated[str | None, Field("Id of its system.", _party("system"), word, known="system.id")] = None
    provider: Annotated[
        str | None, Field("Id of the system that was called.", _anywhere("provider"), word, known="system.id")
    ] = None
    contract: Annotated[
        str | None,
        Field("Such as incident-alert/v1.", _anywhere("contract"), word, known="contract_in_force.contract"),
    ] = None
    operation: Annotated[str | None, Field("Name of the operation.", _anywhere("operation"), word)] = None
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
        str | None, Field("Id of a message, as its sender gave it.", _anywhere("message"), wide, hashed=True)
    ] = None
    actor: Annotated[
        str | None,
        Field(
            "Who did it, for what is no transfer: exports, changes, readings. An id finds all that the person did;"
            " a part of a name that is no other's will do.",
            _actor,
            _actor_digest,
        ),
    ] = None
    kind: Annotated[
        str | None,
        Field(
            "intent, outcome, refusal, repeat, in-doubt, or what a note is: export, …; several with commas;"
            " change: whatever changed the registry, access, contracts or accounts.",
            _kind,
            word,
            known="kinds",
        ),
    ] = None


def kinds_in(text: str) -> tuple[str, ...]:
    """The kinds that a condition names."""
    named = (CHANGES if each == CHANGE else (each,) for each in text.split(","))
    return tuple(dict.fromkeys(kind for kinds in named for kind in kinds))


def _fields() -> dict[str, Field]:
    hints = get_type_hints(Conditions, include_extras=True)
    return {name: each for name, hint in hints.items() for each in get_args(hint) if isinstance(each, Field)}


FIELDS: Final[Mapping[str, Field]] = _fields()
