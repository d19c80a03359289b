"""A REST provider: verifies that a call is the gateway's and binds its signed answer to it.

If its contract demands it, bodies are encrypted both ways.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gateway.sample_client.errors import WrongAnswer, WrongRequest
from gateway.sample_client.fields import BadField, read_string
from gateway.sample_client.httpsig import Message, digest_header, sign_answer, verify_request
from gateway.sample_client.identity import encryption_of
from gateway.sample_client.jose import MEDIA_TYPE, seal, unseal
from gateway.sample_client.jsontext import dump_json
from gateway.sandbox.simulation.faults import Fault
from gateway.sandbox.standins.base import Call, Conflict, Reply, StandIn
from gateway.sandbox.standins.other_keys import signer_for
from gateway.sandbox.standins.spoiling import cut, json_of_wrong_type

_ALWAYS: Final = ("lgsp-transfer", "lgsp-caller")
NEEDED: Final = ("content-type", "content-digest", "idempotency-key", *_ALWAYS)
STRICT: Final = 10.0  # seconds that a strict system takes a signature for fresh
_HOUR: Final = 3600


class Refused(Exception):
    """A call of the gateway that cannot be carried out."""

    def __init__(self, status: int, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.status, self.content = status, content


@dataclass(slots=True)
class RestStandIn(StandIn):
    """The checks that every REST provider makes. Subclasses carry out."""

    encrypted: ClassVar[bool] = False  # whether its contract demands encrypted bodies

    def encrypts(self, call: Call) -> bool:
        return self.encrypted

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        """Answer one question or accept one message. `number` counts accepted messages."""
        raise Refused(404, self.error("NOT_FOUND", path))

    def perform(self, call: Call, asked: bytes, number: int) -> bytes:
        """The same with the text of the bodies. ValueError for a body that is not JSON."""
        content = json.loads(asked)
        if call.method != "POST" or not isinstance(content, dict):
            raise Refused(400, self.error("BAD_REQUEST", "POST with a JSON object expected"))
        return dump_json(self.carry_out(call.path, content, number))

    def error(self, code: str, text: str) -> dict[str, Any]:
        """An error in this system's own words."""
        return {"error": code, "message": text}

    def misspelt(self, call: Call, body: bytes) -> bytes:
        """The answer with a code that no table has. Without knowledge of the codes: a field of another type."""
        return json_of_wrong_type(body)

    def answer(self, call: Call, fault: Fault) -> Reply:
        request = Message(call.headers, call.method, call.target)
        now = self.clock()
        transfer = call.headers.get("lgsp-transfer", "")
        try:
            needed = _ALWAYS if call.method == "GET" else NEEDED
            proof = verify_request(request, call.body, self.identity.keys.by_id, now, needed=needed)
            if not self.replays.first_time(proof.key.thumbprint + hashlib.sha256(proof.base).digest(), now):
                raise WrongRequest("this very request was seen before")
            message = transfer if call.method == "GET" else read_string(call.headers["idempotency-key"])
            encrypted = self.encrypts(call)
            asked = self._opened(call.body, now) if encrypted else call.body
            if fault.kind == "strict" and now - proof.created > STRICT:
                raise WrongRequest(f"signed {now - proof.created:.0f} s ago, and this system takes {STRICT:.0f}")
        except (WrongRequest, WrongAnswer, BadField) as wrong:
            # an unauthenticated caller gets an unsigned answer
            self.records.saw(transfer, refused=True)
            body = dump_json(self.error("UNPROVED", str(wrong)))
            return Reply(401, {"content-type": "application/json; charset=utf-8"}, body)

        status = 200
        try:
            if fault.kind == "strict" and (why := self.too_lax(message, asked)):
                raise Refused(409, self.error("CONFLICT", why))
            content = asked or call.target.encode()
            body = self.records.once(message, content, lambda number: self.perform(call, asked, number))
        except Refused as no:
            status, body = no.status, dump_json(no.content)
        except Conflict as twice:
            status, body = 409, dump_json(self.error("CONFLICT", str(twice)))
        except ValueError:
            status, body = 400, dump_json(self.error("BAD_REQUEST", "the body is not JSON"))
        self.records.saw(transfer, refused=status >= 400)
        if status == 200:
            body = self._spoilt(call, body, fault)
        media = "application/json; charset=utf-8"
        if encrypted:
            keys = encryption_of(self.identity)
            body, media = (
                seal(body, "application/json", self.identity.signer, keys.gateway_key_id, keys.gateway),
                MEDIA_TYPE,
            )
        headers = {"content-type": media, "content-digest": digest_header(body)}
        created = int(now) - (_HOUR if fault.kind == "clock-off" else 0)
        signer = signer_for(fault.kind, self.identity.signer)
        headers |= sign_answer(Message(headers, status=status, request=request), signer, created=created)
        if fault.kind == "bad-signature":
            body = body[:-1] + b" " + body[-1:]
        return Reply(status, headers, body, call.headers["lgsp-caller"])

    def _spoilt(self, call: Call, body: bytes, fault: Fault) -> bytes:
        if fault.kind == "malformed":
            return cut(body)
        if fault.kind == "wrong-type":
            return json_of_wrong_type(body)
        return self.misspelt(call, body) if fault.kind == "wrong-code" else body

    def _opened(self, body: bytes, now: float) -> bytes:
        keys = encryption_of(self.identity)
        return unseal(body, keys.key_id, keys.key, self.identity.keys.by_id, now)[0]


__all__ = ["NEEDED", "Refused", "RestStandIn"]
