"""Which trace a call belongs to, and what providers, receivers and callbacks are told of it."""

from __future__ import annotations

import asyncio

from contracts.base.ids import new_id
from contracts.wire.traces import read
from gateway.signals import traces

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = [(b"traceparent", f"00-{TRACE}-{SPAN}-00".encode()), (b"tracestate", b"a=b"), (b"tracestate", b"c=d")]


async def test_a_call_continues_the_trace_of_its_caller() -> None:
    transfer = new_id(0)
    here = traces.enter_call(transfer, SENT)
    told = read(traces.outgoing(transfer))
    assert told is not None and (told.trace, told.sampled, told.state) == (TRACE, False, "a=b,c=d")
    assert here.parent == SPAN and len({told.span, here.span, SPAN}) == 3


async def test_without_one_the_trace_is_that_of_the_transfer() -> None:
    """So a delivery of the queue, hours later and in another process, continues it with nothing stored."""
    transfer = new_id(0)
    at_once, later = traces.enter_call(transfer, []), read(traces.outgoing(new_id(1)))
    assert at_once.trace == transfer.replace("-", "") and later is not None and later.trace != at_once.trace
    traces.enter_call("other", [(b"traceparent", b"\xff" * 10_000)])
    queued = read(traces.outgoing(transfer))
    assert queued is not None and queued.trace == at_once.trace and queued.sampled
    for name in ("", "no id", "0" * 32, "\udcff"):
        assert read(traces.outgoing(name)) is not None


async def test_tasks_do_not_share_one() -> None:
    async def one(name: str) -> str:
        traces.enter(name)
        await asyncio.sleep(0)
        here = traces.here()
        assert here is not None
        return here.transfer

    names = [new_id(n) for n in range(20)]
    assert await asyncio.gather(*map(one, names)) == names
