"""The stand-in systems of a sandbox, and a little traffic: real processes that really listen, run under the supervisor.

They are the programs of `examples/`, which share no code with the gateway; this module only says which, where, and with what identity.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway import child
from gateway.settings import Settings
from gateway.supervised import Child

STANDINS: Final[Mapping[str, str]] = {
    "do-thi": "examples.standins.soap_agency",
    "kinh-te": "examples.standins.rest_agency",
    "truong-ha": "examples.standins.field_office",
}
TRAFFIC: Final = "examples.traffic"
TRAFFIC_NAME: Final = "traffic"
_FILE: Final = "standins.json"
_FIRST: Final = 11  # the stand-ins' ports follow the exchange listener's, unless something listens there


def choose_endpoints(settings: Settings) -> dict[str, str]:
    """An address for each stand-in, free just now."""
    endpoints: dict[str, str] = {}
    port = settings.exchange_port + _FIRST
    for system in STANDINS:
        while not _free(port):
            port += 1
        endpoints[system] = f"https://localhost:{port}"
        port += 1
    return endpoints


def remember(data: Path, endpoints: Mapping[str, str]) -> None:
    (data / _FILE).write_text(json.dumps(dict(endpoints), indent=2) + "\n", "utf-8")


def endpoints(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = json.loads((settings.data / _FILE).read_text("utf-8"))
    return found


def children(settings: Settings, without: frozenset[str] = frozenset()) -> tuple[Child, ...]:
    """What the supervisor has to start besides the gateway itself, but for what is left out by name."""
    data = str(settings.data)
    started = [Child(f"standin {name}", ["standin", name, "--data", data]) for name in endpoints(settings) if name not in without]
    if TRAFFIC_NAME not in without:
        started.append(Child(TRAFFIC_NAME, ["traffic", "--data", data]))
    return tuple(started)


def run_standin(settings: Settings, name: str, lifeline: int | None, ready: int | None) -> int:
    """One stand-in in this process, until told to stop."""
    port = endpoints(settings)[name].rpartition(":")[2]
    seen = settings.run / f"{name}.sqlite"
    seen.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lgsp-") as folder:
        ready_file = Path(folder) / "ready"
        _end_with(lifeline)
        threading.Thread(target=_report, args=(ready_file, ready), daemon=True).start()
        arguments = ["--identity", str(settings.identities / name), "--port", port, "--ready-file", str(ready_file), "--records", str(seen)]
        return int(importlib.import_module(STANDINS[name]).main(arguments) or 0)


def run_traffic(settings: Settings, lifeline: int | None, ready: int | None, every: float) -> int:
    _end_with(lifeline)
    child.say_ready(ready)
    return int(importlib.import_module(TRAFFIC).main(["--identities", str(settings.identities), "--every", str(every)]) or 0)


def _report(ready_file: Path, ready: int | None) -> None:
    while not ready_file.exists():
        time.sleep(0.02)
    child.say_ready(ready)


def _end_with(lifeline: int | None) -> None:
    """These programs stop on SIGTERM; the end of the supervisor becomes one."""
    if lifeline is None:
        return

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _free(port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
