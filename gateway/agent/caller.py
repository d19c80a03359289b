"""Serves the old system as caller: takes plain REST and SOAP on its host and sends them to the gateway (docs/agent.md).

    GET|POST /<contract>/v<n>/…           REST, as in the contract's OpenAPI, without token and signature
    POST     /soap/<contract>/v<n>        SOAP 1.1 or 1.2, unsigned; ?wsdl and ?xsd give its documents
    GET      /transfers…, /feeds/…        its own transfers and their answers; what it may read of feeds, also as stream
    POST     /bodies, GET /transfers/<id>/bodies/<reference>  files beside documents (`gateway.agent.files`)
    GET      /contracts/<contract>/v<n>…  the gateway's documents of the contract, with this address in them

Order of checks: address and secret from the head, then the body.
Invariant: a refusal is in the protocol of the address called.
Invariant: a 202 of the agent means that the message is on disk.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from contracts.base.errors import Failure, Theirs
from contracts.base.ids import new_id
from contracts.wire import faults, problems, soap
from contracts.wire.headers import RESPOND_ASYNC, media_type, prefers
from contracts.wire.jsontext import text_of
from contracts.wire.server_events import MEDIA_TYPE
from contracts.wire.targets import is_plain
from contracts.wire.xmltext import escape_text
from gateway.agent import documents, streams
from gateway.agent.config import CallerSide
from gateway.agent.directory import Directory, Operation
from gateway.agent.errors import (
    AGENT_ADDRESS,
    AGENT_ENVELOPE,
    AGENT_MEDIA_TYPE,
    AGENT_MESSAGE_ID,
    AGENT_SECRET,
    AGENT_UNREACHABLE,
)
from gateway.agent.files import Files
from gateway.agent.link import Away, Link, Manner, Passed, Streamed
from gateway.agent.listener import Body, Head, Reply
from gateway.agent.queue import Queue
from gateway.agent.secret import LocalSecret
from gateway.agent.store import Message

SOAP_PREFIX: Final = "/soap/"
JSON: Final = "application/json"
_ID_MOST: Final = {"rest": 128, "soap": 256}
_VERSIONS: Final = {"text/xml": soap.V11, "application/xml": soap.V11, "application/soap+xml": soap.V12}
_TRANSFERS: Final = re.compile(r"/transfers(/[0-9a-f-]{36}(/answer)?)?")
_ACTION: Final = re.compile(r';\s*action\s*=\s*(?:"([^"]*)"|([^\s;"]+))', re.IGNORECASE)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,255}(?::\d{1,5})?|\[[0-9a-f:]{2,45}\](?::\d{1,5})?")
_MARKED_ID: Final = "idempotency-key"


@dataclass(slots=True)
class Caller:
    """The handler of the local listener."""

    side: CallerSide
    secret: LocalSecret
    base: str  # the gateway's public base address
    link: Link
    directory: Directory
    queue: Queue
    files: Files

    async def handle(self, head: Head, read: Body) -> Reply:
        name = self._contract_of(head)
        if head.method == "GET" and _is_document(head, name):
            return await self._document(head)
        self.secret.check(head.headers)
        if head.path.startswith(SOAP_PREFIX):
            if name is None or head.method != "POST" or head.query:
                raise self._astray(head)
            return await self._soap(head, name, await read())
        passed = await self.files.handle(head, read)
        if passed is not None:
            return passed
        if head.path == streams.TOGETHER and head.method == "GET" and is_plain(head.target):
            if not set(streams.feeds_of(head)) <= set(self.side.contracts):
                raise self._astray(head)
            name = streams.TOGETHER
        if name is not None and streams.is_stream(head):
            return await self._stream(head)
        if not is_plain(head.target):  # the gateway could read another address in it than was looked at here
            raise self._astray(head)
        if name is None and not (head.method == "GET" and _TRANSFERS.fullmatch(head.path)):
            raise self._astray(head)
        return await self._rest(head, await read())

    def refuse(self, head: Head, failure: Failure) -> Reply:
        if head.path.startswith(SOAP_PREFIX):
            version = _VERSIONS.get(media_type(head.headers), soap.V11)
            body = soap.plain_envelope(faults.fault(failure, "", version), version)
            sent = {"content-type": f"{version.media_type}; charset=utf-8"}
            if failure.retry_after is not None:
                sent["retry-after"] = str(failure.retry_after)
            return Reply(faults.status(failure, version), sent, body)
        status, headers, body = problems.render(
            failure, transfer=None, accept_language=head.headers.get("accept-language")
        )
        if failure.code == AGENT_SECRET.code:
            headers["www-authenticate"] = 'Basic realm="lgsp-agent"'
        return Reply(status, headers, body)

    def _contract_of(self, head: Head) -> str | None:
        """The contract of an address, if the agent is configured for it."""
        path = head.path
        for prefix in (SOAP_PREFIX, "/contracts/", "/feeds/"):
            path = path.removeprefix(prefix) if path.startswith(prefix) else path
        parts = path.strip("/").split("/")
        name = "/".join(parts[:2])
        return name if name in self.side.contracts and is_plain(head.target) else None

    def _astray(self, head: Head) -> Theirs:
        allowed = ", ".join(f"/{name}/…, POST {SOAP_PREFIX}{name}" for name in self.side.contracts)
        return AGENT_ADDRESS(method=head.method, path=head.target[:120], allowed=allowed)

    async def _document(self, head: Head) -> Reply:
        """The gateway's document with the agent's address, so that generated clients call the agent."""
        target = head.path  # without the query, so that callers cannot fill the disk with variants
        if target.startswith(SOAP_PREFIX):
            target += "?" + head.query.lower()[:4].rstrip("=")
        document = await self.directory.document(target)
        if document is None:
            raise AGENT_UNREACHABLE(reason=target[:120], retry_after=30)
        return documents.local(document, self.base, self.here(head))

    def here(self, head: Head) -> str:
        """The agent's address, as this caller names it."""
        host = head.headers.get("host", "")
        return f"http://{host if _HOST.fullmatch(host) else self.side.listen}"

    async def _stream(self, head: Head) -> Reply:
        result = await self.link.stream(*streams.asked(head))
        if not isinstance(result, Streamed):
            return self._answer(result, None)
        return Reply(200, {"content-type": MEDIA_TYPE, "cache-control": "no-store"}, b"", streams.passed_on(result))

    async def _rest(self, head: Head, body: bytes) -> Reply:
        language = problems.language_of(head.headers.get("accept-language"))
        content_type = head.headers.get("content-type", JSON)
        header = head.headers.get(_MARKED_ID)
        message_id = None if header is None else _plain_id(header.strip().strip('"'), "Idempotency-Key", "rest")
        later = prefers(head.headers, RESPOND_ASYNC)
        operation = await self.known(lambda: self.directory.rest(head.method, head.path))
        if operation is None or not operation.submits:
            manner = Manner(content_type, language, later)
            result = await self.link.rest(head.method, head.target, body or None, message_id, manner)
            return self._answer(result, message_id)
        message_id = message_id or new_id()
        call: dict[str, Any] = {"face": "rest", "target": head.target, "content_type": content_type}
        call |= {"language": language} | ({"later": True} if later else {})
        outcome = await self.submit(operation, message_id, call, body)
        if isinstance(outcome, str):
            state = {"message": message_id, "state": outcome, "by": "agent"}
            return Reply(202, {"content-type": JSON, _MARKED_ID: f'"{message_id}"'}, text_of(state).encode())
        return self._answer(outcome, message_id)

    def _answer(self, result: Passed | Away, message_id: str | None) -> Reply:
        if isinstance(result, Away):
            raise result.failure
        named = {} if message_id is None else {_MARKED_ID: f'"{message_id}"'}
        return Reply(result.status, result.shown | named, result.body)

    async def _soap(self, head: Head, name: str, body: bytes) -> Reply:
        media = media_type(head.headers)
        version = _VERSIONS.get(media)
        if version is None:
            raise AGENT_MEDIA_TYPE(got=media or "—", expected="text/xml, application/soap+xml")
        root = soap.parse_envelope(body, version)
        header = root[0] if len(root) == 2 else None
        element = soap.body_child(root)
        given_id, given_action = _headers(header, version) if header is not None else (None, None)
        message_id = f"urn:uuid:{new_id()}" if given_id is None else _plain_id(given_id, "wsa:MessageID", "soap")
        action = _action(head.headers, version) or given_action or element.tag.replace("{", "").replace("}", ":")
        content = soap.canonical(element)
        call: dict[str, Any] = {"face": "soap", "contract": name, "action": action, "version": version.number}
        call |= {"later": True} if prefers(head.headers, RESPOND_ASYNC) else {}
        operation = await self.known(lambda: self.directory.soap(name, str(element.tag)))
        if operation is None or not operation.submits:
            result: Passed | Away | str = await self.link.soap(name, content, message_id, call)
        else:
            result = await self.submit(operation, message_id, call, content)
        if isinstance(result, Away):
            raise result.failure
        sent = {"content-type": f"{version.media_type}; charset=utf-8"}
        if isinstance(result, str):
            inside = (
                "<lgsp:Queued "
                f'xmlns:lgsp="{soap.LGSP}"><lgsp:Message>{escape_text(message_id)}</lgsp:Message></lgsp:Queued>'
            )
            return Reply(202, sent, soap.plain_envelope(inside.encode(), version, [_relates_to(message_id)]))
        if result.body[:1] in (b"{", b"["):  # an early refusal, not an envelope
            return Reply(result.status, result.shown, result.body)
        answer = soap.canonical(soap.parse_xml(result.body))
        return Reply(
            result.status, result.shown | sent, soap.plain_envelope(answer, version, [_relates_to(message_id)])
        )

    async def known(self, find: Callable[[], Operation | None]) -> Operation | None:
        """`find()`; once more after a refresh while documents are missing, as after a start without the gateway."""
        operation = find()
        if operation is None and not self.directory.complete:
            await self.directory.refresh()
            operation = find()
        return operation

    async def submit(self, operation: Operation, message_id: str, call: Mapping[str, Any], body: bytes) -> Passed | str:
        """Send now if no message of its lane waits and the gateway answers; else store it and return its state."""
        message = Message(
            number=self.queue.take_number(), id=message_id, lane=operation.lane, call=call, body=body, taken=time.time()
        )
        if not await self.queue.must_wait(message):
            result = await self.link.send(message_id, call, body)
            if isinstance(result, Passed):
                return result
        return await self.queue.put(message)


