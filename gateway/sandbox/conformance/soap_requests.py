"""Envelopes as the gateway makes them, and with one thing wrong each (`change` of `rules.yaml`)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

from lxml import etree

from contracts.compiled.contract import Codec
from gateway.sample_client.wscrypt import encrypt, salt
from gateway.sample_client.wssec import (
    DS,
    ID,
    LGSP,
    MAX_LIFETIME,
    SOAP,
    SOAP12,
    Element,
    Scope,
    new_envelope,
    parse,
    serialise,
    sign,
)
from gateway.sandbox.conformance.cases import Case
from gateway.sandbox.conformance.exchange import GatewayKeys, Prepared, Target, foreign_receiver, other_signer
from security.http_signatures import HttpRequest

_HOUR: Final = 3600
_DAY: Final = 86_400
_UNCOVERED: Final = {"body-uncovered": ("body",), "caller-uncovered": ("caller",)}
_TIMES: Final = {"old": -_HOUR, "future": _HOUR}


@dataclass(frozen=True, slots=True)
class Soap:
    """Makes the request of a case. `encrypted`: whether the contract demands encrypted bodies."""

    keys: GatewayKeys
    target: Target
    codec: Codec
    encrypted: bool

    def prepare(self, case: Case, transfer: str, now: float, content: bytes | None = None) -> Prepared:
        """`content` instead of the case's own."""
        change, sent = case.rule.change, case.content if content is None else content
        version = self.target.endpoint.options.get("version", "1.1")
        soap = SOAP if version == "1.1" else SOAP12
        url, message_id = self.target.endpoint.url, f"urn:uuid:{transfer}"
        action = self.codec.soap_action(case.operation)
        root = self._signed(change, sent, soap, action, message_id, now)
        _after(change, root, soap)
        if self.encrypted and change != "clear-body":
            receiver = self.target.receiver
            if receiver is None or change == "foreign-receiver":
                receiver = foreign_receiver()
            root = encrypt(parse(serialise(root), large=True), receiver)
        body = serialise(root)
        if change == "doctype":
            body = body.replace(b"?>", b"?><!DOCTYPE Envelope>", 1)
        named = f"{action}-khac" if change == "action-differs" else action
        if soap == SOAP:
            headers = {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{named}"', "accept": "text/xml"}
        else:
            media = "application/soap+xml"
            headers = {"content-type": f'{media}; charset=utf-8; action="{named}"', "accept": media}
        headers |= {"accept-encoding": "identity", "lgsp-transfer": transfer}
        request = HttpRequest("POST", url, headers, body)
        return Prepared(request, message_id, change == "replayed", change != "no-certificate")

    def _signed(self, change: str, content: bytes, soap: str, action: str, message_id: str, now: float) -> Element:
        root = new_envelope(parse(content, large=True), soap)
        if self.encrypted:
            salt(root[1])
        caller = etree.Element(f"{{{LGSP}}}Caller", nsmap={"lgsp": LGSP})
        caller.text = self.target.caller
        caller.set(ID, "caller")
        url = "https://khac.example/soap" if change == "other-address" else self.target.endpoint.url
        headers = [("Action", "action", action), ("MessageID", "message-id", message_id), ("To", "to", url)]
        life = _DAY if change == "long-lived" else MAX_LIFETIME
        done = sign(
            root,
            other_signer(self.keys.signer()) if change == "other-key" else self.keys.signer(),
            headers=headers,
            now=now + _TIMES.get(change, 0),
            blocks=[caller],
            scope=Scope(life, _UNCOVERED.get(change, ())),
        )
        if change == "unsigned":
            signature = next(done.iter(f"{{{DS}}}Signature"))
            done[0][-1].remove(signature)
        return done


def _after(change: str, root: Element, soap: str) -> None:
    """What is changed after signing."""
    body = root.find(f"{{{soap}}}Body")
    assert body is not None
    if change == "wrong-signature":
        value = next(root.iter(f"{{{DS}}}SignatureValue"))
        text = value.text or ""
        at = len(text) // 2
        value.text = text[:at] + ("B" if text[at] != "B" else "C") + text[at + 1 :]
    elif change == "body-changed":
        body[0].tail = "\n"  # the message stays valid
    elif change == "caller-changed":
        caller = next(root.iter(f"{{{LGSP}}}Caller"))
        caller.text = f"{caller.text}-khac"
    elif change == "wrapped":
        moved = copy.deepcopy(body)
        holder = etree.SubElement(root[0], "{urn:conformance}Holder")
        holder.append(moved)
        body.attrib.pop(ID)
        body.set(ID, "body-2")
