"""A sandbox in which documents with large files go from `phan-anh` to two providers that this process plays: `van-thu`
(REST, JSON) and `van-thu-xml` (SOAP). They keep the digests of what came."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.policy import HTTP
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from lxml import etree

from bench.demo import demo_settings, running
from bench.ports import free_ports
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from gateway.cli import run
from gateway.registry.own_feed import WITH_CATALOGUE
from gateway.sample_client import wscrypt, wssec
from gateway.sample_client.identity import Identity, encryption_of
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sandbox import instance
from gateway.sandbox.standins import base
from gateway.sandbox.standins.base import Reply, StandIn, serving
from gateway.sandbox.standins.rest_base import RestStandIn
from gateway.settings import Settings
from tests.registry.making import OF_DOCUMENTS

PATH = "/official-document/v1/documents"
SEALED = "/sealed-document/v1/documents"  # the same contract with encrypted bodies
SENDER = "phan-anh"
MIB = 1 << 20
_LARGE = 9_000_000  # bytes
_STANDINS = frozenset({"do-thi", "kinh-te", "mo-phong", "truong-ha", "traffic"})  # nobody calls them here
_SYSTEMS = """
  - id: van-thu
    agency: H14.21
    title: {{vi: "Văn thư phường", en: "Records office of the ward"}}
    endpoint: {{kind: rest, url: "https://localhost:{rest}"}}
  - id: van-thu-xml
    agency: H14.21
    title: {{vi: "Văn thư phường, SOAP", en: "Records office of the ward, SOAP"}}
    endpoint: {{kind: soap, url: "https://localhost:{soap}"}}
  - id: van-thu-away
    agency: H14.21
    title: {{vi: "Văn thư phường, chưa chạy", en: "Records office of the ward, away"}}
    endpoint: {{kind: rest, url: "https://localhost:{away}"}}
  - id: van-thu-mtom
    agency: H14.21
    title: {{vi: "Văn thư phường, MTOM", en: "Records office of the ward, MTOM"}}
    endpoint: {{kind: soap, url: "https://localhost:{mtom}", attachments: mtom}}
"""
_ROUTE = """
  - contract: {contract}
    operation: sendDocument
    {when}system: {system}
"""
_ROUTES = "".join(
    _ROUTE.format(contract=f"{name}/v1", when=f"when: {{subject: [{subject}]}}\n    " if subject else "", system=system)
    for name in ("official-document", "sealed-document")
    for subject, system in (
        ("soap", "van-thu-xml"),
        ("mtom", "van-thu-mtom"),
        ("away", "van-thu-away"),
        ("", "van-thu"),
    )
)
_GRANT = """
  - id: {id}
    agency: {agency}
    contract: {contract}
    operations: [sendDocument]
    receives: {receives}
    {fields}purpose: Gửi, nhận văn bản điện tử
    legal_basis: Quyết định 28/2018/QĐ-TTg
    valid_from: 2026-01-01
    valid_until: 2030-12-31
