"""Declares what an adapter gets and returns, the same for every kind of component system.

Invariants:
- An adapter knows no contract and no format: it encodes and decodes by the codec that it gets.
- An answer that no key of that very system signed never becomes an `Incoming`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from contracts.canonical.model import Operation
from contracts.compiled.contract import Codec
from contracts.wire.attachments import Spool
from security.encryption_keys import DecryptKey, EncryptKey
from security.keys import SigningKey, VerifyKey

if TYPE_CHECKING:
    import aiohttp

Message = dict[str, Any]
# Of a call in a sandbox: what the called stand-in shall do wrong (docs/sandbox.md). Unsigned; it proves nothing.
FAULT_HEADER: Final = "lgsp-sandbox-fault"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a system is reached. Its keys are that system's own and no other's; `encrypt_keys` are newest first.

    `options` holds those declared options of its kind that differ from their defaults. `ahead`: seconds by which the
    system's clock is ahead, in a sandbox that was told so. What is signed for it, and by it, bears its time.
    """

    system: str
    kind: str
    url: str
    keys_by_id: Mapping[str, VerifyKey] = field(default_factory=dict)
    keys_by_thumbprint: Mapping[str, VerifyKey] = field(default_factory=dict)
    encrypt_keys: tuple[EncryptKey, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class DropRule:
    """What the files of a drop folder are whose names match a pattern such as `*.csv`."""

    match: str
    contract: str
    operation: str
    format: str


@dataclass(frozen=True, slots=True)
class DropFolder:
    """Where a system hands in files: `folder` is below the instance's drop folder. Its writer is that system."""

    folder: str
    rules: tuple[DropRule, ...]


UNTRACED: Final[Mapping[str, str]] = {}


class Outgoing(NamedTuple):
    """One canonical message on its way to a provider."""

    transfer: str
    caller: str  # "agency/system"
    operation: Operation
    codec: Codec
    message: Message
    timeout: float
    encrypted: bool = False  # the contract demands encrypted bodies, there and back
    spool: Spool | None = None  # of large contents, for which the message holds stand-ins
    heavy: bool = False  # the message is written off the event loop
    fault: str = ""  # in a sandbox: the order for its stand-in, as the caller gave it
    trace: Mapping[str, str] = UNTRACED  # headers of the trace (W3C Trace Context); nothing signs them


class Incoming(NamedTuple):
    """The provider's verified answer, canonical, with its evidence: the exact bytes that went out and came back.

    Of encrypted bodies it also holds what the signatures cover, since the keys that decrypt them are not kept.
    """

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
    """The evidence of an `Incoming` or a failure, by the names it has in the vault."""
    return [(part, data) for part, name in _EVIDENCE if (data := getattr(call, name, b""))]


class Adapter(Protocol):
    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        """Raises `ProviderFailure` or `ProviderMissing`."""
        ...


@dataclass(frozen=True, slots=True)
class AdapterServices:
    """What the adapters of a process share. `key` signs for the gateway; `clock` gives Unix seconds."""

    session: aiohttp.ClientSession
    key: SigningKey
    decrypt_keys: Sequence[DecryptKey]
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Option:
    """A key of an endpoint in the registry document: any text, or one of the choices, of which the first is default."""

    name: str
    choices: tuple[str, ...] = ()

    @property
    def default(self) -> str:
        return self.choices[0] if self.choices else ""


MakeAdapter = Callable[[AdapterServices], Adapter]


@dataclass(frozen=True, slots=True)
class AdapterKind:
    """The declaration of a kind of endpoint in the registry document.

    `load` imports the adapter's module and returns its `make`; None for systems that are not called. So the declaration
    alone loads no adapter.
    """

    name: str
    load: Callable[[], MakeAdapter] | None
    scheme: str = "https"  # of its addresses
    options: tuple[Option, ...] = ()
    query: bool = False  # a request of a GET operation is a query string

    @property
    def is_called(self) -> bool:
        return self.load is not None
