"""A SOAP caller of the gateway, as `docs/wire.md` has it: signed envelope out, checked envelope in.

    client = SoapClient(Identity.load("identities/canh-bao"))
    answer = client.call("incident-alert/v1", "submitAlert", alert_bytes)

From a shell: `python -m gateway.sample_client.soap --identity DIR --file alert.xml`; exit code 0 when it was answered, 1 when
it was refused, 2 when it could not be carried out. `ZeepSigner` gives the same proofs to a zeep client made from the
served WSDL. Invariant: an answer that is signed and does not hold is raised as `WrongAnswer`, and so is any answer but a
Fault that is not signed at all. With `encrypt` the request is encrypted for the gateway, as contracts that speak of citizens demand; then
an answer in clear is believed only of a Fault.
"""

from __future__ import annotations

import argparse
import base64
import re
import sys
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree

from gateway.sample_client.audit import Keeper, Receipt
from gateway.sample_client.errors import BadIdentity, ClientError, WrongAnswer
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.rest import OWN, Mutate, Prepared, Tls, receipt_lines
from gateway.sample_client.transport import RawAnswer, Transport
from gateway.sample_client.wscrypt import decrypt, encrypt, is_encrypted, salt
from gateway.sample_client.wssec import (
    LGSP,
    SOAP,
    SOAP12,
    WSA,
    BadEnvelope,
    Element,
    Verified,
    is_signed,
    new_envelope,
    parse,
    serialise,
    sign,
    soap_of,
    verify,
)  # fmt: skip

