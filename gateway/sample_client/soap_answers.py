"""SOAP answers of the gateway: decryption, verification, receipts and Faults."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from gateway.sample_client.audit import Receipt
from gateway.sample_client.errors import BadIdentity, WrongAnswer
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.wscrypt import decrypt, is_encrypted
from gateway.sample_client.wssec import LGSP, SOAP12, WSA, BadEnvelope, Element, Verified, is_signed, soap_of, verify

_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP Fault with the problem in its detail."""

    code: str
    text: str
    problem: str
    title: Mapping[str, str]
    detail: Mapping[str, str]
    next: Mapping[str, str]
    transfer: str | None
    findings: Sequence[Mapping[str, str]]

    @classmethod
    def read(cls, element: Element) -> Fault:
        problem = next(element.iter(f"{{{LGSP}}}Problem"), None)

        def words(name: str) -> dict[str, str]:
            items = [] if problem is None else problem.findall(f"{{{LGSP}}}{name}")
            return {item.get(_LANG, ""): (item.text or "").strip() for item in items}

        def text(name: str) -> str | None:
            value = None if problem is None else problem.findtext(f"{{{LGSP}}}{name}")
            return value.strip() if value else None

        new = f"{{{SOAP12}}}"
        code = element.findtext("faultcode") or element.findtext(f"{new}Code/{new}Value") or ""
        reason = element.findtext("faultstring") or element.findtext(f"{new}Reason/{new}Text") or ""
        return cls(
            code=code.strip().rpartition(":")[2],
            text=reason.strip(),
            problem=text("Code") or "",
            title=words("Title"), detail=words("Detail"), next=words("Next"), transfer=text("Transfer"),
            findings=[
                {str(k): str(v) for k, v in item.attrib.items()}
                for item in ([] if problem is None else problem.findall(f"{{{LGSP}}}Finding"))
            ],
        )  # fmt: skip


def receipt_of(verified: Verified) -> tuple[Receipt | None, str | None]:
    """Receipt and checkpoint of the signed lgsp:Receipt header."""
    block = verified.headers.get(f"{{{LGSP}}}Receipt")
    if block is None:
        return None, None

    def value(name: str) -> bytes | None:
        text = (block.findtext(f"{{{LGSP}}}{name}") or "").strip()
        return base64.b64decode(text, validate=True) if text else None

    try:
        note = value("Checkpoint")
        transfer = (block.findtext(f"{{{LGSP}}}Transfer") or "").strip()
        return Receipt(
            transfer, value("Intent"), value("Outcome"), value("Refusal")
        ), None if note is None else note.decode("utf-8")
    except ValueError as wrong:
        raise WrongAnswer(f"the receipt cannot be read: {wrong}") from wrong


def check_answer(root: Element, identity: Identity, message_id: str, now: float) -> Verified | None:
    """Verify an answer's envelope. None for an unsigned Fault; anything else without valid proof raises."""
    if not is_signed(root):
        if fault_in(root) is not None:
            return None
        raise WrongAnswer("an answer that the gateway did not sign")
    try:
        verified = verify(root, identity.keys.by_thumbprint, now)
    except BadEnvelope as wrong:
        raise WrongAnswer(str(wrong)) from wrong
    if verified.text(WSA, "RelatesTo") != message_id:
        raise WrongAnswer("the answer belongs to another request: wsa:RelatesTo is not our message id")
    return verified


def opened(root: Element, identity: Identity) -> tuple[Element, bool]:
    """The envelope as it was signed, and whether it came encrypted."""
    if not is_encrypted(root):
        return root, False
    mine = encryption_of(identity)
    if not isinstance(mine.key, RSAPrivateKey):
        raise BadIdentity(
            "SOAP bodies are encrypted for RSA keys, and encrypt.key is none",
            "Make an RSA key, and ask the operator to enrol its certificate for encryption",
        )
    try:
        return decrypt(root, mine.key, mine.certificate), True
    except BadEnvelope as wrong:
        raise WrongAnswer(str(wrong)) from wrong


def fault_in(root: Element) -> Element | None:
    """The Fault in the Body, if any."""
    soap = soap_of(root)
    return root.find(f"{{{soap}}}Body/{{{soap}}}Fault")
