"""The SOAP 1.1 door: an envelope to a message and back (docs/wire.md, SOAP).

The operation is known only from the verified Body: never from SOAPAction, which nobody signs, and never from a node that the signature
does not cover.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from contracts.base.errors import Failure, Policy, Theirs
from contracts.base.ids import new_id
from contracts.wire import soap as wire
from gateway.doors import faults
from gateway.doors.channel import identify
from gateway.doors.reply import Reply
from gateway.exchange.stages import Addressed, Answered, Authenticated, Authorised, Message, Receipt, Refused, Requested
from gateway.journal.write import ReplayKey
from security import wssec
from security.keys import SigningKey

MEDIA_TYPE: Final = "text/xml; charset=utf-8"
_MUST_UNDERSTAND: Final = f"{{{wire.SOAP}}}mustUnderstand"
ID_MAX: Final = 256  # characters of a wsa:MessageID
_ACCEPTED_MEDIA: Final = ("text/xml", "application/xml")


@dataclass(slots=True)
class SoapDoor:
    signing_key: SigningKey
    checkpoint: Callable[[], str]
    clock: Callable[[], float]

    # --- in -----------------------------------------------------------------------------------------------------------

    def authenticate(self, addressed: Addressed) -> Authenticated:
        received, snapshot = addressed.received, addressed.snapshot
        channel = identify(received.certificate, snapshot, received.at)
        media = received.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in _ACCEPTED_MEDIA:
            raise Theirs("body.media-type", got=media or "—", expected=MEDIA_TYPE)
        root = wire.parse_envelope(received.body)
        envelope = wssec.verify_envelope(root, snapshot.key_by_thumbprint, received.at)
        if envelope.key.system != channel.system.id:
            raise Policy("channel.mismatch", channel=channel.system.id, other=envelope.key.system, other_kind="signature")
        return Authenticated(
            addressed,
            channel.system,
            envelope.key,
            channel.thumbprint,
            ReplayKey(envelope.replay_key, envelope.expires),
            envelope.payload_digest,
            envelope,
            reply_to=envelope.message_id,
        )

    def request(self, authenticated: Authenticated) -> Requested:
        received, addressed = authenticated.received, authenticated.addressed
        envelope: wssec.VerifiedEnvelope = authenticated.proof
        _check_understood(envelope)
        if envelope.to is not None and envelope.to != received.target_uri:
            raise Theirs("soap.not-for-us", got=envelope.to, expected=received.target_uri)
        action = received.headers.get("soapaction", "").strip().strip('"')
        if action and action != envelope.action:
            raise Theirs("soap.action", got=action, signed=envelope.action)
        contract = addressed.contract.contract
        operation, request, content = self._operation(addressed, authenticated.caller.format(contract.name), envelope)
        if len(envelope.message_id) > ID_MAX:
            raise Theirs("request.no-message-id", operation=operation, header=f"wsa:MessageID (1–{ID_MAX})")
        return Requested(authenticated, envelope.message_id, contract.operations[operation], request, content)

    def _operation(self, addressed: Addressed, format_name: str, envelope: wssec.VerifiedEnvelope) -> tuple[str, str, object]:
        codec = addressed.contract.codec(format_name)
        children = [child for child in envelope.body if isinstance(child.tag, str)]
        tag = children[0].tag if len(children) == 1 else f"{len(children)} elements"
        found = codec.soap_roots.get(tag)
        if found is None:
            raise Theirs(
                "soap.unknown-body",
                element=tag,
                format=format_name,
                contract=addressed.contract.contract.name,
                expected=", ".join(sorted(codec.soap_roots)) or "—",
                wsdl=addressed.received.target_uri + "?wsdl",
            )
        return found[0], found[1], children[0]

    def decode(self, authorised: Authorised) -> Message:
        who = authorised.requested
        return who.codec.read_xml(who.request, who.content, who.received.at)

    # --- out ----------------------------------------------------------------------------------------------------------

    def render(self, ended: Answered | Refused) -> Reply:
        if isinstance(ended, Refused):
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

    def _fault(self, failure: Failure, receipt: Receipt, who: Authenticated | None) -> Reply:
        if who is None:
            return self.unproven(failure, receipt.transfer)
        return self._signed(500, faults.fault(failure, receipt.transfer), faults.ACTION, receipt, who)

    def unproven(self, failure: Failure, transfer: str) -> Reply:
        """A Fault for a caller who proved nothing: unsigned."""
        headers = {"content-type": MEDIA_TYPE} | ({"lgsp-transfer": transfer} if transfer else {})
        return Reply(500, headers, wire.plain_envelope(faults.fault(failure, transfer)))

    def _signed(self, status: int, body: bytes, action: str, receipt: Receipt, who: Authenticated) -> Reply:
        envelope = wssec.sign_envelope(
            body,
            self.signing_key,
            self.clock(),
            action=action,
            message_id=f"urn:uuid:{new_id()}",
            relates_to=who.reply_to,
            blocks=(wssec.receipt_block(receipt.transfer, _leaves(receipt), self.checkpoint()),),
        )
        return Reply(status, {"content-type": MEDIA_TYPE, "lgsp-transfer": receipt.transfer}, envelope)


def _check_understood(envelope: wssec.VerifiedEnvelope) -> None:
    """Whoever demands that a header block be understood must not be served as if it had been (SOAP 1.1 §4.2.3)."""
    root = envelope.body.getparent()
    for block in root if root is not None else ():
        for each in block if block.tag == wire.HEADER else ():
            if each.tag != wire.SECURITY and each.tag not in envelope.headers and each.get(_MUST_UNDERSTAND, "0").strip() in ("1", "true"):
                raise Theirs("soap.malformed", why="a header block with mustUnderstand that is not known here")


def _leaves(receipt: Receipt) -> list[tuple[str, bytes]]:
    named = (("Intent", receipt.intent), ("Outcome", receipt.outcome), ("Refusal", receipt.refusal))
    return [(name, leaf) for name, leaf in named if leaf is not None]
