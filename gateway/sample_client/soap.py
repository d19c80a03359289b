"""A SOAP caller of the gateway, after `docs/wire.md`: signed envelope out, verified envelope in.

    client = SoapClient(Identity.load("identities/canh-bao"))
    answer = client.call("incident-alert/v1", "submitAlert", alert_bytes)

From a shell: `python -m gateway.sample_client.soap --identity DIR --file alert.xml`; exit codes as in `rest.py`.
`ZeepSigner` does the same for a zeep client of the served WSDL. `encrypt` encrypts the request.
Invariant: an answer with an invalid signature, or any unsigned answer except a Fault, raises `WrongAnswer`.
To an encrypted request only a Fault may come in clear.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from lxml import etree

from gateway.sample_client.audit import Keeper, Receipt
from gateway.sample_client.errors import ClientError, WrongAnswer
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.rest import OWN, Mutate, Prepared, Tls, receipt_lines
from gateway.sample_client.soap_answers import Fault, check_answer, fault_in, opened, receipt_of
from gateway.sample_client.transport import RawAnswer, Transport
from gateway.sample_client.wscrypt import encrypt, salt
from gateway.sample_client.wssec import (
    SOAP,
    SOAP12,
    WSA,
    BadEnvelope,
    Element,
    Scope,
    new_envelope,
    parse,
    serialise,
    sign,
    soap_of,
)  # fmt: skip

_CANONICAL: Final = re.compile(r"urn:lgsp:contract:([a-z0-9-]+):v([0-9]+)$")


@dataclass(frozen=True, slots=True)
class SoapAnswer:
    """The gateway's answer: the element in the Body, or a Fault. `verified` as in the REST client."""

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
    """A signed envelope. Sending it twice is a replay."""

    request: Prepared
    message_id: str
    encrypted: bool = False


def action_of(contract: str, operation: str) -> str:
    name, _, version = contract.partition("/")
    return f"urn:lgsp:contract:{name}:{version}:{operation}"


class SoapHow(TypedDict, total=False):
    """What an envelope may have beside its body.

    `created` is an offset to our clock. `leave_out` names ids that the signature omits (body, timestamp, token,
    action, message-id, to). `mutate` may alter the finished headers and envelope.
    """

    message_id: str | None
    action: str | None
    to: str | None
    path: str | None
    created: float
    lifetime: float
    leave_out: Collection[str]
    mutate: Mutate | None
    sign_it: bool
    encrypt_it: bool


class SoapClient:
    """One system's SOAP client. `soap` is its version, SOAP or SOAP12."""

    def __init__(
        self, identity: Identity, *, base: str | None = None, keeper: Keeper | None = None,
        clock: Callable[[], float] = time.time, timeout: float = 30.0, soap: str = SOAP,
    ) -> None:  # fmt: skip
        self.identity, self._soap = identity, soap
        self.base = (base or identity.gateway).rstrip("/")
        self.keeper = keeper if keeper is not None else (Keeper(identity.log_vkey) if identity.log_vkey else None)
        self._clock, self._timeout = clock, timeout
        self._transports: dict[str | None, Transport] = {}

    def prepare(self, contract: str, operation: str, body: Element | bytes, **how: Unpack[SoapHow]) -> PreparedSoap:
        """Make and sign an envelope around one element."""
        path = how.get("path") or f"/soap/{contract}"
        identity = how.get("message_id") or f"urn:uuid:{uuid.uuid4()}"
        action = how.get("action") or action_of(contract, operation)
        encrypt_it = how.get("encrypt_it", False)
        root = new_envelope(parse(body, published=True) if isinstance(body, bytes) else body, self._soap)
        if encrypt_it:
            salt(root[1])
        if how.get("sign_it", True):
            headers = [
                ("Action", "action", action),
                ("MessageID", "message-id", identity),
                ("To", "to", how.get("to") or self.base + path),
            ]
            sign(
                root,
                self.identity.signer,
                headers=headers,
                now=self._clock() + how.get("created", 0.0),
                scope=Scope(how.get("lifetime", 60.0), how.get("leave_out", ())),
            )
        if encrypt_it:
            root = encrypt(parse(serialise(root), large=True), encryption_of(self.identity).gateway)
        sent = {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{action}"', "accept": "text/xml"}
        if self._soap == SOAP12:
            sent = {
                "content-type": f'application/soap+xml; charset=utf-8; action="{action}"',
                "accept": "application/soap+xml",
            }
        content = serialise(root)
        mutate = how.get("mutate")
        if mutate is not None:
            sent, content = mutate(sent, content)
        return PreparedSoap(Prepared("POST", path, self.base + path, sent, content), identity, encrypt_it)

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
        """Verify an answer against its request. Raises `WrongAnswer`."""
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
        if prepared.encrypted and not hidden and fault_in(root) is None:
            raise WrongAnswer("an answer in clear to an encrypted request")
        if verified is None:
            fault = fault_in(root)
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
    # loaded only by callers that use zeep
    from zeep.transports import Transport as ZeepTransport

    transport = ZeepTransport()
    session = transport.session
    # REQUESTS_CA_BUNDLE and proxies of the environment would override these settings
    session.trust_env = False
    session.verify = str(identity.folder / "ca.crt")
    session.cert = (str(identity.folder / "tls.crt"), str(identity.folder / "tls.key"))
    return transport


class ZeepSigner:
    """For `zeep.Client(wsdl, wsse=ZeepSigner(identity), transport=zeep_transport(identity))`.

    Signs each call and verifies the whole profile of each answer as received; zeep's own verification is too weak.
    One signer serves one call at a time. `message_id`, if set before, repeats a message. `encrypt_it`: both ways.
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
        message_id = None if header is None else header.findtext(f"{{{WSA}}}MessageID")
        self._sent = self.message_id or message_id or f"urn:uuid:{uuid.uuid4()}"
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
        if hidden:  # zeep continues with its own tree
            for mine, theirs in zip(list(envelope), list(root), strict=True):
                envelope.replace(mine, theirs)
        elif self._encrypt and fault_in(root) is None:
            raise WrongAnswer("an answer in clear to an encrypted request")
        if verified is not None:
            self.verified = True
            self.receipt, self.checkpoint = receipt_of(verified)
            if self.checkpoint is not None and self.keeper is not None:
                self.keeper.keep(self.checkpoint)
        return envelope


def _guess(body: Element, contract: str | None, operation: str | None) -> tuple[str, str]:
    """Contract and operation from the name of a canonical wrapper. Other formats: alerts are the default."""
    name = etree.QName(body)
    match = _CANONICAL.match(name.namespace or "")
    if match:
        return contract or f"{match.group(1)}/v{match.group(2)}", operation or name.localname
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
    options = parser.parse_args(arguments)
    try:
        body = parse(
            sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes(), published=True
        )
        contract, operation = _guess(body, options.contract, options.operation)
        client = SoapClient(Identity.load(options.identity), soap=SOAP12 if options.soap12 else SOAP)
        answer = client.call(
            contract, operation, body, message_id=options.id, action=options.action, encrypt_it=options.encrypt
        )
        print(
            "status     "
            f"{answer.status}{'' if answer.verified else ' (not signed: the gateway did not know who called)'}"
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
