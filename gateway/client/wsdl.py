"""Calls a contract by its WSDL with zeep; the client signs and sends. Only this module needs zeep.

    service = wsdl.service(client, "indicator/v1")
    value = service.getValue(indicator="KT-05", area="04", period="2026-Q3")

zeep builds and reads the content of the Body. The client signs, encrypts, verifies, repeats and checks the log.
zeep's own WS-Security is not used.
Invariant: zeep receives only the proven content of the Body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import zeep
from lxml import etree
from zeep.transports import Transport
from zeep.wsdl.bindings.soap import Soap11Binding, Soap12Binding

from contracts.base.errors import Failure
from contracts.wire import soap
from gateway.client.answers import Answer
from gateway.client.errors import CLIENT_USAGE, ClientError, wrongly_used
from gateway.client.sync import Client

_ACTION: Final = re.compile(r'action="([^"]*)"')
_BINDINGS: Final = {"1.1": Soap11Binding, "1.2": Soap12Binding}


class Queued(ClientError):
    """No provider answers now: the gateway queued the message, or an agency without a system handles it
    (`answer.accepted`). `answer.transfer` names the transfer.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{'accepted' if answer.accepted else 'queued'} as {answer.transfer}")
        self.answer: Final = answer


def service(client: Client, contract: str, *, path: str | None = None, version: str = "1.1") -> Any:
    """zeep's service of a contract in a SOAP version. `path` names another WSDL than the canonical one."""
    address = client.identity.gateway + (path or f"/soap/{contract}?wsdl")
    client_of_wsdl = zeep.Client(address, transport=_SignedTransport(client, contract))
    for each in client_of_wsdl.wsdl.services.values():
        for port in each.ports.values():
            if isinstance(port.binding, _BINDINGS.get(version, ())):
                return client_of_wsdl.bind(each.name, port.name)
    raise CLIENT_USAGE(what=f"{address}: SOAP {version} ∄")


@dataclass(frozen=True, slots=True)
class _Response:
    status_code: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"


class _SignedTransport(Transport):
    def __init__(self, client: Client, contract: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._client, self._contract = client, contract

    def load(self, url: str) -> bytes:
        base = self._client.identity.gateway
        if not url.startswith(f"{base}/"):
            raise CLIENT_USAGE(what=f"{url} ≠ {base}/…")
        return self._client.document(url.removeprefix(base))

    def post_xml(self, address: str, envelope: etree._Element, headers: Mapping[str, str]) -> _Response:
        version = soap.VERSIONS[str(envelope.tag)]
        try:
            content = soap.body_child(envelope)
        except Failure as failure:
            raise wrongly_used(failure) from None
        named = _ACTION.search(headers.get("Content-Type", ""))
        action = named[1] if named else headers.get("SOAPAction", "").strip('"')
        answer = self._client.soap(self._contract, content, action=action or None, version=version.number)
        if answer.status == 202:
            raise Queued(answer)
        return _Response(
            200, soap.plain_envelope(answer.body, version), {"Content-Type": f"{version.media_type}; charset=utf-8"}
        )
