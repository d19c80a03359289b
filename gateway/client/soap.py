"""Builds and signs SOAP requests and verifies their answers (docs/wire.md; SOAP 1.1, 1.2, WS-Security 1.1). No network.

Where the contract requires it, the Body is signed, then encrypted, both ways (XML Encryption 1.1).
Invariant: `judge` returns an `Answer` only for an envelope that the gateway signed in relation to this message id.
Invariant: a successful answer in clear to an encrypted request is refused.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from lxml import etree

from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.wire import soap
from contracts.wire.attachments import Spool
from contracts.wire.headers import RESPOND_ASYNC
from contracts.wire.lifting import lift_xml
from gateway.client.answers import ACCEPTED, Answer, Problem, Receipt, element_bytes, unbase64
from gateway.client.errors import CLIENT_IDENTITY, CLIENT_USAGE, NotProven, refused, wrongly_used
from gateway.client.rest import not_proven, why
from gateway.client.transport import RawAnswer
from security.encryption_keys import EncryptKey
from security.keys import SigningKey, VerifyKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope, is_encrypted
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope

VERSIONS: Final[Mapping[str, soap.Version]] = {each.number: each for each in (soap.V11, soap.V12)}
LIFETIME: Final = 60.0
FindKey = Callable[[str], VerifyKey | None]


class Message(NamedTuple):
    """A request before it is signed: the one element of the Body, the WS-Addressing action and message id."""

    url: str
    element: etree._Element
    action: str
    message_id: str
    version: soap.Version = soap.V11
    respond_async: bool = False  # the answer may come later (RFC 7240)


class PreparedSoap(NamedTuple):
    """A signed envelope: valid once."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    message_id: str
    version: soap.Version
    encrypted: bool = False


def new_message_id() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def version_of(number: str) -> soap.Version:
    if number not in VERSIONS:
        raise CLIENT_USAGE(what=f"SOAP {number} ∉ {', '.join(VERSIONS)}")
    return VERSIONS[number]


def content_of(content: bytes) -> etree._Element:
    """The element for the Body, read by the hardened parser; a stylesheet may precede it, as in published alerts.

    Large base64 texts are beside the document while it is read: the parser takes no such texts.
    """
    try:
        if len(content) <= soap.MAX_BYTES:
            return soap.parse_xml(content, published=True)
        spool = Spool(io.BytesIO())
        element = soap.parse_xml(lift_xml(io.BytesIO(content), spool, soap.MAX_BYTES, exact=True), published=True)
    except Failure as failure:
        raise wrongly_used(failure) from None
    for each in element.iter("{*}*"):
        if each.text is not None and spool.mentions(each.text):
            each.text = b"".join(spool.restore(each.text.encode(), parsed=True)).decode()
    return element


def action_of(contract: str, element: etree._Element) -> str:
    """The action of the canonical WSDL, in which a wrapper element has the name of its operation."""
    name, _, version = contract.partition("/")
    return f"urn:lgsp:contract:{name}:{version}:{etree.QName(element).localname}"


def prepare(message: Message, key: SigningKey, now: float, encrypt_for: EncryptKey | None = None) -> PreparedSoap:
    """Sign an envelope, then encrypt its Body for `encrypt_for`. `now` is in Unix seconds."""
    url, element, action, message_id, version, respond_async = message
    body = soap.canonical(element)
    try:
        content = body if encrypt_for is None else blinded(body)
        envelope = sign_envelope(
            content,
            key,
            now,
            EnvelopeHeaders(action=action, message_id=message_id, to=url, lifetime=LIFETIME),
            version=version,
        )
        if encrypt_for is not None:
            envelope = encrypt_envelope(envelope, encrypt_for, version)
    except Failure as failure:  # XML signatures have no Ed25519, XML encryption no EC keys
        raise wrongly_used(failure) from None
    if version is soap.V11:
        headers = {"content-type": soap.MEDIA_TYPE, "soapaction": f'"{action}"'}
    else:
        headers = {"content-type": f'{version.media_type}; charset=utf-8; action="{action}"'}
    headers |= {"accept": version.media_type, "accept-encoding": "identity"}
    if respond_async:
        headers["prefer"] = RESPOND_ASYNC
    return PreparedSoap(
        url=url,
        headers=headers,
        body=envelope,
        message_id=message_id,
        version=version,
        encrypted=encrypt_for is not None,
    )


