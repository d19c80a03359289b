"""Sends a span of each call and delivery to an OpenTelemetry collector (OTLP over HTTP), where `otlp_url` names one.

    trace of the caller or of the transfer (gateway.signals.traces)
       `-- the exchange's part (server), or a delivery by the keeper (consumer)
             `-- the call to a provider, a callback's or webhook's receiver (client): what it gets as `traceparent`

A span says which contract, operation, system and transfer, and the code of a failure: what the process log says too.
Spans of a process wait in a queue of 2,048; a thread sends them. What does not fit, or cannot be sent, is lost.
Variables of OpenTelemetry apply, `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_CERTIFICATE` among them.
Invariant: no call waits for the collector, or ends otherwise because of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from contracts.wire import traces as form
from gateway.signals.traces import Here

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

_log: Final = logging.getLogger("lgsp.signals")
SEND_SECONDS: Final = 5.0
_WAITING: Final = 2_048
Kind = Literal["SERVER", "CLIENT", "CONSUMER"]
_senders: Final[list[tuple[BatchSpanProcessor, dict[str, Any]]]] = []  # one, while this process sends


def send_to(url: str, process: str, machine: str, origin: str) -> None:
    """From now on this process sends its spans there; an empty `url`: it does not, and loads nothing for it."""
    if not url:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    exporter = OTLPSpanExporter(endpoint=url, timeout=SEND_SECONDS)
    processor = BatchSpanProcessor(exporter, max_queue_size=_WAITING, export_timeout_millis=SEND_SECONDS * 1000)
    about = {
        "service.namespace": origin,
        "service.name": "lgsp",
        "service.instance.id": machine,
        "lgsp.process": process,
    }
    shared = {"resource": Resource(about), "instrumentation_scope": InstrumentationScope("lgsp")}
    _senders.append((processor, shared))


def end() -> None:
    """Sends what waits, for five seconds at most."""
    while _senders:
        processor, _ = _senders.pop()
        processor.shutdown()  # type: ignore[no-untyped-call]


def worked(kind: Kind, name: str, here: Here | None, seconds: float, code: str, facts: Mapping[str, str]) -> None:
    """This process's part in a trace has ended. `code`: of the failure, or empty."""
    if _senders and here is not None:
        _send(kind, name, (here.trace, here.span, here.parent), here.sampled, seconds, code, facts)


def called(name: str, here: Here | None, sent: Mapping[str, str], seconds: float, code: str, **facts: str) -> None:
    """A call to another system has ended, whose head had the fields `sent`."""
    told = form.read(sent) if _senders else None
    if told is not None:
        named = {f"lgsp.{key}": value for key, value in facts.items()}
        parent = here.span if here is not None and here.trace == told.trace else ""
        _send("CLIENT", name, (told.trace, told.span, parent), told.sampled, seconds, code, named)


def _send(
    kind: Kind,
    name: str,
    ids: tuple[str, str, str],
    sampled: bool,
    seconds: float,
    code: str,
    facts: Mapping[str, str],
) -> None:
    try:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        trace, span, parent = (int(each or "0", 16) for each in ids)
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        now = time.time_ns()
        processor, shared = _senders[0]
        processor.on_end(
            ReadableSpan(
                name,
                SpanContext(trace, span, is_remote=False, trace_flags=flags),
                SpanContext(trace, parent, is_remote=kind == "SERVER", trace_flags=flags) if parent else None,
                attributes={**facts, **({"error.type": code} if code else {})},
                kind=SpanKind[kind],
                status=Status(StatusCode.ERROR, code) if code else Status(StatusCode.UNSET),
                start_time=now - int(seconds * 1e9),
                end_time=now,
                **shared,
            )
        )
    except Exception:
        _log.exception("a span is lost")
