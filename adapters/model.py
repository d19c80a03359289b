"""What an adapter is given and what it gives back; one shape for every kind of component system.

Invariant: an adapter knows no contract and no format. It moves a canonical message through the codec that it is handed, and an answer
that is not signed by a key of that very system never becomes an `Incoming`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

from contracts.canonical.model import Operation
from contracts.compiled.contract import Codec
from security.encryption_keys import EncryptKey
from security.keys import VerifyKey

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a system is reached. `keys_by_id` and `keys_by_thumbprint` hold that system's own signing keys and no other's, `encrypt_keys` those that
    bodies to it are encrypted for, newest first."""

    system: str
    kind: Literal["rest", "soap"]
    url: str
    keys_by_id: Mapping[str, VerifyKey] = field(default_factory=dict)
    keys_by_thumbprint: Mapping[str, VerifyKey] = field(default_factory=dict)
    encrypt_keys: tuple[EncryptKey, ...] = ()
    version: str = "1.1"  # of SOAP, for a system that speaks it


@dataclass(frozen=True, slots=True)
class DropRule:
    """What a file in a drop folder is, by its name: `match` is a pattern such as `*.csv`."""

    match: str
    contract: str
    operation: str
    format: str


@dataclass(frozen=True, slots=True)
class DropFolder:
    """A system that hands in files. `folder` is a name below the instance's own folder of drops; whoever may write there is that system."""

    folder: str
    rules: tuple[DropRule, ...]


class Outgoing(NamedTuple):
    """One canonical message on its way to a provider."""

    transfer: str
    caller: str  # "agency/system"
    operation: Operation
    codec: Codec
    message: Message
    timeout: float
    encrypted: bool = False  # the contract demands encrypted bodies, there and back


class Incoming(NamedTuple):
    """The provider's verified answer, canonical, with what proves it: the exact bytes that went out and came back, and of encrypted bodies what
    the signatures cover, since nobody keeps the keys that open them."""

    answer: Message
    evidence_out: bytes
    evidence_in: bytes
    key_id: str
    status: int
    seconds: float
    opened_out: bytes = b""
    opened_in: bytes = b""


_EVIDENCE: Final = (
    ("forwarded", "evidence_out"),
    ("provider-answer", "evidence_in"),
    ("forwarded-opened", "opened_out"),
    ("provider-answer-opened", "opened_in"),
)


def evidence_of(call: object) -> list[tuple[str, bytes]]:
    """What a call leaves behind, be it an `Incoming` or a failure, by the names it has in the vault."""
    return [(part, data) for part, name in _EVIDENCE if (data := getattr(call, name, b""))]


class Adapter(Protocol):
    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        """Raises `ProviderFailure` or `ProviderMissing`."""
        ...
