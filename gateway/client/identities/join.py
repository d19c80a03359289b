"""Joins a sandbox as a vendor: keys made here, certificates issued there, and a whole identity folder.

1. The sandbox admits the vendor and says the id of her system. Id and access token are kept in `tenant.json`.
2. Keys and certificate requests are made in the folder; the requests go there with the token.
3. What comes back is put beside the keys, and the folder is loaded once as a check.
A run that was interrupted goes on in the same folder: nobody is admitted twice.
Invariant: no private key leaves its folder. Nothing is asked over plain HTTP but on this machine.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.wire.jsontext import read_json
from gateway.client import rest
from gateway.client.answers import Answer, Problem
from gateway.client.errors import CLIENT_NO_SANDBOX, CLIENT_USAGE, NoConnection, refused
from gateway.client.identities import enrol
from gateway.client.identities.identity import Identity, words, write_private
from gateway.client.transport import HttpTransport

ABOUT: Final = "tenant.json"
SECONDS: Final = 60.0
_ASKED: Final = "asked"
_OURS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FILES: Final = frozenset(
    {
        *(f"{use}.crt" for use in enrol.USES),
        *("system.json", "ca.crt", "gateway-sign.crt", "gateway-encrypt.crt", "gateway.json", "log.vkey"),
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the vendor asks for. `address`: where her provider is called; `code`: of an invitation."""

    name: str
    contact: str
    contracts: tuple[str, ...]
    role: str = "caller"
    protocol: str = "rest"
    address: str = ""
    code: str = ""

    def content(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "contact": self.contact,
            "contracts": list(self.contracts),
            "role": self.role,
            "protocol": self.protocol,
            "address": self.address,
            "code": self.code,
        }

    def asked(self) -> dict[str, Any]:
        """What stands in the folder, so that another run there is for the same."""
        return {name: value for name, value in self.content().items() if name != "code"}


@dataclass(frozen=True, slots=True)
class Joined:
    """`calls` are the first calls, as the sandbox tells them."""

    tenant: str
    system: str
    page: str
    calls: tuple[Mapping[str, Any], ...]


async def join(
    url: str, wanted: Wanted, folder: Path, *, anchors: Path | None = None, passphrase: bytes | None = None
) -> Joined:
    """`url` is the address of the sandbox's pages. `anchors`: authorities (PEM) of its TLS certificate.

    Raises `Refused`, `NoConnection`, `NotProven`, `BadIdentity`, `BadUsage`.
    """
    base = checked(url)
    transport = HttpTransport(tls_of(anchors), seconds=SECONDS, connections=1)
    try:
        about = kept(folder) or await _admitted(transport, base, wanted, folder)
        if about.get(_ASKED, wanted.asked()) != wanted.asked():
            raise CLIENT_USAGE(what=words("joined-before", folder=str(folder), tenant=about["tenant"]))
        system, token = str(about["system"]), str(about["token"])
        if not (folder / "tls.key").exists():
            hosts = [str(each) for each in about["hosts"]]
            enrol.keygen(system, folder, hosts=hosts, passphrase=passphrase)
        own = {"authorization": f"Bearer {token}"}
        if not all((folder / name).exists() for name in _FILES):  # each order makes new certificates
            await _certified(transport, f"{base}/sandbox/api/systems/{system}/certificates", own, folder)
        Identity.load(folder, passphrase=passphrase)
        tenant = await _asked(transport, f"{base}/sandbox/api/systems", own, None)
    finally:
        await transport.close()
    calls: list[Any] = next((each["calls"] for each in tenant["systems"] if each["system"] == system), [])
    return Joined(str(about["tenant"]), system, str(about["page"]), tuple(calls))


def tls_of(anchors: Path | None) -> ssl.SSLContext:
    """`anchors`: authorities (PEM) of the pages' TLS certificate. Raises `BadUsage`."""
    try:
        return ssl.create_default_context(cafile=None if anchors is None else str(anchors))
    except OSError as wrong:
        raise CLIENT_USAGE(what=f"{anchors}: {wrong.strerror or wrong}") from None


def checked(url: str) -> str:
    parts = urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in _OURS
    if not (parts.scheme == "https" or plain) or not parts.hostname or parts.query or "@" in parts.netloc:
        raise CLIENT_USAGE(what=words("no-sandbox-url", url=repr(url)))
    return url.rstrip("/").removesuffix("/sandbox/join")


async def _certified(transport: HttpTransport, url: str, own: Mapping[str, str], folder: Path) -> None:
    requests = {use: (folder / f"{use}.csr").read_text("ascii") for use in enrol.USES}
    answer = await _asked(transport, url, own, requests)
    for name, text in answer["files"].items():
        if name in _FILES:  # no other name comes into the folder
            _write(folder / name, str(text))


async def _admitted(transport: HttpTransport, base: str, wanted: Wanted, folder: Path) -> dict[str, Any]:
    content = await _asked(transport, f"{base}/sandbox/join", {}, wanted.content())
    system = str(content.get("system"))
    if enrol.SYSTEM.fullmatch(system) is None or not {"tenant", "token", "hosts", "page"} <= set(content):
        raise rest.not_proven("POST", base, 201, "not the answer of a sandbox")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    content |= {_ASKED: wanted.asked()}
    write_private(folder / ABOUT, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
    return content


async def _asked(transport: HttpTransport, url: str, more: Mapping[str, str], content: Any) -> dict[str, Any]:
    """As `ask`; before the join is whole there is neither a `system.json` nor a message to repeat."""
    try:
        return await ask(transport, url, more, content)
    except NoConnection as trouble:
        raise CLIENT_NO_SANDBOX(sent=trouble.sent, **trouble.facts) from trouble


def kept(folder: Path) -> dict[str, Any] | None:
    """What an earlier run in this folder was told."""
    try:
        content = read_json((folder / ABOUT).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as wrong:
        raise CLIENT_USAGE(what=f"{folder / ABOUT}: {str(wrong)[:120]}") from None
    return dict(content)


async def ask(transport: HttpTransport, url: str, more: Mapping[str, str], content: Any) -> dict[str, Any]:
    """A POST of JSON or of bytes, or a GET without content. Raises `Refused`."""
    method, plain = "GET" if content is None else "POST", isinstance(content, bytes)
    headers = {"accept": "application/json", "accept-language": "vi", **more}
    if content is not None:
        headers["content-type"] = "application/octet-stream" if plain else "application/json"
    body = content if content is None or plain else json.dumps(content, ensure_ascii=False).encode()
    raw = await transport.send(method, url, headers, body)
    if raw.status >= 300:
        answer = Answer(raw.status, raw.headers, raw.body, raw.body, False)
        raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), answer)
    try:
        value = read_json(raw.body)
    except ValueError as wrong:
        raise rest.not_proven(method, url, raw.status, str(wrong)[:120]) from None
    if not isinstance(value, dict):
        raise rest.not_proven(method, url, raw.status, "not a JSON object")
    return value


def _write(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, "utf-8")
    part.chmod(0o600)
    part.replace(path)
