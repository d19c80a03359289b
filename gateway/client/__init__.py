"""The client kit: what a component system needs to talk with the gateway (docs/client.md, docs/wire.md).

    from gateway.client import Client, Identity

    with Client(Identity.load("identities/phan-anh")) as client:
        answer = client.rest("POST", "/field-report/v1/requests", report, message_id="PA-2026-0117")
        print(answer.json(), answer.receipt)

It opens mutual TLS, fetches and renews the token, signs each request, believes an answer only after the gateway's signature over it and
over our very request held, and is a witness of the audit log: it keeps the newest checkpoint and objects to a log that takes anything back.

Imports `security/` and `contracts/` of the house and nothing else, so that it can be installed without the gateway.
Invariant: a call ends with an `Answer` that the gateway proved, or with a `ClientError` that says who can mend it.
"""

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
from gateway.client.feeds import FeedPage
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
]
