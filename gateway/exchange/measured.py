"""Measures each call that the exchange carries, for `/metrics`.

Invariant: a call ends as it did, whatever becomes of its measurement.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, ParamSpec, cast

from gateway.signals import meters, spans, traces
from gateway.transfer.stages import Addressed, Answered, Refused

_log: Final = logging.getLogger("lgsp.exchange")
P = ParamSpec("P")
Carry = Callable[P, Coroutine[Any, Any, Answered | Refused]]
UNNAMED: Final = "none"  # the operation of a SOAP call that was refused before its body was read


def measured(carry: Carry[P]) -> Carry[P]:
    """Around `Exchange.carry`, whose first argument is the addressed call."""

    @wraps(carry)
    async def timed(*given: P.args, **more: P.kwargs) -> Answered | Refused:
        addressed, here, began = cast(Addressed, given[1]), traces.here(), time.perf_counter()
        if here is None or here.transfer != addressed.received.transfer:  # of a dropped file
            traces.enter(addressed.received.transfer)
        ended = await carry(*given, **more)
        try:
            _note(addressed, ended, time.perf_counter() - began)
        except Exception:  # the call is done: who watches must not undo it
            _log.exception("a call is not counted")
        return ended

    return timed


def _note(addressed: Addressed, ended: Answered | Refused, seconds: float) -> None:
    result, operation, face = result_of(ended), addressed.operation, addressed.received.face.value
    contract, system, code = addressed.contract.contract.name, addressed.channel.system.id, ""
    if isinstance(ended, Answered):
        operation = ended.requested.operation
        if ended.failure is not None:
            code = ended.failure.code
            meters.refusal(face, code)
            _log.info("failed: %s", code, extra={"code": code})
    else:
        code = ended.failure.code
    name = UNNAMED if operation is None else operation.name
    meters.call(face, contract, name, result, seconds)
    meters.caller(system, result, seconds)
    facts = {"lgsp.contract": contract, "lgsp.operation": name, "lgsp.face": face, "lgsp.result": result}
    facts |= {"lgsp.system": system, "lgsp.transfer": addressed.received.transfer}
    spans.worked("SERVER", f"{contract}/{name}", traces.here(), seconds, code, facts)


def result_of(ended: Answered | Refused) -> str:
    """answered | queued | kept | failed (at the provider) | refused"""
    if isinstance(ended, Refused):
        return "refused"
    if ended.failure is not None:
        return "failed"
    return "queued" if ended.queued else "kept" if ended.kept else "answered"
