"""The stand-in systems of a sandbox, and a little traffic: real processes that really listen, run under the supervisor.

They are the programs of `examples/`, which share no code with the gateway; this module only says which, where, and with what identity.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway import hardening
from gateway.processes import child
from gateway.processes.supervised import Child
from gateway.sandbox import agents
from gateway.sandbox.ports import next_free
from gateway.settings import Settings

STANDINS: Final[Mapping[str, str]] = {
    "do-thi": "gateway.sandbox.standins.soap_agency",
    "kinh-te": "gateway.sandbox.standins.rest_agency",
    "truong-ha": "gateway.sandbox.standins.field_office",
    "mot-cua": "gateway.sandbox.standins.one_stop",
}
AGENTS: Final = tuple(agents.CALLERS)  # systems that only call, through an agent
TRAFFIC: Final = "gateway.sandbox.standins.traffic"
TRAFFIC_NAME: Final = "traffic"
_AGENT: Final = "gateway.agent.app"
_FILE: Final = "standins.json"
_FIRST: Final = 11  # the stand-ins' ports follow the exchange listener's, unless something listens there


def choose_endpoints(settings: Settings) -> dict[str, str]:
    """An address for each stand-in, free just now."""
    endpoints: dict[str, str] = {}
    port = settings.exchange_port + _FIRST
    for system in STANDINS:
        port = next_free(port)
        endpoints[system] = f"https://localhost:{port}"
        port += 1
    return endpoints


def remember(data: Path, endpoints: Mapping[str, str]) -> None:
    (data / _FILE).write_text(json.dumps(dict(endpoints), indent=2) + "\n", "utf-8")


def endpoints(settings: Settings) -> dict[str, str]:
    found: dict[str, str] = json.loads((settings.data / _FILE).read_text("utf-8"))
    return found


def children(settings: Settings, without: frozenset[str] = frozenset()) -> tuple[Child, ...]:
    """What the supervisor has to start besides the gateway itself, but for what is left out by name; an agent goes with its system."""
    data = str(settings.data)
    agents.prepare(settings, settings.data, endpoints(settings))
    started = [
        Child(f"standin {name}", ["standin", name, "--data", data], STANDINS[name])
        for name in endpoints(settings)
        if name not in without
    ]
    started += [
        Child(f"agent {each.system}", ["agent", "run", str(each.config)], _AGENT)
        for each in agents.beside(settings)
        if each.system not in without
    ]
    if TRAFFIC_NAME not in without:
        started.append(Child(TRAFFIC_NAME, ["traffic", "--data", data], TRAFFIC))
    return tuple(started)


def run_standin(settings: Settings, name: str, lifeline: int | None, ready: int | None) -> int:
    """One stand-in in this process, until told to stop; plain, and at another port, where an agent stands before it."""
    old = next((each for each in agents.beside(settings) if each.system == name), None)
    port = (endpoints(settings)[name] if old is None else old.local).rpartition(":")[2]
    who = ["--identity", str(settings.identities / name)] if old is None else ["--secret", str(old.secret)]
    seen = settings.run / f"{name}.sqlite"
    seen.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hardening.private_files(), tempfile.TemporaryDirectory(prefix="lgsp-") as folder:
        ready_file = Path(folder) / "ready"
        _end_with(lifeline)
        threading.Thread(target=_report, args=(ready_file, ready), daemon=True).start()
        arguments = [*who, "--port", port, "--ready-file", str(ready_file), "--records", str(seen)]
        return int(importlib.import_module(STANDINS[name]).main(arguments) or 0)


def run_traffic(settings: Settings, lifeline: int | None, ready: int | None, every: float) -> int:
    _end_with(lifeline)
    child.say_ready(ready)
    return int(
        importlib.import_module(TRAFFIC).main(["--identities", str(settings.identities), "--every", str(every)]) or 0
    )


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
