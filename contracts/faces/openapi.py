"""OpenAPI 3.0.3 of a contract's REST operations: parameters, bodies, problems, security, examples.

The canonical face and the face of a foreign JSON format differ only in the message schemas and samples.
The problem answers are those of the door for this kind of operation, in RFC 9457 form with our members.
OpenAPI cannot describe the content of an encrypted body: `application/jose` has `x-lgsp-content`, a content map of the
signed content.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from contracts.canonical.model import Operation, Pattern, Sample
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.jsonschema import foreign_definitions
from contracts.faces.identities import declared
from contracts.faces.schema import definitions
from contracts.wire.jsontext import read_json

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
JOSE: Final = "application/jose"
_SCHEMAS: Final = "#/components/schemas/"

_PROBLEMS: Final[Mapping[int, str]] = {
    400: "The request cannot be read: not JSON, a digest or a signature header out of form",
    401: "Token, certificate or signature missing, unknown, expired or wrong",
    403: "No grant for this operation; the answer names whom to ask",
    404: "No such address, or no route for this message",
    405: "Another method is needed",
    406: "The answer cannot be given in a form that the caller accepts",
    409: "The same id with another body, a replayed signature, or the first is still in progress",
    413: "The body is over the limit",
    415: "Another media type is needed",
    422: "The message does not keep to its contract; findings name each place",
    429: "Too many requests; Retry-After says when",
    500: "Trouble of ours",
    502: "The component system behind the gateway answered wrongly",
    503: "Not ready, or the component system is suspended or down",
    504: "The component system did not answer in time",
}


def openapi(compiled: CompiledContract, base: str, format_name: str = "canonical") -> dict[str, Any]:
    """The document as JSON values. `base` is the public base address; addresses are the same in every format."""
    contract = compiled.contract
    face = _Face(compiled, format_name)
    document: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {
            "title": f"{contract.title.vi} / {contract.title.en}",
            "description": f"{contract.description.vi}\n\n{contract.description.en}\n\n"
            + "\n".join(f"- {each}" for each in contract.legal_basis),
            "version": contract.version,
        },
        "servers": [{"url": f"{base.rstrip('/')}/{contract.name}"}],
        "tags": [{"name": contract.name, "description": contract.title.en}],
        "paths": face.paths(),
        "components": {
            "schemas": {**face.schemas, "Problem": _PROBLEM_SCHEMA, "Queued": _QUEUED_SCHEMA},
            "headers": _HEADERS,
            "responses": {f"Problem{status}": face.problem(words) for status, words in _PROBLEMS.items()},
            "securitySchemes": {
                "boundToken": {
                    "type": "oauth2",
                    "description": "private_key_jwt (RFC 7523), bound to the client certificate (RFC 8705); requests "
                    "signed by RFC 9421.",
                    "flows": {"clientCredentials": {"tokenUrl": f"{base.rstrip('/')}/oauth/token", "scopes": {}}},
                }
            },
        },
    }
    floats: dict[str, Any] = _floats(document)
    return floats


class _Face:
    """The operations in one format."""

    def __init__(self, compiled: CompiledContract, format_name: str) -> None:
        self._compiled, self._format = compiled, format_name
        self._codec = compiled.codec(format_name)
        self._mapped = self._codec.mapped
        if format_name == "canonical":
            self.schemas = definitions(compiled, _SCHEMAS, True)
        else:
            self.schemas = foreign_definitions(compiled, format_name, _SCHEMAS)

    def paths(self) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        for op in self._compiled.contract.operations.values():
            paths.setdefault(op.path, {})[op.method.lower()] = self._operation(op)
        return paths

    def _operation(self, op: Operation) -> dict[str, Any]:
        operation: dict[str, Any] = {
            "operationId": op.name,
            "summary": f"{op.title.vi} / {op.title.en}",
            "tags": [self._compiled.contract.name],
            **declared(op),
            "security": [{"boundToken": []}],
            "parameters": [*_signature_parameters(op), *(self._query(op) if op.method == "GET" else [])],
        }
        if op.method == "POST":
            operation["requestBody"] = {"required": True, "content": self._media(self._body(op.request))}
        answer = {
            "description": "The answer, signed by the gateway (tag lgsp-answer)",
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS},
            "content": self._media({JSON: self._content(op.answer)}),
        }
        responses: dict[str, Any] = {"200": answer}
        if op.pattern is Pattern.DISPATCH:
            responses["202"] = {
                "description": "`queued`: the component system is down, the message is kept and will be sent again. "
                "`accepted`: the competent agency has no system, it handles the message on its page",
                "headers": answer["headers"],
                "content": self._media({JSON: {"schema": {"$ref": f"{_SCHEMAS}Queued"}}}),
            }
        for status in _PROBLEMS:
            if status == 415 and op.method == "GET" or status in (502, 504) and op.pattern is Pattern.SUBMIT:
                continue
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        operation["responses"] = responses
        return operation

    def problem(self, words: str) -> dict[str, Any]:
        """Encrypted for authenticated callers with a key, in clear for others."""
        clear = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        return {
            "description": words,
            "headers": {"Lgsp-Transfer": {"$ref": "#/components/headers/Lgsp-Transfer"}},
            "content": {**self._media(clear), **clear},
        }

    def _media(self, clear: dict[str, Any]) -> dict[str, Any]:
        """The content map of a body as sent."""
        if self._compiled.contract.protection == "signed":
            return clear
        return {JOSE: {"schema": {"type": "string", "description": _ENCRYPTED}, "x-lgsp-content": clear}}

    def _body(self, message: str) -> dict[str, Any]:
        media, content = self._codec.json_type(message), self._content(message)
        if media != JSON:  # members within members: a[b]=1; lists: a[]=1
            nested = [
                name for name, each in self.schemas[message]["properties"].items() if each.get("type") == "object"
            ]
            content |= (
                {"encoding": {name: {"style": "deepObject", "explode": True} for name in nested}} if nested else {}
            )
        return {media: content}

    def _content(self, message: str) -> dict[str, Any]:
        examples = {f"{each.format}-{each.name}": {"value": value} for each, value in self._samples(message)}
        return {"schema": {"$ref": f"{_SCHEMAS}{message}"}, **({"examples": examples} if examples else {})}

    def _samples(self, message: str) -> list[tuple[Sample, Any]]:
        """Mapped messages in the format's own form, others in canonical form, whatever the format of the sample."""
        named = [each for each in self._compiled.samples if each.message == message]
        if message in self._mapped:
            return [(each, self._codec.parsed(message, each.raw)) for each in named if each.format == self._format]
        return [(each, read_json(each.canonical)) for each in named]

    def _query(self, op: Operation) -> list[dict[str, Any]]:
        schema = self.schemas[op.request]
        sample: Any = next((value for _, value in self._samples(op.request)), {})
        parameters = []
        for name, property_ in schema["properties"].items():
            property_schema = {**property_}
            words = [property_schema.pop(word) for word in ("title", "description") if word in property_schema]
            parameter: dict[str, Any] = {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "schema": property_schema,
            }
            if words:
                parameter["description"] = ". ".join(words)
            if name in sample:
                parameter["example"] = sample[name]
            parameters.append(parameter)
        return parameters


