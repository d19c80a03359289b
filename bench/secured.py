"""The first row: a field report of 1 KB, sent by REST, answered by a SOAP system; secured against the plain stack.

Both sides run on one machine in one run, in turn, TLS on both legs. The gateway or the plain stack has core 0, load
generator and provider have core 1. The gateway verifies the caller's token and RFC 9421 signature, checks the grant,
validates, translates, writes the intent to disk, signs with WS-Security, verifies the provider's signature,
translates back, writes the outcome to disk and signs its answer. Its keeper builds the log on the same core. The
plain stack checks a token and translates.

Invariant: each answer's number is checked on arrival, and every fiftieth of the gateway's is verified whole.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.gatewayside import PROVIDER, gateway_side
from bench.load import Round, fire_now
from bench.plainside import plain_side
from bench.process import await_port, cpu_seconds, free_port, memory_mib, pinned, running, two_cores
from bench.rows import Row, row
from bench.tls import throwaway

NAME: Final = "secured-exchange-rest-soap-1k"
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Size:
    """Requests per round for each side. The slower side gets fewer, so that rounds take equally long."""

    plain: int
    gateway: int
    warm: int


QUICK: Final = Size(plain=300, gateway=1500, warm=300)
FULL: Final = Size(plain=2000, gateway=10_000, warm=1000)


def measure(quick: bool, say: Callable[[str], None]) -> Row:
    size = QUICK if quick else FULL
    ours, theirs = two_cores()
    with contextlib.ExitStack() as stack, pinned(theirs):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-bench-")))
        pair = throwaway(folder)
        plain_port, signed_port = free_port(), free_port()
        side = stack.enter_context(gateway_side(folder / "instance", f"https://localhost:{signed_port}/do-thi", ours))
        log = folder / "provider.log"
        arguments = [
            "--port",
            str(plain_port),
            "--folder",
            str(folder),
            "--signed-port",
            str(signed_port),
            "--identity",
            str(side.settings.identities / PROVIDER),
        ]
        provider = stack.enter_context(running("bench.provider", arguments, log, core=theirs))
        for port in (plain_port, signed_port):
            await_port(provider, port, log)
        plain = stack.enter_context(plain_side(folder, pair, f"https://localhost:{plain_port}/plain", ours))

        numbers = iter(range(0, 99_000_000, 100_000))  # each round has new messages

        def plain_round(count: int) -> Round:
            return fire_now(plain.shots(next(numbers), count), plain.port, plain.context)

        def gateway_round(count: int) -> Round:
            prepared = side.prepare(next(numbers), count)
            measured = fire_now([shot for shot, _ in prepared], side.port, side.context)
            side.verify(prepared, measured.replies)
            return measured

        def timed(round_of: Callable[[int], Round], count: int, *pids: int) -> tuple[Round, float]:
            """A round, and the processor time per exchange of its side, in microseconds."""
            before = cpu_seconds(*pids)
            measured = round_of(count)
            return measured, (cpu_seconds(*pids) - before) / count * 1e6

        say("warming up")
        plain_round(size.warm // 3)
        gateway_round(size.warm)
        pairs, costs = [], []
        for number in range(1, ROUNDS + 1):
            secured, secured_cpu = timed(gateway_round, size.gateway, side.door_pid, side.keeper_pid)
            other, other_cpu = timed(plain_round, size.plain, plain.pid)
            pairs.append((secured, other))
            costs.append((secured_cpu, other_cpu))
            say(f"round {number} of {ROUNDS}: secured {secured.per_second:,.0f}/s, plain {other.per_second:,.0f}/s")
        return row(
            NAME,
            "exchanges/s",
            [secured.per_second for secured, _ in pairs],
            {"plain": [other.per_second for _, other in pairs]},
            {
                "p99_ms": median([secured.percentile_ms(0.99) for secured, _ in pairs]),
                "plain_per_second": median([other.per_second for _, other in pairs]),
                "plain_p99_ms": median([other.percentile_ms(0.99) for _, other in pairs]),
                "cpu_us": median(cost for cost, _ in costs),
                "plain_cpu_us": median(cost for _, cost in costs),
                "door_memory_mib": memory_mib(side.door_pid),
                "plain_memory_mib": memory_mib(plain.pid),
                "cores": 1.0 if ours is None else 2.0,
            },
        )
