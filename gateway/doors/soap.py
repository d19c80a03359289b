"""The SOAP door: SOAP 1.1 or 1.2 to a message and back, in the caller's version (docs/wire.md, SOAP).

If the contract demands it, bodies are encrypted both ways: a request is decrypted, then verified as it was signed.
Invariant: only the verified Body names the operation, never SOAPAction, `action`, or a node outside the signature.
  Where these name another one, the request is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from lxml import etree

from contracts.base.errors import Failure, Theirs
from contracts.base.ids import new_id
from contracts.canonical.model import Contract, Pattern
from contracts.codecs.codec import Codec
from contracts.errors import MTOM_MALFORMED, SOAP_NOT_UNDERSTOOD, XML_TOO_LARGE
from contracts.wire import faults, mtom
from contracts.wire import soap as wire
from contracts.wire.attachments import File, Spool
from contracts.wire.headers import RESPOND_ASYNC, media_type, prefers
from contracts.wire.lifting import lift_xml
from gateway.doors import other_format
from gateway.doors.errors import (
    BODY_MEDIA_TYPE,
    CHANNEL_MISMATCH,
    REQUEST_NO_MESSAGE_ID,
    SOAP_ACTION,
    SOAP_NOT_FOR_US,
    SOAP_REPLY_ELSEWHERE,
    SOAP_UNKNOWN_BODY,
)
from gateway.doors.http.errors import BODY_TOO_LARGE
from gateway.doors.reply import Reply
from gateway.doors.signature_hints import explained
from gateway.exchange.answer_keys import answers_for, demand_key
from gateway.journal.write import ReplayKey
from gateway.transfer.large_body import LargeBody, NotLifted
from gateway.transfer.stages import (
    Addressed,
    Answered,
    Authenticated,
    Authorised,
    Message,
    Receipt,
    Received,
    Refused,
    Requested,
)
from security.errors import BODY_ENCRYPTION_UNEXPECTED, BODY_NOT_ENCRYPTED
from security.keys import SigningKey
from security.signature_hints import soap_hints
from security.wssec import verify
from security.wssec.decrypt import BodyKeys, Opened, decrypt_envelope, is_encrypted, parse_opened
from security.wssec.encrypt import blinded, encrypt_envelope
from security.wssec.large import LargeHidden, decrypt_large
from security.wssec.sign import EnvelopeHeaders

MEDIA_TYPE: Final = "text/xml; charset=utf-8"
ID_MAX: Final = 256  # characters of a wsa:MessageID
SHORT_PART: Final = 8_192  # bytes of a part of an encrypted package that is held with its envelope
_ONE_PART: Final = partial(MTOM_MALFORMED, why="one part of an encrypted package is long: the CipherValue of its Body")
_VERSIONS: Final = {"text/xml": wire.V11, "application/xml": wire.V11, "application/soap+xml": wire.V12}
_ACTION: Final = re.compile(r';\s*action\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)


@dataclass(slots=True)
class SoapDoor:
    signing_key: SigningKey
    body_keys: BodyKeys
    checkpoint: Callable[[], str]
    clock: Callable[[], float]
    explains: bool = False  # a sandbox tells why a signature is wrong
    body_limit: int = 5_000_000  # bytes of a large body without its contents

    # --- in -----------------------------------------------------------------------------------------------------------

    def authenticate(self, addressed: Addressed) -> Authenticated:
        addressed, opened, spool = self._parsed(addressed)
        received, system = addressed.received, addressed.channel.system
        whole = None if spool is None else partial(spool.restore, parsed=True)
        try:
            envelope = verify.verify_envelope(opened.root, received.snapshot.key_by_thumbprint, received.theirs, whole)
        except Theirs as failure:
            if not self.explains:
                raise
            raise explained(
                failure, received.snapshot, system.id, lambda wrong, keys: soap_hints(wrong, opened.root, keys)
            ) from None
        if envelope.key.system != system.id:
            raise CHANNEL_MISMATCH(channel=system.id, other=envelope.key.system, other_kind="signature")
        if received.ahead:
            envelope.key.check_time(received.at)  # no key begins earlier
        if spool is not None:
            for element in envelope.body.iter("{*}*"):
                element.text = spool.unlined(element.text) if element.text else element.text
        return Authenticated(
            addressed=addressed,
            key=envelope.key,
            replay=ReplayKey(envelope.replay_key, envelope.expires),
            payload_digest=envelope.payload_digest,
            proof=envelope,
            reply_to=envelope.message_id,
            opened=opened.raw,
        )

    def _parsed(self, addressed: Addressed) -> tuple[Addressed, Opened, Spool | None]:
        """The signed envelope. Large contents, and those of a package, are beside it, with stand-ins for them."""
        received, contract = addressed.received, addressed.contract.contract
        media, large = media_type(received.headers), received.large
        if large is not None and contract.protection == "encrypted":
            return self._decrypted(addressed, large)
        if media == mtom.PACKAGE and large is not None:
            content_type, package = received.headers["content-type"], list[mtom.Package]()

            def lift(source: File, spool: Spool, limit: int) -> bytes:
                package.append(mtom.lift_package(source, spool, limit, content_type))
                return package[0].rest

            received = received._replace(body=self._lifted(large, lift))
            root = wire.parse_envelope(package[0].envelope, _version(package[0].media_type.lower()))
            assert large.spool is not None
            mtom.put_in(root, package[0], large.spool)
        else:
            version = _version(media)
            if large is not None:
                received = received._replace(body=self._lifted(large, partial(lift_xml, exact=True)))
            root = wire.parse_envelope(received.body, version)
        spool = large.spool if large is not None else None
        return addressed._replace(received=received), self._opened(contract, root), spool

    def _decrypted(self, addressed: Addressed, large: LargeBody) -> tuple[Addressed, Opened, Spool | None]:
        """The same of a large envelope that is encrypted: lifted, decrypted, and its content lifted. In a package the
        octets of its CipherValue may be a part.
        """
        received, sealed = addressed.received, Spool(large.scratch())
        packed = media_type(received.headers) == mtom.PACKAGE
        try:
            outer, root, version = (_package if packed else _envelope)(received, large.source, sealed, self.body_limit)
        except Theirs as failure:
            if failure.code != XML_TOO_LARGE.code:
                raise
            raise BODY_TOO_LARGE(limit=self.body_limit) from None
        self._check_hidden(addressed.contract.contract, root)
        if packed and not sealed.attachments:  # a short one
            body = self._lifted(large, lambda *_: outer)
            return addressed._replace(received=received._replace(body=body)), self._open(root), large.spool

        def decrypt(_source: File, write: Callable[[bytes], object]) -> LargeHidden:
            hidden = decrypt_large(outer, root, sealed, self.body_keys, write)
            if hidden is None:
                raise _ONE_PART() if packed else BODY_TOO_LARGE(limit=self.body_limit)
            return hidden

        large.decrypt(decrypt, lambda hidden: hidden.around, any_size=packed)
        signed, spool = self._lifted(large, partial(lift_xml, exact=True)), large.spool
        assert spool is not None
        received = received._replace(body=large.body(signed, spool) or b"")
        return addressed._replace(received=received), Opened(signed, parse_opened(signed, version)), spool

    def _lifted(self, large: LargeBody, lift: Callable[[File, Spool, int], bytes]) -> bytes:
        try:
            return large.lift(lift, self.body_limit)
        except NotLifted:
            raise BODY_TOO_LARGE(limit=self.body_limit) from None

    def _opened(self, contract: Contract, root: etree._Element) -> Opened:
        """The signed envelope. It must be encrypted exactly if the contract says so."""
        self._check_hidden(contract, root)
        return Opened(b"", root) if contract.protection == "signed" else self._open(root)

    def _open(self, root: etree._Element) -> Opened:
        return decrypt_envelope(root, self.body_keys)

    def _check_hidden(self, contract: Contract, root: etree._Element) -> None:
        hidden = is_encrypted(root)
        if contract.protection == "signed" and hidden:
            raise BODY_ENCRYPTION_UNEXPECTED(contract=contract.name, got="xenc:EncryptedData")
        if contract.protection != "signed" and not hidden:
            raise BODY_NOT_ENCRYPTED(contract=contract.name, expected="xenc:EncryptedData", got="soap:Body")

    def request(self, authenticated: Authenticated) -> Requested:
        received, addressed = authenticated.received, authenticated.addressed
        envelope: verify.VerifiedEnvelope = authenticated.proof
        contract = addressed.contract.contract
        demand_key(contract, addressed.snapshot, authenticated.caller, received.theirs, soap=True)
        _check_understood(envelope)
        _check_reply(envelope)
        if envelope.to is not None and envelope.to != received.target_uri:
            raise SOAP_NOT_FOR_US(got=envelope.to, expected=received.target_uri)
        operation, request, content = self._operation(authenticated, envelope)
        _check_action(authenticated, envelope, operation, content.tag)
        named = contract.operations[operation]
        if received.large is not None and (named.pattern is not Pattern.DISPATCH or named.in_feed):
            raise BODY_TOO_LARGE(
                limit=self.body_limit
            )  # only what is sent on, and stays out of feeds, has large contents
        if len(envelope.message_id) > ID_MAX:
            raise REQUEST_NO_MESSAGE_ID(operation=operation, header=f"wsa:MessageID (1–{ID_MAX})")
        later = prefers(received.headers, RESPOND_ASYNC)
        return Requested(
            authenticated, envelope.message_id, contract.operations[operation], request, content, respond_async=later
        )

    def _operation(
        self, authenticated: Authenticated, envelope: verify.VerifiedEnvelope
    ) -> tuple[str, str, etree._Element]:
        addressed = authenticated.addressed
        codec = addressed.snapshot.codec(authenticated.caller, addressed.contract)
        children = [child for child in envelope.body if isinstance(child.tag, str)]
        tag = children[0].tag if len(children) == 1 else f"{len(children)} elements"
        root = codec.soap_body(children[0]) if len(children) == 1 else None
        if root is None:
            other = other_format.of_root(addressed.contract, codec.name, str(tag), addressed.received)
            if other is not None:
                raise other
            raise SOAP_UNKNOWN_BODY(
                element=tag,
                format=codec.name,
                contract=addressed.contract.contract.name,
                expected=", ".join(sorted(codec.soap_roots)) or "—",
                document=other_format.document(addressed.contract, codec.name, addressed.received),
            )
        operation = operation_of(addressed.contract.contract, codec, root, envelope.action)
        return operation, addressed.contract.contract.operations[operation].request, children[0]

    def job(self, authorised: Authorised) -> None:
        """None: an element cannot be sent to the reader process, and libxml2 releases the interpreter's lock."""

    def here(self, requested: Requested, paths: Sequence[str]) -> str:
        return requested.codec.here(requested.request, paths, etree.QName(requested.content).localname)

    def decode(self, authorised: Authorised) -> Message:
        requested = authorised.requested
        message, content, at = requested.request, requested.content, requested.received.theirs
        return other_format.read(requested, lambda codec: codec.read_xml(message, content, at))

    # --- out ----------------------------------------------------------------------------------------------------------

    def render(self, ended: Answered | Refused) -> Reply:
        if isinstance(ended, Refused):
            if ended.authenticated is None:
                return self.unproven(ended.failure, ended.receipt.transfer, ended.received.headers)
            return self._fault(ended.failure, ended.receipt, ended.authenticated)
        requested = ended.requested
        if ended.failure is not None:
            return self._fault(ended.failure, ended.receipt, requested.authenticated)
        action = requested.codec.soap_action(requested.operation.name)
        if ended.queued or ended.kept:
            body, told = faults.taken_in(ended.receipt.transfer, ended.kept), "accepted" if ended.kept else "queued"
            reply = self._signed(202, body, f"{action}:{told}", ended.receipt, requested.authenticated)
            reply.headers["location"] = f"/transfers/{ended.receipt.transfer}"
            if requested.respond_async and requested.later:
                reply.headers["preference-applied"] = RESPOND_ASYNC
            return reply
        assert ended.answer is not None
        body = requested.codec.write_xml(
            requested.operation.answer, ended.answer, wrapper=f"{requested.operation.name}Response"
        )
        return self._signed(200, body, f"{action}Response", ended.receipt, requested.authenticated)

    def _fault(self, failure: Failure, receipt: Receipt, authenticated: Authenticated) -> Reply:
        version = authenticated.proof.version
        body = faults.fault(failure, receipt.transfer, version)
        return self._signed(faults.status(failure, version), body, faults.ACTION, receipt, authenticated)

    def unproven(self, failure: Failure, transfer: str, headers: Mapping[str, str]) -> Reply:
        """An unsigned Fault for an unproven caller, in the version of its media type."""
        version = _VERSIONS.get(media_type(headers), wire.V11)
        sent = {"content-type": f"{version.media_type}; charset=utf-8"} | (
            {"lgsp-transfer": transfer} if transfer else {}
        )
        return Reply(
            faults.status(failure, version),
            sent,
            wire.plain_envelope(faults.fault(failure, transfer, version), version),
        )

    def _signed(self, status: int, body: bytes, action: str, receipt: Receipt, authenticated: Authenticated) -> Reply:
        version: wire.Version = authenticated.proof.version
        addressed = authenticated.addressed
        receiver = answers_for(
            addressed.contract.contract,
            addressed.snapshot,
            authenticated.caller,
            authenticated.received.theirs,
            soap=True,
        )
        envelope = verify.sign_envelope(
            body if receiver is None else blinded(body),
            self.signing_key,
            self.clock() + authenticated.received.ahead,
            EnvelopeHeaders(action=action, message_id=f"urn:uuid:{new_id()}", relates_to=authenticated.reply_to),
            blocks=(verify.receipt_block(receipt.transfer, _leaves(receipt), self.checkpoint()),),
            version=version,
        )
        if receiver is not None:
            envelope = encrypt_envelope(envelope, receiver, version)
        media = MEDIA_TYPE if version is wire.V11 else f'{version.media_type}; charset=utf-8; action="{action}"'
        return Reply(status, {"content-type": media, "lgsp-transfer": receipt.transfer}, envelope)