def _signature_parameters(op: Operation) -> list[dict[str, Any]]:
    named = [
        (
            "Signature-Input",
            True,
            'RFC 9421: sig1=(…);created;expires;nonce;keyid;tag="lgsp-request"',
            {"type": "string"},
        ),
        ("Signature", True, "RFC 9421: sig1=:…:", {"type": "string"}),
    ]
    if op.method == "POST":
        named.insert(
            0,
            (
                "Content-Digest",
                True,
                "RFC 9530: sha-256=:…:",
                {"type": "string", "pattern": "sha-256=:[A-Za-z0-9+/=]+:"},
            ),
        )
        needed = op.pattern is not Pattern.QUERY
        named.insert(
            0,
            (
                "Idempotency-Key",
                needed,
                "Id of the message, a structured-field string: repeat it to repeat the message",
                {"type": "string", "pattern": '^"[!#-\\[\\]-~]{1,128}"$'},
            ),
        )
    return [
        {"name": name, "in": "header", "required": required, "description": words, "schema": schema}
        for name, required, words, schema in named
    ]


def _floats(value: Any) -> Any:
    """Converts decimals for json.dumps. Only documentation is written this way, so that rounding does no harm."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


_ENCRYPTED: Final = (
    "JWS in JWE, both compact: signed with the sender's signing key (alg as docs/wire.md lists; cty is "
    "the media type of what is signed), then encrypted for the receiver's encryption key (RSA-OAEP-256 or "
    "ECDH-ES+A256KW, A256GCM; cty JWS). See docs/wire.md, Encrypted bodies."
)

_HEADERS: Final[dict[str, Any]] = {
    "Lgsp-Transfer": {"description": "Id of the transfer", "schema": {"type": "string"}},
    "Lgsp-Receipt": {
        "description": "Leaf hashes of the log entries of this transfer (RFC 6962)",
        "schema": {"type": "string"},
    },
    "Lgsp-Checkpoint": {
        "description": "The newest checkpoint of the audit log, a signed note in base64",
        "schema": {"type": "string"},
    },
}

_WORDS: Final = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "detail": {"type": "string"}, "next": {"type": "string"}},
}

_QUEUED_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Đã nhận, chưa có trả lời",
    "description": "The message is kept; its status can be asked for.",
    "properties": {
        "transfer": {"type": "string"},
        "state": {"type": "string", "enum": ["queued", "accepted"]},
        "status": {"type": "string"},
    },
    "required": ["transfer"],
}

_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Vấn đề",
    "description": "RFC 9457, with the members of docs/wire.md.",
    "properties": {
        "type": {"type": "string", "pattern": "^urn:lgsp:problem:"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "next": {"type": "string"},
        "transfer": {"type": "string", "nullable": True},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("here", "canonical", "got", "rule", "expected")},
            },
        },
        "messages": {"type": "object", "properties": {"vi": _WORDS, "en": _WORDS}},
    },
    "required": ["type", "title", "status", "detail", "code"],
}
