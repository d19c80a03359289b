"""A door's part in a caller's run: it answers some calls as the step demands, and writes down every call.

A run lies in a folder of its system below `run/conformance`: `step.json` is what happens now, `calls.jsonl` the calls.
Only a sandbox has it. Where a system has no run, a call costs one look at the disk.
Invariant: a special answer is given to proven calls alone, and no more often than the step says, over all processes.
Invariant: a run ends by itself at its time, also if whoever began it never looks again.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lxml import etree

from contracts.base.errors import Failure
from gateway.doors.reply import Reply
from gateway.doors.rest import RestDoor
from gateway.doors.soap import SoapDoor
from gateway.exchange.errors import MESSAGE_IN_PROGRESS
from gateway.exchange.refusal_log import RefusalLog
from gateway.sandbox.conformance.errors import CONFORM_QUOTA, CONFORM_REFUSED, CONFORM_UNAVAILABLE
from gateway.transfer.stages import Addressed, Answered, Face, Refused, Requested

FOLDER: Final = "conformance"
STEP: Final = "step.json"
CALLS: Final = "calls.jsonl"
RETRY_AFTER: Final = 1  # seconds
MOST_BYTES: Final = 20_000_000  # of a run's calls; later ones are carried, and not written down
_SHOWN: Final = 20_000  # bytes of a request or an answer
_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_WSA: Final = "http://www.w3.org/2005/08/addressing"
_SPOILT: Final = frozenset({"lost", "unsigned", "digest-wrong", "other-key"})
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
Door = RestDoor | SoapDoor
Ended = Answered | Refused


@dataclass(slots=True)
class Trials:
    """All runs of an instance, for one door. `clock` gives Unix seconds."""

    folder: Path
    refusals: RefusalLog
    clock: Callable[[], float]

    async def answer(
        self, addressed: Addressed, door: Door, carry: Callable[[], Awaitable[Ended]]
    ) -> tuple[Ended, Reply]:
        """How a call ended, and the reply: as the exchange has it (`carry`), or as the step of a run demands."""
        place = self.folder / addressed.channel.system.id
        step = _now(place, addressed.received.at)
        ended: Ended
        if step is None:
            ended = await carry()
            return ended, door.render(ended)
        change = str(step["change"]) if step["left"] > 0 else ""
        requested = _proven(door, addressed) if change and change not in _SPOILT else None
        if requested is not None and _take(place, step):
            ended = await self.refusals.refuse(requested, _failure(change, str(step["run"])))
            reply = door.render(ended)
        else:
            ended = await carry()
            reply, well = door.render(ended), isinstance(ended, Answered) and ended.failure is None
            if change in _SPOILT and well and _take(place, step):
                reply = spoilt(reply, change)
            else:
                change = ""
        _write_down(place, step, _call(addressed, ended, requested, reply, change))
        return ended, reply


def _proven(door: Door, addressed: Addressed) -> Requested | None:
    """The request as far as its proofs and its id go; None for one that is refused anyhow."""
    try:
        return door.request(door.authenticate(addressed))
    except Failure:
        return None


def _failure(change: str, run: str) -> Failure:
    if change == "quota":
        return CONFORM_QUOTA(run=run, retry_after=RETRY_AFTER)
    if change == "unavailable":
        return CONFORM_UNAVAILABLE(run=run, retry_after=RETRY_AFTER)
    if change == "in-progress":
        return MESSAGE_IN_PROGRESS(transfer=run, retry_after=RETRY_AFTER)
    return CONFORM_REFUSED(run=run)


# --- answers that prove nothing ---------------------------------------------------------------------------------------
def spoilt(reply: Reply, change: str) -> Reply:
    """The answer without its proof."""
    if change == "lost":
        return Reply(502, {"content-type": "text/plain; charset=utf-8"}, b"")
    if "signature" not in reply.headers:
        return Reply(reply.status, reply.headers, _spoilt_envelope(reply.body, change))
    headers, body = dict(reply.headers), reply.body
    if change == "unsigned":
        del headers["signature"], headers["signature-input"]
    elif change == "digest-wrong":
        body = body + b"\n" if body[-1:] in (b"}", b"]") else body[:-1] + (b"A" if body[-1:] != b"A" else b"B")
    else:
        headers["signature"] = _flipped(headers["signature"])
    return Reply(reply.status, headers, body)


def _spoilt_envelope(body: bytes, change: str) -> bytes:
    root = etree.fromstring(body, _PARSER)
    signature = next(root.iter(f"{{{_DS}}}Signature"))
    if change == "unsigned":
        parent = signature.getparent()
        assert parent is not None
        parent.remove(signature)
    elif change == "digest-wrong":
        root[-1].text = "\n" + (root[-1].text or "")
    else:
        value = next(signature.iter(f"{{{_DS}}}SignatureValue"))
        value.text = _flipped("".join((value.text or "").split()))
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))


def _flipped(signature: str) -> str:
    at = len(signature) // 2
    return signature[:at] + ("B" if signature[at] != "B" else "C") + signature[at + 1 :]


# --- files ------------------------------------------------------------------------------------------------------------
def _now(place: Path, at: float) -> dict[str, Any] | None:
    """The step of the system's run; None if it has none that is open at the time."""
    try:
        step: dict[str, Any] = json.loads((place / STEP).read_bytes())
    except FileNotFoundError:
        return None
    return step if at < float(step["until"]) else None