_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_CANONICAL: Final = re.compile(r"urn:lgsp:contract:([a-z0-9-]+):v([0-9]+)$")


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP Fault with the problem that its detail names."""

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
            found = [] if problem is None else problem.findall(f"{{{LGSP}}}{name}")
            return {item.get(_LANG, ""): (item.text or "").strip() for item in found}

        def text(name: str) -> str | None:
            value = None if problem is None else problem.findtext(f"{{{LGSP}}}{name}")
            return value.strip() if value else None

        new = f"{{{SOAP12}}}"
        code = element.findtext("faultcode") or element.findtext(f"{new}Code/{new}Value") or ""
        said = element.findtext("faultstring") or element.findtext(f"{new}Reason/{new}Text") or ""
        return cls(
            code=code.strip().rpartition(":")[2],
            text=said.strip(),
            problem=text("Code") or "",
            title=words("Title"), detail=words("Detail"), next=words("Next"), transfer=text("Transfer"),
            findings=[{str(k): str(v) for k, v in item.attrib.items()} for item in ([] if problem is None else problem.findall(f"{{{LGSP}}}Finding"))],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SoapAnswer:
    """What the gateway said: the element in the Body, or a Fault. `verified` as in the REST client."""

    status: int
    body: Element | None
    fault: Fault | None
    receipt: Receipt | None
    checkpoint: str | None
    verified: bool
    raw: bytes

    @property
    def ok(self) -> bool:
        return self.fault is None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class PreparedSoap:
    """A signed envelope ready to go. Sent twice it is a replay."""

    request: Prepared
    message_id: str
    encrypted: bool = False


def action_of(contract: str, operation: str) -> str:
    name, _, version = contract.partition("/")
    return f"urn:lgsp:contract:{name}:{version}:{operation}"


def receipt_of(verified: Verified) -> tuple[Receipt | None, str | None]:
    """Receipt and checkpoint from the signed lgsp:Receipt header."""
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
    """Verify an answering envelope; None for an unsigned Fault, everything else that is not proved is raised."""
    if not is_signed(root):
        if _fault(root) is not None:
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


def _fault(root: Element) -> Element | None:
    soap = soap_of(root)
    return root.find(f"{{{soap}}}Body/{{{soap}}}Fault")


class SoapClient:
    """One system's SOAP side; `soap` is the version that it speaks, SOAP or SOAP12."""

    def __init__(
        self, identity: Identity, *, base: str | None = None, keeper: Keeper | None = None,
        clock: Callable[[], float] = time.time, timeout: float = 30.0, soap: str = SOAP,
    ) -> None:  # fmt: skip
        self.identity, self._soap = identity, soap
        self.base = (base or identity.gateway).rstrip("/")
        self.keeper = keeper if keeper is not None else (Keeper(identity.log_vkey) if identity.log_vkey else None)
        self._clock, self._timeout = clock, timeout
        self._transports: dict[str | None, Transport] = {}

    def prepare(
        self, contract: str, operation: str, body: Element | bytes, *, message_id: str | None = None, action: str | None = None,
        to: str | None = None, path: str | None = None, created: float = 0.0, lifetime: float = 60.0, leave_out: Collection[str] = (),
        mutate: Mutate | None = None, sign_it: bool = True, encrypt_it: bool = False,
    ) -> PreparedSoap:  # fmt: skip
        """Make and sign an envelope around one element.

        `created` is an offset to our clock; `leave_out` names ids that the signature forgets (body, timestamp, token, action,
        message-id, to); `mutate` gets the finished headers and envelope and may spoil them.
        """
        path = path or f"/soap/{contract}"
        identity = message_id or f"urn:uuid:{uuid.uuid4()}"
        action = action or action_of(contract, operation)
        root = new_envelope(parse(body, published=True) if isinstance(body, bytes) else body, self._soap)
        if encrypt_it:
            salt(root[1])
        if sign_it:
            headers = [
                ("Action", "action", action),
                ("MessageID", "message-id", identity),
                ("To", "to", to or self.base + path),
            ]
            sign(
                root,
                self.identity.signer,
                headers=headers,
                now=self._clock() + created,
                lifetime=lifetime,
                leave_out=leave_out,
            )
        if encrypt_it:
            root = encrypt(parse(serialise(root)), encryption_of(self.identity).gateway)
        made = {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{action}"', "accept": "text/xml"}
        if self._soap == SOAP12:
            made = {
                "content-type": f'application/soap+xml; charset=utf-8; action="{action}"',
                "accept": "application/soap+xml",
            }
        content = serialise(root)
        if mutate is not None:
            made, content = mutate(made, content)
        return PreparedSoap(Prepared("POST", path, self.base + path, made, content), identity, encrypt_it)

    def exchange(self, prepared: PreparedSoap, *, tls: Tls = OWN) -> RawAnswer:
        identity = self.identity if tls is OWN else tls
        name = None if identity is None else str(identity.folder)
        if name not in self._transports:
            context = (
                self.identity.client_context(with_certificate=False) if identity is None else identity.client_context()
            )
            self._transports[name] = Transport(self.base, context, self._timeout)
        request = prepared.request
        return self._transports[name].send(request.method, request.path, request.headers, request.body)

    def send(self, prepared: PreparedSoap, *, tls: Tls = OWN) -> SoapAnswer:
        return self.judge(prepared, self.exchange(prepared, tls=tls))

    def call(self, contract: str, operation: str, body: Element | bytes, *, tls: Tls = OWN, **how: Any) -> SoapAnswer:
        return self.send(self.prepare(contract, operation, body, **how), tls=tls)

    def judge(self, prepared: PreparedSoap, raw: RawAnswer) -> SoapAnswer:
        """Check an answer against its request; this is where a wrong one is raised."""
        if "xml" not in raw.headers.get("content-type", ""):
            if raw.status < 400:
                raise WrongAnswer(f"an answer of status {raw.status} that is no envelope")
            return SoapAnswer(raw.status, None, None, None, None, False, raw.body)
        try:
            root = parse(raw.body)
        except BadEnvelope as wrong:
            raise WrongAnswer(str(wrong)) from wrong
        root, hidden = opened(root, self.identity)
        verified = check_answer(root, self.identity, prepared.message_id, self._clock())
        if prepared.encrypted and not hidden and _fault(root) is None:
            raise WrongAnswer("an answer in clear to an encrypted request")
        if verified is None:
            fault = _fault(root)
            return SoapAnswer(
                raw.status, None, None if fault is None else Fault.read(fault), None, None, False, raw.body
            )
        receipt, note = receipt_of(verified)
        if note is not None and self.keeper is not None:
            self.keeper.keep(note)
        if verified.body is not None and verified.body.tag == f"{{{self._soap}}}Fault":
            return SoapAnswer(raw.status, None, Fault.read(verified.body), receipt, note, True, raw.body)
        return SoapAnswer(raw.status, verified.body, None, receipt, note, True, raw.body)


def zeep_transport(identity: Identity) -> Any:
    """zeep's transport with our client certificate and the exchange's authority, and nothing of the environment."""
    # only who calls by zeep pays for loading it
    import requests
    from zeep.transports import Transport as ZeepTransport

    session = requests.Session()
    # REQUESTS_CA_BUNDLE and proxies of the environment would go before what is set here
    session.trust_env = False
    session.verify = str(identity.folder / "ca.crt")
    session.cert = (str(identity.folder / "tls.crt"), str(identity.folder / "tls.key"))
    return ZeepTransport(session=session)


class ZeepSigner:
    """For `zeep.Client(wsdl, wsse=ZeepSigner(identity), transport=zeep_transport(identity))`: signs each call, verifies each answer.

    zeep's own verification must not be relied on; here the whole profile is checked on what came over the wire. One signer
    serves one call at a time. `message_id` set beforehand repeats a message. With `encrypt_it` bodies are encrypted both ways.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        keeper: Keeper | None = None,
        clock: Callable[[], float] = time.time,
        encrypt_it: bool = False,
    ) -> None:
        self.identity, self.keeper, self._clock, self._encrypt = identity, keeper, clock, encrypt_it
        self.message_id: str | None = None
        self.receipt: Receipt | None = None
        self.checkpoint: str | None = None
        self.verified = False
        self._sent = ""

    def apply(self, envelope: Element, headers: dict[str, str]) -> tuple[Element, dict[str, str]]:
        """Called by zeep before sending."""
        header = envelope.find(f"{{{soap_of(envelope)}}}Header")
        named = re.search('action="([^"]*)"', headers.get("Content-Type", ""))  # SOAP 1.2
        action = named[1] if named else headers.get("SOAPAction", "").strip('"')
        given = None if header is None else header.findtext(f"{{{WSA}}}MessageID")
        self._sent = self.message_id or given or f"urn:uuid:{uuid.uuid4()}"
        self.message_id = self.receipt = self.checkpoint = None
        self.verified = False
        blocks = [("Action", "action", action), ("MessageID", "message-id", self._sent)]
        if self._encrypt:
            salt(envelope[-1])
        signed = sign(envelope, self.identity.signer, headers=blocks, now=self._clock())
        return encrypt(
            parse(serialise(signed)), encryption_of(self.identity).gateway
        ) if self._encrypt else signed, headers

    def verify(self, envelope: Element) -> Element:
        """Called by zeep with the answer, before it is read."""
        root, hidden = opened(parse(etree.tostring(envelope)), self.identity)
        verified = check_answer(root, self.identity, self._sent, self._clock())
        if hidden:  # zeep reads on in the tree that it handed over
            for mine, theirs in zip(list(envelope), list(root), strict=True):
                envelope.replace(mine, theirs)
        elif self._encrypt and _fault(root) is None:
            raise WrongAnswer("an answer in clear to an encrypted request")
        if verified is not None:
            self.verified = True
            self.receipt, self.checkpoint = receipt_of(verified)
            if self.checkpoint is not None and self.keeper is not None:
                self.keeper.keep(self.checkpoint)
        return envelope


def _guess(body: Element, contract: str | None, operation: str | None) -> tuple[str, str]:
    """Contract and operation of a canonical wrapper stand in its name; for other formats alerts are the default."""
    name = etree.QName(body)
    found = _CANONICAL.match(name.namespace or "")
    if found:
        return contract or f"{found.group(1)}/v{found.group(2)}", operation or name.localname
    return contract or "incident-alert/v1", operation or "submitAlert"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sample_client.soap", description="One signed SOAP call through the gateway."
    )
    parser.add_argument("--identity", required=True, type=Path, metavar="DIR", help="the system's identity folder")
    parser.add_argument(
        "--file", required=True, metavar="FILE", help="the element for the Body, like a CAP alert; - for standard input"
    )
    parser.add_argument(
        "--contract", metavar="NAME/vN", help="as incident-alert/v1; found from the element where it is canonical"
    )
    parser.add_argument(
        "--operation", metavar="NAME", help="as submitAlert; found from the element where it is canonical"
    )
    parser.add_argument("--action", metavar="URI", help="SOAPAction and wsa:Action, where the format has its own")
    parser.add_argument("--soap12", action="store_true", help="speak SOAP 1.2")
    parser.add_argument("--encrypt", action="store_true", help="encrypt the body, where the contract demands it")
    parser.add_argument("--id", metavar="URI", help="wsa:MessageID; give it again to repeat the message")
    given = parser.parse_args(arguments)
    try:
        body = parse(sys.stdin.buffer.read() if given.file == "-" else Path(given.file).read_bytes(), published=True)
        contract, operation = _guess(body, given.contract, given.operation)
        client = SoapClient(Identity.load(given.identity), soap=SOAP12 if given.soap12 else SOAP)
        answer = client.call(
            contract, operation, body, message_id=given.id, action=given.action, encrypt_it=given.encrypt
        )
        print(
            f"status     {answer.status}{'' if answer.verified else ' (not signed: the gateway did not know who called)'}"
        )
        print("\n".join(receipt_lines(answer.receipt, answer.checkpoint)))
        if answer.fault is not None:
            print(f"fault      {answer.fault.problem or answer.fault.code}: {answer.fault.text}")
            for label, words in (("detail", answer.fault.detail), ("next", answer.fault.next)):
                print(f"{label:<10} {words.get('vi', '')}")
            for finding in answer.fault.findings:
                print("finding    " + ", ".join(f"{name}={value}" for name, value in finding.items() if value))
        elif answer.body is not None:
            print(etree.tostring(answer.body, encoding="unicode", pretty_print=True))
        else:
            print(answer.raw.decode("utf-8", "replace"))
        return 0 if answer.ok else 1
    except (ClientError, OSError) as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
