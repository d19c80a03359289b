"""A SOAP provider, 1.1 and 1.2: verifies that an envelope is the gateway's and relates its signed answer to it.

If its contract demands it, bodies are encrypted both ways. An unauthenticated caller gets an unsigned Fault.
Invariant: one wsa:MessageID is carried out once; a repeat gets the same Body.
"""

from __future__ import annotations

import re
import uuid
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree

from gateway.sample_client.errors import BadIdentity
from gateway.sample_client.identity import encryption_of
from gateway.sample_client.wscrypt import decrypt, encrypt, is_encrypted, salt
from gateway.sample_client.wssec import (
    LGSP,
    SOAP,
    SOAP12,
    WSA,
    BadEnvelope,
    Element,
    Verified,
    canonical,
    new_envelope,
    parse,
    serialise,
    sign,
    soap_of,
    verify,
)
from gateway.sandbox.simulation.faults import Fault
from gateway.sandbox.standins.base import Call, Conflict, Reply, StandIn
from gateway.sandbox.standins.other_keys import signer_for
from gateway.sandbox.standins.rest_base import STRICT
from gateway.sandbox.standins.spoiling import altered, cut, xml_of_wrong_type

_HOUR: Final = 3600
_ACTION: Final = re.compile(r';\s*action\s*=\s*"([^"]*)"', re.IGNORECASE)
_MEDIA: Final = {SOAP: "text/xml; charset=utf-8", SOAP12: "application/soap+xml; charset=utf-8"}


class NotTaken(Exception):
    """A message that is not accepted, and why, for people."""


@dataclass(slots=True)
class SoapStandIn(StandIn):
    """The checks that every SOAP provider makes. Subclasses carry out."""

    @abstractmethod
    def take_in(self, call: Call, content: Element, action: str, number: int) -> bytes:
        """The canonical XML of the answer. `number` counts accepted messages. Raises NotTaken."""

    def encrypts(self, call: Call, action: str) -> bool | None:
        """Whether the body must have been encrypted; None if this system does not know."""
        return None

    def misspelt(self, call: Call, body: bytes) -> bytes:
        """The answer with a code that no table has. Without knowledge of the codes: a field of another type."""
        return xml_of_wrong_type(body)

    def answer(self, call: Call, fault: Fault) -> Reply:
        now, soap = self.clock(), SOAP
        try:
            root = parse(call.body)
            soap = soap_of(root)
            hidden = is_encrypted(root)
            if hidden:
                root = self._decrypted(root)
            verified = verify(root, self.identity.keys.by_thumbprint, now)
            element, message, action = self._addressed(call, verified, now)
            call = replace(call, headers={**call.headers, "lgsp-caller": verified.text(LGSP, "Caller") or ""})
            if fault.kind == "strict" and now - verified.created > STRICT:
                raise BadEnvelope(f"signed {now - verified.created:.0f} s ago, and this system takes {STRICT:.0f}")
        except BadEnvelope as wrong:
            self.records.saw("", refused=True)
            envelope = serialise(new_envelope(_fault("Client", str(wrong), soap), soap))
            return Reply(500, {"content-type": _MEDIA[soap]}, envelope)

        status = 200
        try:
            if fault.kind == "strict" and (why := self.too_lax(message, canonical(element))):
                raise NotTaken(why)
            if self.encrypts(call, action) not in (None, hidden):
                raise NotTaken("The contract wants the body the other way: encrypted, or in clear.")
            content = self.records.once(
                message, canonical(element), lambda number: self.take_in(call, element, action, number)
            )
        except (NotTaken, Conflict) as no:
            content, status = canonical(_fault("Client", str(no), soap)), 500
        self.records.saw(message.removeprefix("urn:uuid:"), refused=status >= 400)
        if status == 200 and fault.kind in ("wrong-type", "wrong-code"):
            content = xml_of_wrong_type(content) if fault.kind == "wrong-type" else self.misspelt(call, content)
        headers = [
            ("Action", "action", f"{action}Response" if status == 200 else f"{WSA}/fault"),
            ("MessageID", "message-id", f"urn:uuid:{uuid.uuid4()}"),
            ("RelatesTo", "relates-to", message),
        ]
        answer = new_envelope(parse(content, large=True), soap)
        if hidden:
            salt(answer[1])
        created = now - (_HOUR if fault.kind == "clock-off" else 0)
        signed = sign(answer, signer_for(fault.kind, self.identity.signer), headers=headers, now=created)
        if fault.kind == "bad-signature":
            altered(signed, soap)
        if hidden:
            signed = encrypt(parse(serialise(signed), large=True), encryption_of(self.identity).gateway)
        raw = serialise(signed)
        body = cut(raw) if fault.kind == "malformed" else raw
        return Reply(status, {"content-type": _MEDIA[soap]}, body, call.headers["lgsp-caller"])

    def _addressed(self, call: Call, verified: Verified, now: float) -> tuple[Element, str, str]:
        """The element of the Body, message id and action of an envelope that is for this system."""
        message, action = verified.text(WSA, "MessageID") or "", verified.text(WSA, "Action") or ""
        caller, to = verified.text(LGSP, "Caller") or "", verified.text(WSA, "To")
        if not message.startswith("urn:uuid:") or "/" not in caller or verified.body is None:
            raise BadEnvelope("wsa:MessageID, lgsp:Caller or the Body's element is missing")
        named = _ACTION.search(call.headers.get("content-type", ""))  # SOAP 1.2
        if (named[1] if named else call.headers.get("soapaction", "").strip('"')) != action:
            raise BadEnvelope("SOAPAction and wsa:Action differ")
        if to is not None and to.startswith("https://") and not self.is_ours(to):
            raise BadEnvelope("wsa:To is not an address of this system")
        if not self.replays.first_time(verified.replay_key, now):
            raise BadEnvelope("this very message was seen before")
        return verified.body, message, action

    def _decrypted(self, root: Element) -> Element:
        try:
            keys = encryption_of(self.identity)
        except BadIdentity as missing:
            raise BadEnvelope(str(missing)) from missing
        if not isinstance(keys.key, RSAPrivateKey):
            raise BadEnvelope("XML Encryption is for RSA keys, and this system has none")
        return decrypt(root, keys.key, keys.certificate)


def _fault(code: str, text: str, soap: str) -> Element:
    fault = etree.Element(f"{{{soap}}}Fault", nsmap={"soap": soap})
    if soap == SOAP:
        etree.SubElement(fault, "faultcode").text = f"soap:{code}"
        etree.SubElement(fault, "faultstring").text = text
        return fault
    value = etree.SubElement(etree.SubElement(fault, f"{{{soap}}}Code"), f"{{{soap}}}Value")
    value.text = "soap:Sender" if code == "Client" else "soap:Receiver"
    words = etree.SubElement(etree.SubElement(fault, f"{{{soap}}}Reason"), f"{{{soap}}}Text")
    words.text = text
    words.set("{http://www.w3.org/XML/1998/namespace}lang", "vi")
    return fault


__all__ = ["NotTaken", "SoapStandIn"]
