"""The door of dropped files: a file in a registered folder to messages.

The folder identifies the system: its permissions decide who writes there. The SHA-256 digest of the file is the message
id, so the same file dropped twice is one message. Grants, log, vault and feed are the exchange's.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from adapters.model import DropFolder, DropRule
from contracts.base.errors import Finding
from contracts.codecs.cells.codec import CellCodec, Line, shown
from contracts.codecs.cells.hidden import Hidden
from contracts.mapping.grid import MEDIA_TYPES
from gateway.doors.files.errors import FILE_NO_OPERATION, FILE_NO_RULE
from gateway.registry.records import System
from gateway.registry.snapshot import Snapshot
from gateway.transfer.stages import Addressed, Authenticated, Authorised, Channel, Face, Message, Received, Requested


def received(transfer: str, at: float, drop: DropFolder, name: str, body: bytes, snapshot: Snapshot) -> Received:
    """A dropped file as input of the exchange. Its evidence holds folder, name and digest."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
    headers = {
        "content-digest": f"sha-256=:{digest}:",
        "content-type": MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream"),
    }
    path = f"/{drop.folder}/{name}"
    return Received(
        transfer=transfer,
        at=at,
        face=Face.FILES,
        method="PUT",
        path=path,
        target_uri=f"file:{path}",
        query="",
        headers=headers,
        body=body,
        certificate=None,
        source=f"folder {drop.folder}",
        snapshot=snapshot,
    )


def rule_for(drop: DropFolder, name: str) -> DropRule:
    """The first rule whose pattern matches the name. The content does not matter."""
    for rule in drop.rules:
        if fnmatchcase(name.lower(), rule.match.lower()):
            return rule
    raise FILE_NO_RULE(name=name, known=", ".join(rule.match for rule in drop.rules))


def addressed(of: Received, system: System, rule: DropRule) -> Addressed:
    contract = of.snapshot.contract(rule.contract)
    operation = contract.contract.operations.get(rule.operation) if contract is not None else None
    if contract is None or operation is None:
        raise FILE_NO_OPERATION(contract=rule.contract, operation=rule.operation)
    return Addressed(of, Channel(system, None), contract, operation)


@dataclass(slots=True)
class FileDoor:
    """One file. `lines` and `hidden` are known once it is decoded, even if decoding fails."""

    rule: DropRule
    digest: bytes
    lines: list[Line] = field(default_factory=list)
    hidden: Hidden = field(default_factory=Hidden)

    @property
    def good(self) -> list[Line]:
        return [line for line in self.lines if line.value is not None]

    @property
    def bad(self) -> list[Line]:
        return [line for line in self.lines if line.value is None]

    @property
    def message_id(self) -> str:
        return f"sha256:{self.digest.hex()}"

    def is_whole(self, addressed: Addressed) -> bool:
        """Whether all lines are one message. A format without a table for the request is a registration error."""
        operation = addressed.operation
        codec = addressed.contract.formats.get(self.rule.format)
        if operation is None or not isinstance(codec, CellCodec) or operation.request not in codec.mapped:
            raise FILE_NO_OPERATION(
                contract=self.rule.contract,
                operation=f"{self.rule.operation} ({self.rule.format})",
            )
        return codec.is_list(operation.request)

    def authenticate(self, addressed: Addressed) -> Authenticated:
        system = addressed.channel.system
        if not system.active:
            raise addressed.snapshot.suspension(system)
        return Authenticated(addressed, key=None, replay=None, payload_digest=self.digest, proof=None)

    def request(self, authenticated: Authenticated) -> Requested:
        operation = authenticated.addressed.operation
        assert operation is not None
        return Requested(
            authenticated, self.message_id, operation, operation.request, authenticated.received.body, self.rule.format
        )

    def decode(self, authorised: Authorised) -> Message:
        """The one message of all good lines."""
        requested = authorised.requested
        codec = self.read(requested)
        return codec.joined(requested.request, [line.value for line in self.good if line.value is not None])

    def here(self, requested: Requested, paths: Sequence[str]) -> str:
        """The number of the good line, and the titles of the columns."""
        number = paths[0].partition("[")[2].partition("]")[0]
        if not number.isdecimal() or int(number) >= len(self.good):
            return ""
        whole = [path.replace(f"[{number}]", "[]", 1) for path in paths]
        return here_of_line(requested, self.good[int(number)], whole)

    def read(self, requested: Requested) -> CellCodec:
        """Reads the lines. Raises `message.invalid` for an invalid file, or for any bad line unless the operation is
        partial.
        """
        codec = requested.codec
        assert isinstance(codec, CellCodec)  # is_whole
        received = requested.received
        self.lines = codec.read_lines(requested.request, received.body, received.at, self.hidden)
        if self.bad and (not requested.operation.partial or not self.good):
            findings = [shown(line.number, finding) for line in self.bad for finding in line.findings]
            raise codec.invalid(requested.request, findings)
        return codec


@dataclass(frozen=True, slots=True)
class LineDoor:
    """One good line of a file as a message. Its id is the file's with the line number."""

    file: FileDoor
    line: Line

    def authenticate(self, addressed: Addressed) -> Authenticated:
        proven = self.file.authenticate(addressed)
        return proven._replace(
            payload_digest=hashlib.sha256(self.file.digest + f":{self.line.number}".encode()).digest()
        )

    def request(self, authenticated: Authenticated) -> Requested:
        requested = self.file.request(authenticated)
        return requested._replace(message_id=f"{requested.message_id}:{self.line.number}")

    def decode(self, authorised: Authorised) -> Message:
        assert self.line.value is not None
        return self.line.value

    def here(self, requested: Requested, paths: Sequence[str]) -> str:
        return here_of_line(requested, self.line, paths)


def here_of_line(requested: Requested, line: Line, paths: Sequence[str]) -> str:
    codec = requested.codec
    assert isinstance(codec, CellCodec)  # is_whole
    return shown(line.number, Finding(codec.here(requested.request, paths), "", "", "", "")).here
