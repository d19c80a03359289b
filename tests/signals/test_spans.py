"""What an OpenTelemetry collector is told, and that nobody waits for one."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from contracts.base.ids import new_id
from gateway.signals import spans, traces
from tests.signals.collecting import collector
from tests.signals.test_traces import SPAN, TRACE

SENT = [(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())]


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(spans, "SEND_SECONDS", 0.3)
    yield
    spans.end()


def test_a_call_and_what_it_calls_are_one_tree() -> None:
    transfer = new_id(0)
    with collector() as told:
        spans.send_to(told.url, "door", "may-1", "localhost/lgsp")
        here = traces.enter_call(transfer, SENT)
        sent = traces.outgoing(transfer)
        spans.called("alert/send", here, sent, 0.25, "provider.down", system="do-thi", transfer=transfer)
        spans.worked("SERVER", "alert/send", here, 0.5, "", {"lgsp.system": "bao-chay"})
        spans.end()
    call, part = told.spans
    assert (part.kind, part.trace, part.span, part.parent, part.failed) == ("SERVER", TRACE, here.span, SPAN, "")
    assert (call.kind, call.trace, call.parent, call.failed) == ("CLIENT", TRACE, part.span, "provider.down")
    assert sent["traceparent"] == f"00-{TRACE}-{call.span}-01", "what the provider gets is the span of its call"
    assert call.facts == {"lgsp.system": "do-thi", "lgsp.transfer": transfer, "error.type": "provider.down"}
    assert (call.process, call.nanoseconds, part.nanoseconds) == ("door", 250_000_000, 500_000_000)


def test_what_its_caller_does_not_sample_is_not_sent() -> None:
    transfer = new_id(0)
    with collector() as told:
        spans.send_to(told.url, "door", "may-1", "localhost/lgsp")
        here = traces.enter_call(transfer, [(b"traceparent", f"00-{TRACE}-{SPAN}-00".encode())])
        spans.worked("SERVER", "alert/send", here, 0.5, "", {})
        spans.called("alert/send", here, traces.outgoing(transfer), 0.1, "")
        spans.end()
    assert not told.spans


@pytest.mark.parametrize("answers", [False, None], ids=["silent", "absent"])
def test_a_collector_that_does_not_answer_holds_up_nothing(answers: bool | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if answers is None:
            listener.close()
        spans.send_to(f"http://127.0.0.1:{port}/v1/traces", "door", "may-1", "localhost/lgsp")
        for _ in range(5_000):  # more than wait
            spans.worked("SERVER", "alert/send", traces.enter(new_id(0)), 0.5, "", {})
        spans.end()
    spans.worked("SERVER", "alert/send", traces.enter(new_id(0)), 0.5, "", {})  # as when none was named


def test_nothing_is_loaded_where_no_collector_is_named() -> None:
    program = (
        "import sys; from gateway.signals import spans; spans.send_to('', 'door', 'may-1', 'x/y'); spans.end();"
        "sys.exit('opentelemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
