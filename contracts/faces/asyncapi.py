"""AsyncAPI 3.0 of a contract's feed: its address, and the events that come there (CloudEvents 1.0).

The document is about the gateway, which sends the events. They come in pages too: `openapi/feeds.yaml`.
AsyncAPI cannot describe the content of an encrypted event: its message has `x-lgsp-content`, the schema of the content.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from contracts.canonical.model import Kind, Operation, Pattern
from contracts.compiled.contract import CompiledContract
from contracts.faces.schema import definitions

VERSION: Final = "3.0.0"
_SCHEMAS: Final = "#/components/schemas/"
_ENDS: Final = ("handled", "refused", "undelivered", "accepted")
_TEXT: Final = {"type": "string"}
_QUERY: Final = {
    "type": "object",
    "properties": {
        "form": {"type": "string", "enum": ["events"]},
        "after": {"type": "string", "description": "The cursor of the last event received"},
        "agency": {"type": "string", "description": "Only events that these agencies sent, separated by commas"},
        "type": {"type": "string", "description": "Only events that tell this, such as corrected,recalled"},
        "area": {"type": "string", "description": "Only events about these administrative units, by their codes"},
    },
    "required": ["form"],
}
_ATTRIBUTES: Final[dict[str, Any]] = {
    "specversion": {"type": "string", "enum": ["1.0"]},
    "id": {"type": "string", "description": "The transfer that handed the message in"},
    "source": {"type": "string", "description": "urn:lgsp:system:<the system that sent the message>"},
    "subject": {"type": "string", "description": "The business key"},
    "time": {"type": "string", "format": "date-time"},
    "datacontenttype": _TEXT,
    "sequence": {"type": "string", "description": "The offset in the feed"},
    "sequencedtime": {"type": "string", "format": "date-time"},
    "lgspagency": {"type": "string", "description": "The agency of the system"},
    "lgspformat": {"type": "string", "description": "The format that the system is registered with"},
    "lgspbundle": {"type": "string", "description": "The digest of the contract's version in force"},
    "lgspreplaces": {"type": "string", "description": "The events that this one corrects or recalls"},
    "lgspcompleteness": {"type": "string", "description": "Fields with a value of all fields, as 9/14, or unknown"},
    "lgspage": {"type": "string", "description": "Seconds from the time of the content until it was taken in"},
    "lgspfailedrules": {"type": "string", "description": "Rules that the provider's answer broke; none, or unknown"},
    "lgspexpires": {"type": "string", "format": "date-time", "description": "Until when the content holds"},
    "lgspmasked": {"type": "string", "description": "What the reader's grant hides: data, and names of attributes"},
    "lgspprovider": {"type": "string", "description": "The system that a dispatched message went to"},
    "lgspfailure": {"type": "string", "description": "Why a dispatched message was refused or not delivered"},
    "tombstone": {"type": "boolean", "description": "There is no data; tombstonereason says why"},
    "tombstonereason": {"type": "string", "enum": ["retention", "lost", "tampered"]},
    "tombstonetime": {"type": "string", "format": "date-time"},
}


def asyncapi(compiled: CompiledContract, base: str) -> dict[str, Any] | None:
    """The document as JSON values; None for a contract without a feed. `base` is the public base address."""
    contract = compiled.contract
    if not contract.fed:
        return None
    at = urlsplit(base)
    fed = [message for operation in contract.fed for message in operation.fed]
    schemas = definitions(compiled, _SCHEMAS, False, fed)
    messages = {}
    for operation in contract.fed:
        schemas[_event(operation)] = _schema(contract.namespace, operation)
        messages[operation.name] = _message(operation, encrypted=contract.protection == "encrypted")
    server: dict[str, Any] = {
        "host": at.netloc,
        "protocol": "https",
        "description": "Mutual TLS; requests signed by RFC 9421 (docs/wire.md)",
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
    }
    return {
        "asyncapi": VERSION,
        "id": contract.namespace,
        "info": {
            "title": f"{contract.title.vi} / {contract.title.en}",
            "version": contract.version,
            "description": f"{contract.description.vi}\n\n{contract.description.en}",
        },
        "defaultContentType": "application/json",
        "servers": {"gateway": server},
        "channels": {
            "events": {
                "address": f"{at.path.rstrip('/')}/feeds/{contract.name}",
                "description": "Server-sent events; the id of each is the cursor behind it",
                "servers": [{"$ref": "#/servers/gateway"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "sendEvents": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": f"{contract.title.vi} / {contract.title.en}",
                "messages": [{"$ref": f"#/channels/events/messages/{name}"} for name in messages],
                "bindings": {"http": {"method": "GET", "query": _QUERY, "bindingVersion": "0.3.0"}},
            }
        },
        "components": {
            "schemas": schemas,
            "messages": messages,
            "securitySchemes": {
                "certificate": {"type": "X509", "description": "The client certificate of the component system"}
            },
        },
    }


def types(namespace: str, operation: Operation) -> list[str]:
    """The types that the events of an operation can have."""
    name = f"{namespace}:{operation.name}"
    if operation.pattern is Pattern.SUBMIT:
        told = [each.value for each in Kind if each is not Kind.SUBMITTED]
        return [name, *(f"{name}:{each}" for each in (*told, *(("expired",) if operation.event.expires else ())))]
    return [f"{name}:{end}" for end in _ENDS]


def _event(operation: Operation) -> str:
    return f"Event-{operation.name}"


def _message(operation: Operation, *, encrypted: bool) -> dict[str, Any]:
    payload: dict[str, Any] = {"$ref": f"{_SCHEMAS}{_event(operation)}"}
    message: dict[str, Any] = {
        "name": operation.name,
        "title": f"{operation.title.vi} / {operation.title.en}",
        "contentType": "application/cloudevents+json",
        "payload": payload,
    }
    if encrypted:
        text = {"type": "string", "description": "JWS in JWE, for the reader's newest encryption key"}
        message |= {"contentType": "application/jose", "payload": text, "x-lgsp-content": payload}
    return message


def _schema(namespace: str, operation: Operation) -> dict[str, Any]:
    """The CloudEvent. Its data are the message, or request and answer of a dispatched one."""
    refs = [{"$ref": f"{_SCHEMAS}{message}"} for message in operation.fed]
    data: dict[str, Any] = refs[0]
    if len(refs) > 1:
        names = ("request", "answer")
        data = {"type": "object", "properties": dict(zip(names, refs, strict=True)), "required": ["request"]}
    type = {"type": "string", "enum": [*types(namespace, operation), "lgsp:tampered"]}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "sequence", "sequencedtime"],
        "properties": {**_ATTRIBUTES, "type": type, "data": data},
    }
