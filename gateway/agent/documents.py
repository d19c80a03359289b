"""Adapts the gateway's documents of a contract to the agent: its address; no token, signature or certificate.

Invariant: schemas, elements and samples are not changed.
"""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.agent.listener import Reply

_JSON: Final = "application/json"
_JOSE: Final = "application/jose"
# Headers that the agent adds.
_OF_THE_AGENT: Final = frozenset({"Signature-Input", "Signature", "Content-Digest"})
_SECRET: Final = {
    "agentSecret": {"type": "apiKey", "in": "header", "name": "Lgsp-Agent-Secret"},
    "agentBasic": {"type": "http", "scheme": "basic"},
}


def local(document: bytes, base: str, here: str) -> Reply:
    moved = document.replace(base.encode(), here.encode())
    if moved[:1] not in (b"{", b"["):
        return Reply(200, {"content-type": "text/xml; charset=utf-8"}, moved)
    content = json.loads(moved)
    if isinstance(content, dict) and "openapi" in content:
        moved = json.dumps(_plain(_opened(content)), ensure_ascii=False).encode()
    return Reply(200, {"content-type": _JSON}, moved)


def _opened(value: Any) -> Any:
    """The inner content of an encrypted body: at the agent bodies are in clear."""
    if isinstance(value, list):
        return [_opened(each) for each in value]
    if not isinstance(value, dict):
        return value
    inside = value[_JOSE].get("x-lgsp-content", {}) if isinstance(value.get(_JOSE), dict) else {}
    return {
        name: _opened(each)
        for name, each in (inside | {k: v for k, v in value.items() if k != _JOSE} if inside else value).items()
    }


def _plain(openapi: dict[str, Any]) -> dict[str, Any]:
    openapi.setdefault("components", {})["securitySchemes"] = _SECRET
    for path in openapi.get("paths", {}).values():
        for operation in path.values():
            operation["security"] = [{name: []} for name in _SECRET]
            kept = [each for each in operation.get("parameters", ()) if each.get("name") not in _OF_THE_AGENT]
            operation["parameters"] = [
                each | {"required": False} if each.get("name") == "Idempotency-Key" else each for each in kept
            ]
    return openapi
