"""The SOAP door: an envelope of SOAP 1.1 or 1.2 to a message and back, in the caller's version (docs/wire.md, SOAP).

The operation is known only from the verified Body: never from SOAPAction or `action`, which nobody signs, and never from a node that the signature
does not cover. Where the contract demands it, bodies are encrypted both ways: a request is decrypted first, and verified as it was signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lxml import etree

from contracts.base.errors import Failure
from contracts.base.ids import new_id
from contracts.canonical.model import Contract
from contracts.errors import SOAP_NOT_UNDERSTOOD
from contracts.wire import faults
from contracts.wire import soap as wire
from contracts.wire.headers import media_type
from gateway.doors.encryption import answers_for, demand_key
from gateway.doors.errors import (
    BODY_MEDIA_TYPE,
    CHANNEL_MISMATCH,
    REQUEST_NO_MESSAGE_ID,
    SOAP_ACTION,
    SOAP_NOT_FOR_US,
    SOAP_REPLY_ELSEWHERE,
    SOAP_UNKNOWN_BODY,
)
from gateway.doors.reply import Reply
from gateway.journal.write import ReplayKey
from gateway.transfer.stages import Addressed, Answered, Authenticated, Authorised, Message, Receipt, Refused, Requested
from security.errors import BODY_ENCRYPTION_UNEXPECTED, BODY_NOT_ENCRYPTED
from security.keys import SigningKey
from security.wssec import verify
from security.wssec.decrypt import BodyKeys, Opened, decrypt_envelope, is_encrypted
from security.wssec.encrypt import blinded, encrypt_envelope

MEDIA_TYPE: Final = "text/xml; charset=utf-8"
ID_MAX: Final = 256  # characters of a wsa:MessageID
_VERSIONS: Final = {"text/xml": wire.V11, "application/xml": wire.V11, "application/soap+xml": wire.V12}
_ACTION: Final = re.compile(r';\s*action\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)


@dataclass(slots=True)
class SoapDoor:
    signing_key: SigningKey
    body_keys: BodyKeys
    checkpoint: Callable[[], str]
    clock: Callable[[], float]

    # --- in -----------------------------------------------------------------------------------------------------------

    def authenticate(self, addressed: Addressed) -> Authenticated:
        received, system = addressed.received, addressed.channel.system
        media = media_type(received.headers)
        version = _VERSIONS.get(media)
        if version is None:
            raise BODY_MEDIA_TYPE(got=media or "—", expected=f"{MEDIA_TYPE}, {wire.V12.media_type}; charset=utf-8")
        opened = self._opened(addressed.contract.contract, wire.parse_envelope(received.body, version))
        envelope = verify.verify_envelope(opened.root, received.snapshot.key_by_thumbprint, received.at)
        if envelope.key.system != system.id:
            raise CHANNEL_MISMATCH(channel=system.id, other=envelope.key.system, other_kind="signature")
        return Authenticated(
            addressed=addressed,
            key=envelope.key,
            replay=ReplayKey(envelope.replay_key, envelope.expires),
            payload_digest=envelope.payload_digest,
            proof=envelope,
            reply_to=envelope.message_id,
            opened=opened.raw,
        )

    def _opened(self, contract: Contract, root: etree._Element) -> Opened:
        """The envelope as it was signed; encrypted exactly where the contract says so."""
        hidden = is_encrypted(root)
        if contract.protection == "signed":
            if hidden:
                raise BODY_ENCRYPTION_UNEXPECTED(contract=contract.name, got="xenc:EncryptedData")
            return Opened(b"", root)
        if not hidden:
            raise BODY_NOT_ENCRYPTED(contract=contract.name, expected="xenc:EncryptedData", got="soap:Body")
        return decrypt_envelope(root, self.body_keys)

    def request(self, authenticated: Authenticated) -> Requested:
        received, addressed = authenticated.received, authenticated.addressed
        envelope: verify.VerifiedEnvelope = authenticated.proof
        contract = addressed.contract.contract
        demand_key(contract, addressed.snapshot, authenticated.caller, received.at, soap=True)
        _check_understood(envelope)
        _check_reply(envelope)
        if envelope.to is not None and envelope.to != received.target_uri:
            raise SOAP_NOT_FOR_US(got=envelope.to, expected=received.target_uri)
        action = _action(received.headers, envelope.version)
        if action and action != envelope.action:
            raise SOAP_ACTION(got=action, signed=envelope.action)
        operation, request, content = self._operation(authenticated, envelope)
        if len(envelope.message_id) > ID_MAX:
            raise REQUEST_NO_MESSAGE_ID(operation=operation, header=f"wsa:MessageID (1–{ID_MAX})")
        return Requested(authenticated, envelope.message_id, contract.operations[operation], request, content)

    def _operation(self, authenticated: Authenticated, envelope: verify.VerifiedEnvelope) -> tuple[str, str, object]:
        addressed = authenticated.addressed
        codec = addressed.snapshot.codec(authenticated.caller, addressed.contract)
        children = [child for child in envelope.body if isinstance(child.tag, str)]
        tag = children[0].tag if len(children) == 1 else f"{len(children)} elements"
        found = codec.soap_roots.get(tag)
        if found is None:
            raise SOAP_UNKNOWN_BODY(
                element=tag,
                format=codec.name,
                contract=addressed.contract.contract.name,
                expected=", ".join(sorted(codec.soap_roots)) or "—",
                wsdl=addressed.received.target_uri + "?wsdl",
            )
        return found[0], found[1], children[0]

    def job(self, authorised: Authorised) -> None:
        """None for the reader: an element is not sent to another process, and libxml2 lets go of the interpreter's lock."""

    def decode(self, authorised: Authorised) -> Message:
        who = authorised.requested
        return who.codec.read_xml(who.request, who.content, who.received.at)

    # --- out ----------------------------------------------------------------------------------------------------------

    def render(self, ended: Answered | Refused) -> Reply:
        if isinstance(ended, Refused):
            if ended.authenticated is None:
                return self.unproven(ended.failure, ended.receipt.transfer, ended.received.headers)
            return self._fault(ended.failure, ended.receipt, ended.authenticated)
        who = ended.requested
        if ended.failure is not None:
            return self._fault(ended.failure, ended.receipt, who.authenticated)
        action = who.codec.soap_action(who.operation.name)
        if ended.queued:
            body = faults.queued(ended.receipt.transfer)
            return self._signed(202, body, f"{action}:queued", ended.receipt, who.authenticated)
        assert ended.answer is not None
        body = who.codec.write_xml(who.operation.answer, ended.answer, wrapper=f"{who.operation.name}Response")
        return self._signed(200, body, f"{action}Response", ended.receipt, who.authenticated)

    def _fault(self, failure: Failure, receipt: Receipt, who: Authenticated) -> Reply:
        version = who.proof.version
        body = faults.fault(failure, receipt.transfer, version)
        return self._signed(faults.status(failure, version), body, faults.ACTION, receipt, who)

    def unproven(self, failure: Failure, transfer: str, headers: Mapping[str, str]) -> Reply:
        """A Fault for a caller who proved nothing: unsigned, in the version of its media type."""
        version = _VERSIONS.get(media_type(headers), wire.V11)
        sent = {"content-type": f"{version.media_type}; charset=utf-8"} | (
            {"lgsp-transfer": transfer} if transfer else {}
        )
        return Reply(
            faults.status(failure, version),
            sent,
            wire.plain_envelope(faults.fault(failure, transfer, version), version),
        )

    def _signed(self, status: int, body: bytes, action: str, receipt: Receipt, who: Authenticated) -> Reply:
        version: wire.Version = who.proof.version
        addressed = who.addressed
        receiver = answers_for(addressed.contract.contract, addressed.snapshot, who.caller, who.received.at, soap=True)
        envelope = verify.sign_envelope(
            body if receiver is None else blinded(body),
            self.signing_key,
            self.clock(),
            action=action,
            message_id=f"urn:uuid:{new_id()}",
            relates_to=who.reply_to,
            blocks=(verify.receipt_block(receipt.transfer, _leaves(receipt), self.checkpoint()),),
            version=version,
        )
        if receiver is not None:
            envelope = encrypt_envelope(envelope, receiver, version)
        media = MEDIA_TYPE if version is wire.V11 else f'{version.media_type}; charset=utf-8; action="{action}"'
        return Reply(status, {"content-type": media, "lgsp-transfer": receipt.transfer}, envelope)