def _take(place: Path, step: dict[str, Any]) -> bool:
    """Whether this call gets the special answer. Counts down."""
    with locked(place):
        now = _now(place, 0.0)
        if now is None or now["step"] != step["step"] or now["run"] != step["run"] or now["left"] <= 0:
            return False
        replace(place / STEP, json.dumps({**now, "left": now["left"] - 1}).encode())
        return True


def _write_down(place: Path, step: dict[str, Any], call: dict[str, Any]) -> None:
    line = json.dumps({"run": step["run"], "step": step["step"], **call}, ensure_ascii=False) + "\n"
    with locked(place), (place / CALLS).open("ab") as file:
        if file.tell() < MOST_BYTES:
            file.write(line.encode())


@contextlib.contextmanager
def locked(place: Path) -> Iterator[None]:
    """Alone among the processes that look at this run."""
    descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace(file: Path, content: bytes) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_bytes(content)
    part.replace(file)


# --- what is written down of a call -----------------------------------------------------------------------------------
def _call(addressed: Addressed, ended: Ended, requested: Requested | None, reply: Reply, change: str) -> dict[str, Any]:
    received = addressed.received
    requested = ended.requested if isinstance(ended, Answered) else requested
    failure = ended.failure
    operation = requested.operation if requested is not None else addressed.operation
    return {
        "at": received.at,
        "kind": received.face.value,
        "contract": addressed.contract.contract.name,
        "operation": "" if operation is None else operation.name,
        "id": requested.message_id if requested is not None else _stated_id(addressed),
        "transfer": ended.receipt.transfer,
        "change": change,
        "status": reply.status,
        "code": "" if failure is None else failure.code,
        "branch": "" if failure is None else failure.branch.value,
        "findings": [] if failure is None else [
            f"{each.here or each.canonical or '/'}: {each.rule}" for each in failure.findings[:20]
        ],
        "digest": hashlib.sha256(received.body).hexdigest(),
        "request": _text(
            f"{received.method} {received.target_uri}",
            {name: value for name, value in received.headers.items() if name != "authorization"},
            received.body,
        ),
        "answer": _text(str(reply.status), reply.headers, reply.body),
    }  # fmt: skip


def _stated_id(addressed: Addressed) -> str:
    """The id of a message that was refused, as it says itself."""
    received = addressed.received
    if received.face is Face.REST:
        return received.headers.get("idempotency-key", "").strip('"')[:128]
    try:
        found = etree.fromstring(received.body, _PARSER).findtext(f"{{*}}Header/{{{_WSA}}}MessageID")
    except (etree.XMLSyntaxError, ValueError):
        return ""
    return (found or "").strip()[:256]


def _text(first: str, headers: Any, body: bytes) -> str:
    """As it travelled, cut off where it is long; other bytes than text in base64."""
    lines = [first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    cut = body[:_SHOWN]
    try:
        shown = cut.decode("utf-8", "strict" if cut == body else "ignore")
    except UnicodeDecodeError:
        shown = "base64: " + base64.b64encode(cut).decode("ascii")
    return "\n".join(lines) + shown
