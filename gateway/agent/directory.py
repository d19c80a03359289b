"""Fetches what the gateway publishes of the contracts: operations, which of them are submissions, documents.

Documents are fetched over verified TLS without a client certificate. They are kept on disk, so an agent that starts
without the gateway still knows what it may queue.
Invariant: only an operation known to be a submission is queued.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from lxml import etree

from contracts.base.errors import Failure
from contracts.wire import soap
from gateway.client import NoConnection
from gateway.client.transport import Transport

log = logging.getLogger("lgsp.agent")
_WSDL: Final = "{http://schemas.xmlsoap.org/wsdl/}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `lane` is its name in the queue."""

    lane: str
    submits: bool


@dataclass(frozen=True, slots=True)
class Contract:
    """The operations by method and path, and by the element in the Body, in all formats of the contract."""

    rest: Mapping[tuple[str, str], Operation]
    soap: Mapping[str, Operation]


class Directory:
    def __init__(self, transport: Transport, base: str, folder: Path, names: tuple[str, ...]) -> None:
        self._transport, self._base, self._folder = transport, base, folder
        self.names: Final = names
        self._contracts: dict[str, Contract] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in names:
            self._read(name)

    @property
    def complete(self) -> bool:
        return all(name in self._contracts for name in self.names)

    def rest(self, method: str, path: str) -> Operation | None:
        for contract in self._contracts.values():
            operation = contract.rest.get((method, path))
            if operation is not None:
                return operation
        return None

    def soap(self, contract: str, element: str) -> Operation | None:
        known = self._contracts.get(contract)
        return None if known is None else known.soap.get(element)

    async def refresh(self) -> None:
        """Fetch the agent's contracts; keep the stored form of those that cannot be fetched."""
        for name in self.names:
            summary = await self.document(f"/contracts/{name}")
            if summary is None:
                continue
            for target in _wsdls(summary, self._base):
                await self.document(target)
            self._read(name)

    async def document(self, target: str) -> bytes | None:
        """A published document from the gateway, or the stored copy if the gateway does not answer."""
        kept = self._folder / quote(target, safe="")
        try:
            raw = await self._transport.send("GET", self._base + target, {"accept": "application/json, text/xml"}, None)
        except NoConnection:
            return kept.read_bytes() if kept.exists() else None
        if raw.status != 200:
            return None
        part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
        part.write_bytes(raw.body)
        part.replace(kept)
        return raw.body

    def _read(self, name: str) -> None:
        """Build the tables of a contract from disk; an unreadable file is fetched again later."""
        summary = self._folder / quote(f"/contracts/{name}", safe="")
        try:
            about: dict[str, Any] = json.loads(summary.read_bytes())
            operations = {
                each["name"]: (
                    each["method"],
                    each["address"],
                    Operation(f"{name} {each['name']}", each["pattern"] != "query"),
                )
                for each in about["operations"]
            }
            rest = {
                (method, unquote(address.removeprefix(self._base))): operation
                for method, address, operation in operations.values()
            }
            elements: dict[str, Operation] = {}
            for target in _wsdls(summary.read_bytes(), self._base):
                file = self._folder / quote(target, safe="")
                for element, operation in _inputs(file.read_bytes()) if file.exists() else ():
                    elements.setdefault(element, operations[operation][2])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, Failure) as wrong:
            log.warning("what is kept of %s cannot be read (%s)", name, type(wrong).__name__)
            return
        self._contracts[name] = Contract(rest, elements)


def _wsdls(summary: bytes, base: str) -> list[str]:
    """The paths of the contract's WSDLs: the canonical one, and one for each other XML format."""
    try:
        about = json.loads(summary)
        foreign = [each for each in about.get("foreign", {}).values() if each.endswith(".wsdl")]
        return [str(each).removeprefix(base) for each in (about["wsdl"], *foreign)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _inputs(wsdl: bytes) -> Iterator[tuple[str, str]]:
    """Operation -> the element in the Body of its request."""
    root = soap.parse_xml(wsdl)
    parts = {
        message.get("name"): _qualified(message.find(f"{_WSDL}part")) for message in root.iterfind(f"{_WSDL}message")
    }
    for operation in root.iterfind(f"{_WSDL}portType/{_WSDL}operation"):
        asked = operation.find(f"{_WSDL}input")
        element = None if asked is None else parts.get(asked.get("message", "").rpartition(":")[2])
        if element is not None:
            yield element, operation.get("name", "")


def _qualified(part: etree._Element | None) -> str | None:
    if part is None:
        return None
    prefix, _, local = part.get("element", "").rpartition(":")
    space = part.nsmap.get(prefix or None)
    return f"{{{space}}}{local}" if space else local