def _action(headers: Mapping[str, str], version: wire.Version) -> str:
    """What the HTTP headers claim: SOAPAction, or the parameter of the media type (RFC 3902)."""
    if version is wire.V11:
        return headers.get("soapaction", "").strip().strip('"')
    found = _ACTION.search(headers.get("content-type", ""))
    return "" if found is None else found[1] or found[2] or ""


def _check_understood(envelope: verify.VerifiedEnvelope) -> None:
    """Whoever demands of us that a header block be understood must not be served as if it had been (SOAP 1.1 §4.2.3, 1.2 Part 1 §5.2)."""
    version = envelope.version
    root = envelope.body.getparent()
    for block in root if root is not None else ():
        for each in block if block.tag == version.header else ():
            if (
                each.tag != wire.SECURITY
                and each.tag not in envelope.headers
                and each.get(version.must_understand, "0").strip() in ("1", "true")
                and each.get(version.role, "").strip() in version.ours
            ):
                raise SOAP_NOT_UNDERSTOOD(block=str(each.tag)[:200])


def _check_reply(envelope: verify.VerifiedEnvelope) -> None:
    """The answer goes back on the connection (WS-Addressing 1.0 Core §2.1, anonymous): nobody makes the gateway call an address of theirs."""
    for name in ("ReplyTo", "FaultTo"):
        block = envelope.headers.get(f"{{{wire.WSA}}}{name}")
        address = "" if block is None else (block.findtext(f"{{{wire.WSA}}}Address") or "").strip()
        if block is not None and address not in (f"{wire.WSA}/anonymous", f"{wire.WSA}/none"):
            raise SOAP_REPLY_ELSEWHERE(header=f"wsa:{name}", expected=f"{wire.WSA}/anonymous")


def _leaves(receipt: Receipt) -> list[tuple[str, bytes]]:
    named = (("Intent", receipt.intent), ("Outcome", receipt.outcome), ("Refusal", receipt.refusal))
    return [(name, leaf) for name, leaf in named if leaf is not None]
