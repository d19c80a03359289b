"""A little traffic: alerts by SOAP, fire alarms and field reports by REST, questions for indicators.

    python -m gateway.sandbox.standins.traffic --identities DIR --every 3

Prints nothing unless asked (`--verbose`). If the gateway does not answer or refuses, the next message follows after
the next pause. Invariant: each message is sent once, under an identifier of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

from gateway.sample_client.errors import ClientError, LogError, NoProof
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sandbox.standins import messages

SYSTEMS: Final = ("canh-bao", "bao-chay", "phan-anh", "y-te")
_QUESTIONS: Final = (
    ("KT-05", "2026-Q3"),
    ("XH-03", "2025"),
    ("YT-02", "2025"),
    ("MT-04", "2025"),
    ("KT-11", "2026-Q3"),
    ("KT-07", "2026-Q3"),
)
# the whole province and three of its communes
_AREAS: Final = ("04", "01273", "01447", "01477")
# how often the log is checked for consistency
_WITNESS_EVERY: Final = 20


@dataclass(slots=True)
class Traffic:
    """Sends the systems' messages in turn."""

    identities: dict[str, Identity]
    say: Callable[[str], None]
    chance: random.Random = field(default_factory=random.Random)
    sent: int = 0
    failed: int = 0

    def steps(self) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
        """The systems' messages, in turn and without end."""
        soap, fire, report, health = (self.identities[name] for name in SYSTEMS)
        alerts, alarms, reports = SoapClient(soap), RestClient(fire), RestClient(report)
        asking_rest, asking_soap = RestClient(health), SoapClient(health)

        def alert() -> tuple[bool, str]:
            answer = alerts.call("incident-alert/v1", "submitAlert", messages.cap_alert(chance=self.chance))
            return answer.ok, f"{answer.status} {'' if answer.fault is None else answer.fault.problem}"

        def alarm() -> tuple[bool, str]:
            content = messages.fire_alarm(chance=self.chance)
            answer = alarms.call("POST", "/incident-alert/v1/alerts", content, content["maCanhBao"])
            return answer.ok, f"{answer.status} {(answer.problem or {}).get('code', '')}"

        def tell() -> tuple[bool, str]:
            answer = reports.call(
                "POST",
                "/field-report/v1/requests",
                messages.field_report(area=self.chance.choice(messages.COMMUNES)[0], chance=self.chance),
            )
            return answer.ok, f"{answer.status} {(answer.problem or {}).get('code', '')}"

        def ask() -> tuple[bool, str]:
            indicator, period = self.chance.choice(_QUESTIONS)
            answer = asking_rest.call("GET", messages.indicator_question(indicator, self.chance.choice(_AREAS), period))
            return answer.ok, f"{answer.status} {(answer.problem or {}).get('code', '')}"

        def ask_by_soap() -> tuple[bool, str]:
            indicator, period = self.chance.choice(_QUESTIONS)
            answer = asking_soap.call(
                "indicator/v1", "getValue", messages.indicator_body(indicator, self.chance.choice(_AREAS), period)
            )
            return answer.ok, f"{answer.status} {'' if answer.fault is None else answer.fault.problem}"

        def witness() -> tuple[bool, str]:
            newest = asking_rest.witness()
            return True, "nothing kept yet" if newest is None else f"consistent up to size {newest.size}"

        for number, (name, step) in enumerate(
            cycle([("canh-bao", alert), ("phan-anh", tell), ("y-te", ask), ("bao-chay", alarm), ("y-te", ask_by_soap)]),
            1,
        ):
            yield name, step
            if number % _WITNESS_EVERY == 0:
                yield "witness", witness

    def run(self, every: float, stopping: threading.Event, count: int = 0) -> None:
        for name, step in self.steps():
            try:
                ok, says = step()
            except NoProof as wrong:
                ok, says = False, f"the log was not checked: {wrong}"
            except LogError as wrong:
                ok, says = False, f"THE LOG DOES NOT HOLD: {wrong}"
            except ClientError as wrong:
                ok, says = False, f"{type(wrong).__name__}: {wrong}"
            self.sent += ok
            self.failed += not ok
            self.say(f"{time.strftime('%H:%M:%S')} {name:<9} {'ok ' if ok else 'not'} {says}")
            # the pause varies by half, so that calls are spread
            if (count and self.sent + self.failed >= count) or stopping.wait(every * self.chance.uniform(0.5, 1.5)):
                return


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.standins.traffic", description="Keeps a little live traffic going."
    )
    parser.add_argument(
        "--identities", required=True, type=Path, metavar="DIR", help="folder with an identity folder for each system"
    )
    parser.add_argument("--every", type=float, default=3.0, metavar="S", help="seconds between messages, on average")
    parser.add_argument("--count", type=int, default=0, metavar="N", help="stop after so many; 0 goes on until stopped")
    parser.add_argument("--seed", type=int, metavar="N", help="makes the same messages again")
    parser.add_argument("--verbose", action="store_true", help="a line for each message")
    options = parser.parse_args(arguments)
    stopping = threading.Event()
    # only the main thread may handle signals; in another thread the owner stops the process
    with contextlib.suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
    try:
        identities = {name: Identity.load(options.identities / name) for name in SYSTEMS}
        traffic = Traffic(identities, print if options.verbose else lambda _: None, random.Random(options.seed))
        traffic.run(options.every, stopping, options.count)
    except ClientError as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2
    return 0 if not options.count or not traffic.failed else 1


if __name__ == "__main__":
    sys.exit(main())