def judge(
    prepared: PreparedSoap, raw: RawAnswer, find_key: FindKey, now: float, body_keys: BodyKeys | None = None
) -> tuple[Answer, Problem | None]:
    """The proven answer, decrypted, and the problem if it is a Fault.

    Raises `Refused` for an unsigned Fault, `NotProven` for any other unproven answer.
    """
    if "xml" not in raw.headers.get("content-type", ""):
        if raw.status >= 400:
            raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), _unproven(prepared, raw, raw.body))
        raise _not_proven(prepared, raw, "not an envelope")
    try:
        root = soap.parse_envelope(raw.body, prepared.version)
    except Failure as failure:
        raise _not_proven(prepared, raw, why(failure)) from None
    version = prepared.version
    if root.find(f"{version.header}/{soap.SECURITY}") is None:
        fault = root.find(f"{version.body}/{{{version.namespace}}}Fault")
        if fault is not None and raw.status >= 400:  # the gateway does not sign for an unproven caller
            raise refused(Problem.from_fault(raw.status, fault), _unproven(prepared, raw, element_bytes(fault)))
        raise _not_proven(prepared, raw, "not signed")
    hidden = is_encrypted(root)
    if hidden and body_keys is None:
        raise CLIENT_IDENTITY(folder="–", reason="encrypt.key, encrypt.crt ∄")
    if prepared.encrypted and not hidden and raw.status < 400:
        raise _not_proven(prepared, raw, "an answer in clear to an encrypted request")
    try:
        if hidden and body_keys is not None:
            root = decrypt_envelope(root, body_keys).root
        verified = verify_envelope(root, find_key, now)
    except Failure as failure:
        raise _not_proven(prepared, raw, why(failure)) from None
    if verified.relates_to != prepared.message_id:
        raise _not_proven(prepared, raw, "wsa:RelatesTo is not our wsa:MessageID")
    children = [child for child in verified.body if isinstance(child.tag, str)]
    if len(children) != 1:
        raise _not_proven(prepared, raw, f"{len(children)} elements in the Body")
    content = children[0]
    is_fault = content.tag == f"{{{version.namespace}}}Fault"
    # The Body is signed and the status is not: the two must agree.
    taken_in = content.tag in (f"{{{soap.LGSP}}}Queued", ACCEPTED)
    if is_fault != (raw.status >= 400) or taken_in != (raw.status == 202):
        raise _not_proven(prepared, raw, f"the status is {raw.status}, the Body holds {etree.QName(content).localname}")
    try:
        receipt = None if verified.receipt is None else Receipt.from_element(verified.receipt)
        sent = None if verified.receipt is None else verified.receipt.findtext(f"{{{soap.LGSP}}}Checkpoint")
        note = unbase64(sent, "lgsp:Checkpoint").decode("utf-8") if sent else None
    except ValueError as wrong:
        raise _not_proven(prepared, raw, str(wrong)) from None
    answer = Answer(
        status=raw.status,
        headers=raw.headers,
        body=element_bytes(content),
        raw=raw.body,
        proven=True,
        receipt=receipt,
        checkpoint=note,
        message_id=prepared.message_id,
    )
    return answer, Problem.from_fault(raw.status, content) if is_fault else None


def _unproven(prepared: PreparedSoap, raw: RawAnswer, body: bytes) -> Answer:
    return Answer(raw.status, raw.headers, body, raw.body, False, message_id=prepared.message_id)


def _not_proven(prepared: PreparedSoap, raw: RawAnswer, reason: str | Words) -> NotProven:
    return not_proven("POST", prepared.url, raw.status, reason)