def _is_document(head: Head, name: str | None) -> bool:
    if name is None:
        return False
    if head.path.startswith(SOAP_PREFIX):
        return head.query.lower() in ("wsdl", "xsd") or head.query.lower().startswith("xsd=")
    return head.path.startswith("/contracts/")


def _action(headers: Mapping[str, str], version: soap.Version) -> str:
    if version is soap.V11:
        return headers.get("soapaction", "").strip().strip('"')
    match = _ACTION.search(headers.get("content-type", ""))
    return "" if match is None else match[1] or match[2] or ""


def _headers(header: etree._Element, version: soap.Version) -> tuple[str | None, str | None]:
    """Message id and action of WS-Addressing. Refuses signed envelopes and other mustUnderstand headers."""
    values: dict[str, str] = {}
    for block in header:
        if block.tag == soap.SECURITY:
            raise AGENT_ENVELOPE(why="wsse:Security")
        if str(block.tag).startswith(f"{{{soap.WSA}}}"):
            values[str(block.tag)] = (block.text or "").strip()
        elif (
            block.get(version.must_understand, "0").strip() in ("1", "true")
            and block.get(version.role, "").strip() in version.ours
        ):
            raise AGENT_ENVELOPE(why=f"mustUnderstand {str(block.tag)[:120]}")
    return values.get(soap.MESSAGE_ID), values.get(soap.ACTION)


def _plain_id(text: str, where: str, face: str) -> str:
    most = _ID_MOST[face]
    if not 1 <= len(text) <= most or not text.isascii() or not text.isprintable() or any(c in '"\\ ' for c in text):
        raise AGENT_MESSAGE_ID(where=where, most=most)
    return text


def _relates_to(message_id: str) -> bytes:
    return f'<wsa:RelatesTo xmlns:wsa="{soap.WSA}">{escape_text(message_id)}</wsa:RelatesTo>'.encode()
