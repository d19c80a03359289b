"""Tells a sender whose body does not fit its registered format which other format of the contract the body fits.

Invariant: the cost is bounded. Only small bodies are tried, with a few formats, once each; the refusal stays a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

from contracts.base.errors import Failure
from contracts.compiled.contract import Codec, CompiledContract
from contracts.errors import MESSAGE_INVALID, MESSAGE_OTHER_FORMAT, MESSAGE_WRONG_MEDIA, MESSAGE_WRONG_ROOT
from gateway.doors.document_addresses import foreign_faces
from gateway.transfer.stages import Message, Received, Requested

LIMIT: Final = 32_768  # bytes of a body
MOST: Final = 4  # formats
_OF_FORMAT: Final = frozenset({each.code for each in (MESSAGE_INVALID, MESSAGE_WRONG_MEDIA, MESSAGE_WRONG_ROOT)})


def read(requested: Requested, by: Callable[[Codec], Message]) -> Message:
    """What `by` reads with the sender's own format; its failure names another format that fits."""
    try:
        return by(requested.codec)
    except Failure as failure:
        raise explained(requested, failure, by) from None


def explained(requested: Requested, failure: Failure, read: Callable[[Codec], object]) -> Failure:
    """The failure, or `message.other-format` with its findings if `read` succeeds with another format."""
    if failure.code not in _OF_FORMAT or len(requested.received.body) > LIMIT:
        return failure
    contract, own = requested.contract, requested.codec.name
    for codec in islice((each for name, each in contract.formats.items() if name != own), MOST):
        try:
            read(codec)
        except (Failure, LookupError):
            continue
        return _looks_like(contract, own, codec.name, requested.received, failure)
    return failure


def of_root(contract: CompiledContract, own: str, tag: str, received: Received) -> Failure | None:
    """The failure for a SOAP Body whose element belongs to another format of the contract."""
    for name, codec in contract.formats.items():
        if name != own and tag in codec.soap_roots:
            return _looks_like(contract, own, name, received)
    return None


def document(contract: CompiledContract, format_name: str, received: Received) -> str:
    """The address of the WSDL or OpenAPI document of a format."""
    name, base = contract.contract.name, received.target_uri.partition("?")[0].removesuffix(received.path)
    leaf = foreign_faces(contract).get(format_name)
    if leaf is not None:
        return f"{base}/contracts/{name}/formats/{format_name}/{leaf}"
    return f"{base}/soap/{name}?wsdl" if received.face == "soap" else f"{base}/contracts/{name}/openapi.json"


def _looks_like(
    contract: CompiledContract, own: str, other: str, received: Received, failure: Failure | None = None
) -> Failure:
    return MESSAGE_OTHER_FORMAT(
        findings=failure.findings if failure is not None else (),
        contract=contract.contract.name,
        format=own,
        looks=other,
        document=document(contract, own, received),
    )
