"""Which transfer and trace the running task works on: for lines of the process log, and for calls to others.

A call continues the trace of its caller (W3C Trace Context). Without one, and for what the keeper delivers later, the
trace has the id of the transfer: 32 hex digits, the last 16 of which are nearly all random. So the trace of a delivery
is known from the transfer, and nothing has to be stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from contracts.base.randomness import random_bytes
from contracts.wire import traces
from contracts.wire.traces import Trace


@dataclass(slots=True)
class Here:
    """`span`: of this process's part in the trace. `parent`: of the caller's, or empty."""

    transfer: str
    trace: str
    span: str
    sampled: bool = True
    state: str = ""
    parent: str = ""
    system: str = ""  # who calls, or is called, once that is known


_current: Final[ContextVar[Here | None]] = ContextVar("lgsp_trace", default=None)


def here() -> Here | None:
    return _current.get()


def enter(transfer: str, sent: Trace | None = None, system: str = "") -> Here:
    """From now on this task works on `transfer`, in the trace that its caller `sent`, or a new one."""
    if sent is None:
        found = Here(transfer, trace_of(transfer), _span(), system=system)
    else:
        found = Here(transfer, sent.trace, _span(), sent.sampled, sent.state, sent.span, system)
    _current.set(found)
    return found


def enter_call(transfer: str, headers: Iterable[tuple[bytes, bytes]]) -> Here:
    """The same for a request, by the raw fields of its head."""
    sent: dict[str, str] = {}
    for name, value in headers:
        if name in (b"traceparent", b"tracestate") and len(value) <= traces.MOST:
            key, text = name.decode("ascii"), value.decode("latin-1").strip()
            sent[key] = f"{sent[key]},{text}" if key in sent else text
    return enter(transfer, traces.read(sent) if sent else None)


def named(system: str) -> None:
    """The system of the call is known now."""
    found = _current.get()
    if found is not None:
        found.system = system


def outgoing(transfer: str) -> Mapping[str, str]:
    """The headers of a call to another system for this transfer: its own span, which is a child of this task's."""
    found = _current.get()
    if found is None or found.transfer != transfer:
        return Trace(trace_of(transfer), _span(), True).headers()
    return Trace(found.trace, _span(), found.sampled, found.state).headers()


def trace_of(name: str) -> str:
    """The trace of a transfer: its id, if that is a UUID; else of a digest of the name."""
    digits = name.replace("-", "").lower()
    if len(digits) == 32 and set(digits) <= set("0123456789abcdef") and digits.strip("0"):
        return digits
    return sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def _span() -> str:
    span = random_bytes(8)
    return span.hex() if any(span) else "0000000000000001"