"""


def province(ports: dict[str, int]) -> str:
    text = resources.files("gateway.sandbox").joinpath("province.yaml").read_text("utf-8")
    text = OF_DOCUMENTS.sub("", text)
    text = text.replace("\nroutes:\n", _SYSTEMS.format(**ports) + "\nroutes:\n", 1)
    text = text.replace("\ngrants:\n", _ROUTES + "\ngrants:\n", 1)
    for number, contract in enumerate(("official-document/v1", "sealed-document/v1")):
        of = {"contract": contract}
        text += _GRANT.format(id=f"G-01{number}1", agency="H14.5", receives="false", fields="", **of)
        text += _GRANT.format(id=f"G-01{number}2", agency="H14.21", receives="true", fields='fields: ["*"]\n    ', **of)
    return text


def sealed_contract(folder: Path) -> Path:
    """The contract of documents with encrypted bodies, in a folder of its own."""
    (source,) = (each for each in catalogue_folders() if "official-document" in str(each))
    made = Path(shutil.copytree(source, folder / "sealed-document" / "v1"))
    text = (made / "contract.yaml").read_text("utf-8")
    text = text.replace("id: official-document", "id: sealed-document").replace(
        "protection: signed", "protection: encrypted"
    )
    (made / "contract.yaml").write_text(text, "utf-8")
    schema = made / "schema.json"
    schema.write_text(schema.read_text("utf-8").replace("official-document", "sealed-document"), "utf-8")
    return made


@dataclass(slots=True)
class Records(RestStandIn):
    """Keeps the digest of each body that came, and the documents themselves if they are small."""

    came: list[bytes] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)

    def encrypts(self, call: Any) -> bool:
        return bool(call.headers["content-type"] == "application/jose")  # for both contracts

    def answer(self, call: Any, spoil: Any) -> Any:
        self.came.append(hashlib.sha256(call.body).digest())
        return super(Records, self).answer(call, spoil)

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        self.documents.append(content)
        return self.status


def opened(call: Any) -> Any:
    """The envelope, with the parts of a package put in as base64: what the gateway signed."""
    content_type = call.headers["content-type"]
    if not content_type.startswith("multipart/related"):
        return _parsed(call.body)
    raw = b"Content-Type: " + content_type.encode() + b"\r\nMIME-Version: 1.0\r\n\r\n" + call.body
    root, *parts = message_from_bytes(raw, policy=HTTP).iter_parts()
    files: dict[str, Any] = {part["content-id"].strip("<>"): part.get_payload(decode=True) for part in parts}
    written: Any = root.get_payload(decode=True)
    envelope = _parsed(written)
    for include in list(envelope.iter("{http://www.w3.org/2004/08/xop/include}Include")):
        parent = include.getparent()
        parent.remove(include)
        parent.text = base64.b64encode(files[include.get("href").removeprefix("cid:")]).decode()
    return envelope


def _parsed(raw: bytes) -> Any:
    return etree.fromstring(raw, etree.XMLParser(huge_tree=True, resolve_entities=False, no_network=True))


@dataclass(slots=True)
class SoapRecords(StandIn):
    """The same by SOAP: verifies what came, and answers with the status."""

    came: list[bytes] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    files: list[list[bytes]] = field(default_factory=list)
    status: bytes = b""

    def answer(self, call: Any, spoil: Any) -> Reply:
        now, root, keys = self.clock(), opened(call), encryption_of(self.identity)
        hidden = wscrypt.is_encrypted(root)
        if hidden:
            assert isinstance(keys.key, RSAPrivateKey)
            root = wscrypt.decrypt(root, keys.key, keys.certificate)
        verified = wssec.verify(root, self.identity.keys.by_thumbprint, now)
        assert verified.body is not None
        self.came.append(hashlib.sha256(call.body).digest())
        self.kinds.append(call.headers["content-type"].partition(";")[0])
        found = verified.body.iter("{*}attachments")
        self.files.append([base64.b64decode(each.findtext("{*}data") or "") for each in found])
        action, message = verified.text(wssec.WSA, "Action"), verified.text(wssec.WSA, "MessageID") or ""
        headers = [
            ("Action", "action", f"{action}Response"),
            ("MessageID", "message-id", f"urn:uuid:{uuid.uuid4()}"),
            ("RelatesTo", "relates-to", message),
        ]
        content = wssec.parse(self.status.replace(b"official-document", b"sealed-document") if hidden else self.status)
        root = wssec.sign(wssec.new_envelope(content), self.identity.signer, headers=headers, now=now)
        raw = wssec.serialise(root)
        if hidden:
            raw = wssec.serialise(wscrypt.encrypt(wssec.parse(raw), keys.gateway))
        return Reply(200, {"content-type": "text/xml; charset=utf-8"}, raw)


def catalogue_samples() -> tuple[CompiledContract, dict[str, Any], dict[str, Any]]:
    folder = next(each for each in catalogue_folders() if "official-document" in str(each))
    compiled = compile_bundle(Bundle.from_folder(folder))
    found = {
        each.message: json.loads(each.canonical)
        for each in compiled.samples
        if each.message == "DocumentStatus" or b"attachments" in each.canonical
    }
    return compiled, found["Document"], found["DocumentStatus"]


@dataclass(slots=True)
class Town:
    settings: Settings
    records: Records
    away: Records  # does not listen
    soap: SoapRecords
    mtom: SoapRecords
    compiled: CompiledContract
    document: dict[str, Any]

    def client(self) -> RestClient:
        return RestClient(Identity.load(self.settings.identities / SENDER))

    def with_files(self, files: list[bytes]) -> dict[str, Any]:
        made = copy.deepcopy(self.document)
        first = made["attachments"][0]
        made["attachments"] = [
            first | {"contentId": f"tep-{n}", "data": base64.b64encode(data).decode()} for n, data in enumerate(files)
        ]
        return made

    def soap_client(self, soap: str = wssec.SOAP) -> SoapClient:
        return SoapClient(Identity.load(self.settings.identities / SENDER), timeout=60.0, soap=soap)

    def element(self, document: dict[str, Any]) -> Any:
        """The document as the content of a SOAP Body."""
        return _parsed(self.compiled.codec("canonical").write_xml("Document", document, "sendDocument"))

    def sealed_element(self, document: dict[str, Any]) -> Any:
        """The same for the contract with encrypted bodies."""
        raw = etree.tostring(self.element(document))
        return _parsed(raw.replace(b"official-document", b"sealed-document", 1))

    def doors(self) -> list[int]:
        """The process ids of the doors."""
        found = []
        for each in Path("/proc").iterdir():
            if each.name.isdigit():
                try:
                    environment = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if str(self.settings.data) in environment and " door" in environment:
                    found.append(int(each.name))
        return found


def memory(pid: int, what: str) -> int:
    """VmRSS or VmHWM of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    match = re.search(rf"{what}:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024


def forget_peak(pid: int) -> None:
    """VmHWM begins anew at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")


def noise(size: int) -> bytes:
    return os.urandom(MIB) * (size // MIB) + os.urandom(size % MIB)


def _parsing(usual: Callable[..., Any]) -> Callable[..., Any]:
    """The usual reader takes no text of more than 10 MB."""

    def parse(raw: bytes, **how: Any) -> Any:
        return usual(raw, **how) if len(raw) < _LARGE else _parsed(raw)

    return parse


@contextmanager
def town(folder: Path, **settings: Any) -> Iterator[Town]:
    compiled, document, status = catalogue_samples()
    ports = dict(zip(("rest", "soap", "mtom", "away"), free_ports(4), strict=True))
    answer = compiled.codec("canonical").write_xml("DocumentStatus", status, wrapper="sendDocumentResponse")
    made = replace(demo_settings(folder / "data"), **({"provider_seconds": 20.0, "doors": 1} | settings))
    file = folder / "province.yaml"
    file.write_text(province(ports), "utf-8")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(instance, "PROVINCE", str(file))
        patch.setattr(instance, "WITH_CATALOGUE", (*WITH_CATALOGUE, sealed_contract(folder)))
        patch.setattr(base, "MAX_BODY", 200_000_000)
        for module in (wssec, wscrypt):
            patch.setattr(module, "parse", _parsing(module.parse))
        run.ensure_instance(made, say_progress=False)
        ready = stack.enter_context(running(made, _STANDINS))
        records, away = (
            Records(Identity.load(made.identities / name), ports[kind], status=status)
            for name, kind in (("van-thu", "rest"), ("van-thu-away", "away"))
        )
        soap, mtom = (
            SoapRecords(Identity.load(made.identities / name), ports[kind], status=answer)
            for name, kind in (("van-thu-xml", "soap"), ("van-thu-mtom", "mtom"))
        )
        for each in (records, soap, mtom):
            stack.enter_context(serving(each))
        yield Town(ready, records, away, soap, mtom, compiled, document)
