"""A REST provider: verifies that a call is the gateway's and binds its signed answer to it.

If its contract demands it, bodies are encrypted both ways.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from gateway.sample_client.errors import WrongAnswer, WrongRequest
from gateway.sample_client.fields import BadField, read_string
from gateway.sample_client.httpsig import Message, digest_header, sign_answer, verify_request
from gateway.sample_client.identity import encryption_of
from gateway.sample_client.jose import MEDIA_TYPE, seal, unseal
from gateway.sample_client.jsontext import dump_json
from gateway.sandbox.standins.base import Call, Conflict, Reply, StandIn

NEEDED: Final = ("content-type", "content-digest", "idempotency-key", "lgsp-transfer", "lgsp-caller")


class Refused(Exception):
    """A call of the gateway that cannot be carried out."""

    def __init__(self, status: int, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.status, self.content = status, content


@dataclass(slots=True)
class RestStandIn(StandIn):
    """The checks that every REST provider makes. Subclasses carry out."""

    encrypted: ClassVar[bool] = False  # whether its contract demands encrypted bodies

    @abstractmethod
    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        """Answer one question or accept one message. `number` counts accepted messages."""

    def error(self, code: str, text: str) -> dict[str, Any]:
        """An error in this system's own words."""
        return {"error": code, "message": text}

    def answer(self, call: Call, spoil: bool) -> Reply:
        request = Message(call.headers, call.method, call.target)
        now = self.clock()
        transfer = call.headers.get("lgsp-transfer", "")
        try:
            proof = verify_request(request, call.body, self.identity.keys.by_id, now, needed=NEEDED)
            if not self.replays.first_time(proof.key.thumbprint + hashlib.sha256(proof.base).digest(), now):
                raise WrongRequest("this very request was seen before")
            message = read_string(call.headers["idempotency-key"])
            asked = self._opened(call.body, now) if self.encrypted else call.body
        except (WrongRequest, WrongAnswer, BadField) as wrong:
            # an unauthenticated caller gets an unsigned answer
            self.records.saw(transfer, refused=True)
            body = dump_json(self.error("UNPROVED", str(wrong)))
            return Reply(401, {"content-type": "application/json; charset=utf-8"}, body)

        def work(number: int) -> bytes:
            content = json.loads(asked)
            if call.method != "POST" or not isinstance(content, dict):
                raise Refused(400, self.error("BAD_REQUEST", "POST with a JSON object expected"))
            return dump_json(self.carry_out(call.path, content, number))

        status = 200
        try:
            body = self.records.once(message, asked, work)
        except Refused as no:
            status, body = no.status, dump_json(no.content)
        except Conflict as twice:
            status, body = 409, dump_json(self.error("CONFLICT", str(twice)))
        except ValueError:
            status, body = 400, dump_json(self.error("BAD_REQUEST", "the body is not JSON"))
        self.records.saw(transfer, refused=status >= 400)
        media = "application/json; charset=utf-8"
        if self.encrypted:
            keys = encryption_of(self.identity)
            body, media = (
                seal(body, "application/json", self.identity.signer, keys.gateway_key_id, keys.gateway),
                MEDIA_TYPE,
            )
        headers = {"content-type": media, "content-digest": digest_header(body)}
        headers |= sign_answer(Message(headers, status=status, request=request), self.identity.signer, created=int(now))
        return Reply(status, headers, body[:-1] + b" " + body[-1:] if spoil else body)

    def _opened(self, body: bytes, now: float) -> bytes:
        keys = encryption_of(self.identity)
        return unseal(body, keys.key_id, keys.key, self.identity.keys.by_id, now)[0]


__all__ = ["NEEDED", "Refused", "RestStandIn"]