def _envelope(
    received: Received, source: File, sealed: Spool, limit: int
) -> tuple[bytes, etree._Element, wire.Version]:
    """A large encrypted envelope with a stand-in for its CipherValue, and its root."""
    version = _version(media_type(received.headers))
    outer = lift_xml(source, sealed, limit, exact=True)
    return outer, wire.parse_envelope(outer, version), version


def _package(received: Received, source: File, sealed: Spool, limit: int) -> tuple[bytes, etree._Element, wire.Version]:
    """The same of a package. Its short parts, as a wrapped key, are put into the envelope as they are."""
    package = mtom.lift_package(source, sealed, limit, received.headers["content-type"], short=SHORT_PART)
    version = _version(package.media_type.lower())
    root = wire.parse_envelope(package.envelope, version)
    mtom.put_in(root, package, sealed)
    return package.rest, root, version


def _version(media: str) -> wire.Version:
    version = _VERSIONS.get(media)
    if version is None:
        expected = f"{MEDIA_TYPE}, {wire.V12.media_type}; charset=utf-8"
        raise BODY_MEDIA_TYPE(got=media[:80] or "—", expected=expected)
    return version


def _action(headers: Mapping[str, str], version: wire.Version) -> str:
    """The operation claimed by the HTTP headers: SOAPAction, or the parameter of the media type (RFC 3902)."""
    if version is wire.V11:
        return headers.get("soapaction", "").strip().strip('"')
    match = _ACTION.search(headers.get("content-type", ""))
    return "" if match is None else match[1] or match[2] or ""


