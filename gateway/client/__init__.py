"""The client kit: what a component system needs to talk with the gateway (docs/client.md, docs/wire.md).

    from gateway.client import Client, Identity

    with Client(Identity.load("identities/phan-anh")) as client:
        answer = client.rest("POST", "/field-report/v1/requests", report, message_id="PA-2026-0117")
        print(answer.json(), answer.receipt)

It opens mutual TLS, fetches and renews the token, and signs each request. It verifies the gateway's signature over each
answer and over the request it answers. It keeps the newest checkpoint of the audit log and reports an inconsistent log.

Of this project it imports only `security/` and `contracts/`, so it can be installed without the gateway.
Invariant: a call ends with an `Answer` that the gateway proved, or with a `ClientError` that names who can fix it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gateway.client.answers import Answer, Receipt
    from gateway.client.audit.proofs import Proof, ProvedEntry
    from gateway.client.client import AsyncClient
    from gateway.client.errors import (
        BadIdentity,
        BadState,
        BadUsage,
        ClientError,
        LogObjection,
        NoConnection,
        NotProven,
        Refused,
        RefusedOurs,
        RefusedPolicy,
        RefusedTheirs,
    )
    from gateway.client.feed_digests import Comparison, Digesting, SealedDigest
    from gateway.client.feeds import FeedEvent, FeedPage
    from gateway.client.files import SentFile
    from gateway.client.identities.identity import Identity
    from gateway.client.sync import Client

__all__ = [
    "Answer",
    "AsyncClient",
    "BadIdentity",
    "BadState",
    "BadUsage",
    "Client",
    "ClientError",
    "Comparison",
    "Digesting",
    "FeedEvent",
    "FeedPage",
    "Identity",
    "LogObjection",
    "NoConnection",
    "NotProven",
    "Proof",
    "ProvedEntry",
    "Receipt",
    "Refused",
    "RefusedOurs",
    "RefusedPolicy",
    "RefusedTheirs",
    "SealedDigest",
    "SentFile",
]
# Loaded when asked for: a door of the gateway needs one module of the kit, not all of it.
_MODULES: Final = {
    "Answer": "answers",
    "AsyncClient": "client",
    "BadIdentity": "errors",
    "BadState": "errors",
    "BadUsage": "errors",
    "Client": "sync",
    "ClientError": "errors",
    "Comparison": "feed_digests",
    "Digesting": "feed_digests",
    "FeedEvent": "feeds",
    "FeedPage": "feeds",
    "Identity": "identities.identity",
    "LogObjection": "errors",
    "NoConnection": "errors",
    "NotProven": "errors",
    "Proof": "audit.proofs",
    "ProvedEntry": "audit.proofs",
    "Receipt": "answers",
    "Refused": "errors",
    "RefusedOurs": "errors",
    "RefusedPolicy": "errors",
    "RefusedTheirs": "errors",
    "SealedDigest": "feed_digests",
    "SentFile": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
