"""The centre's consumer follows three feeds by pull, stream and webhook, while the gateway and the consumer itself are
killed and started anew. It ends with exactly the accepted messages, as the sealed digests prove. The guide's command
starts it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.demo import demo_settings
from bench.ports import free_ports
from gateway.cli.run import ensure_instance
from gateway.client import Client, Identity
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.faults.load import until
from tests.faults.movedclock import MovedClock
from tests.faults.test_kill import kill_all, start

pytestmark = pytest.mark.server

ALERTS, DOSSIERS, REPORTS = "incident-alert/v1", "dossier-status/v1", "field-report/v1"
EACH = 10  # messages of each contract, before the kill and after it
HOUR = 3600
ROOT = Path(__file__).parents[2]
GUIDES = (ROOT / "docs" / "integrate.md", ROOT / "docs" / "vi" / "integrate.md")
COMMAND = r"^PYTHONPATH=\. python examples/centre_consumer\.py .+$"


class Consumer:
    """The example as a process of its own, which may be killed and started anew."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        (port,) = free_ports(1)
        self._store, self._printed = folder / "centre.db", folder / "consumer.log"
        (command,) = {each for guide in GUIDES for each in re.findall(COMMAND, guide.read_text("utf-8"), re.MULTILINE)}
        places = {"lgsp-data": str(settings.data), "centre.db": str(self._store), ":8440/": f":{port}/"}
        for word, place in places.items():
            assert word in command
            command = command.replace(word, place)
        self._words = [*shlex.split(command)[2:], "--port", str(port), "--every", "0.2"]
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (".", os.environ.get("PYTHONPATH"))))  # as the command says; a moved clock
        with self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, *self._words],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                stdout=printed,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        base = sqlite3.connect(self._store, timeout=60)
        try:
            found = base.execute("SELECT feed, content FROM event").fetchall()
        except sqlite3.OperationalError:  # it has no tables yet
            return []
        finally:
            base.close()
        return [(feed, json.loads(content)) for feed, content in found]

    def ids(self) -> set[tuple[str, str]]:
        return {(feed, event["id"]) for feed, event in self.events()}

    def lose(self, feed: str) -> None:
        """Takes one event out of what the consumer keeps."""
        with sqlite3.connect(self._store, timeout=60) as base:
            base.execute("DELETE FROM event WHERE id = (SELECT min(id) FROM event WHERE feed = ?)", (feed,))

    def compared(self) -> dict[str, dict[str, Any]]:
        """The newest comparison of each feed."""
        assert self.process.poll() is None, self._printed.read_text()
        lines = self._printed.read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return {line["feed"]: line for line in found}


@contextmanager
def gateway(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    process = start(settings)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def hand_in(settings: Settings, folder: Path, number: int) -> Iterator[tuple[str, str]]:
    """Messages of three contracts. Gives the feed and the transfer of each that was accepted."""
    with ExitStack() as stack:
        fire, office, citizens = (
            stack.enter_context(Client(Identity.load(settings.identities / name), state=folder / name))
            for name in ("bao-chay", "mot-cua", "phan-anh")
        )
        for _ in range(number):
            report = messages.field_report(area="01273")
            for feed, answer in (
                (ALERTS, fire.rest("POST", "/incident-alert/v1/alerts", messages.fire_alarm())),
                (DOSSIERS, office.rest("POST", "/dossier-status/v1/statuses", messages.dossier_status())),
                (REPORTS, citizens.rest("POST", "/field-report/v1/requests", report)),
            ):
                assert answer.transfer is not None
                yield feed, answer.transfer


@pytest.mark.full
def test_the_consumer_ends_with_exactly_the_accepted_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(demo_settings(tmp_path / "data"), push_networks="127.0.0.0/8", stream_seconds=2.0)
    ensure_instance(settings, say_progress=False)
    clock = MovedClock(tmp_path / "clock", monkeypatch)
    accepted: list[tuple[str, str]] = []
    with ExitStack() as stack:
        with gateway(settings) as process:
            consumer = Consumer(settings, tmp_path)
            stack.callback(consumer.kill)
            accepted += hand_in(settings, tmp_path, EACH)
            until("a message by each way", lambda: len({feed for feed, _ in consumer.ids()}) == 3)
            kill_all(process)
        consumer.kill()
        with gateway(settings):
            accepted += hand_in(settings, tmp_path, EACH // 2)  # while nobody reads
            consumer.start()
            accepted += hand_in(settings, tmp_path, EACH // 2)
            until("all accepted messages at the consumer", lambda: set(accepted) <= consumer.ids())
            clock.ahead(HOUR + 10)  # the hours in which all this was are over
            until("all of it sealed", lambda: sealed(consumer, len(accepted)))
            assert not any(line["wrong"] for line in consumer.compared().values())
            held = Counter((feed, event["id"]) for feed, event in consumer.events())
            assert held == Counter(accepted), "exactly the accepted messages, each once"
            consumer.lose(DOSSIERS)
            until("it sees that an event is missing", lambda: "missing" in str(consumer.compared()[DOSSIERS]["wrong"]))


def sealed(consumer: Consumer, number: int) -> bool:
    lines = consumer.compared().values()
    return sum(line["sealed"] for line in lines) == number and not any(line["unsealed"] for line in lines)