def operation_of(contract: Contract, codec: Codec, root: tuple[str, str], action: str) -> str:
    """The operation of a Body's element. The signed action decides where several of a foreign format share it."""
    if codec.media != "xml":  # each canonical element names its operation
        return root[0]
    same = (each.name for each in contract.operations.values() if codec.same_root(each.request, root[1]))
    return next((each for each in same if codec.supports(each) and codec.soap_action(each) == action), root[0])


def _check_action(
    authenticated: Authenticated, envelope: verify.VerifiedEnvelope, operation: str, root: str | bytes
) -> None:
    """Refuses actions that do not name the operation of the Body: as the WSDL of the caller's format, or the canonical
    one, names it, or by the Body's own element (`root`), as clients without a WSDL do.

    An empty or missing SOAPAction states nothing (SOAP 1.1 §6.1.1). The signed wsa:Action always states one.
    """
    addressed = authenticated.addressed
    codecs = (addressed.snapshot.codec(authenticated.caller, addressed.contract), addressed.contract.codec("canonical"))
    known = list(dict.fromkeys(each.soap_action(operation) for each in codecs if each.supports(operation)))
    space, _, local = str(root).lstrip("{").rpartition("}")
    accepted = {*known, f"{space}:{local}", f"{addressed.contract.namespace}:{local}"}
    stated = _action(authenticated.received.headers, envelope.version)
    if envelope.action not in accepted or stated not in ("", envelope.action):
        raise SOAP_ACTION(
            got=stated or "—", signed=envelope.action, operation=operation, expected=" / ".join(known) or "—"
        )


def _check_understood(envelope: verify.VerifiedEnvelope) -> None:
    """Refuses a header block with mustUnderstand that the gateway does not know (SOAP 1.1 §4.2.3, 1.2 Part 1 §5.2)."""
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
    """Allows only anonymous reply addresses (WS-Addressing 1.0 Core §2.1): the gateway calls no address named in a
    message.
    """
    for name in ("ReplyTo", "FaultTo"):
        block = envelope.headers.get(f"{{{wire.WSA}}}{name}")
        address = "" if block is None else (block.findtext(f"{{{wire.WSA}}}Address") or "").strip()
        if block is not None and address not in (f"{wire.WSA}/anonymous", f"{wire.WSA}/none"):
            raise SOAP_REPLY_ELSEWHERE(header=f"wsa:{name}", expected=f"{wire.WSA}/anonymous")


def _leaves(receipt: Receipt) -> list[tuple[str, bytes]]:
    named = (("Intent", receipt.intent), ("Outcome", receipt.outcome), ("Refusal", receipt.refusal))
    return [(name, leaf) for name, leaf in named if leaf is not None]
