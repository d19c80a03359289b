"""The main functions of a sandbox's stand-in systems and of its traffic, which run under the supervisor.

The programs themselves (`gateway/sandbox/standins/`) share no code with the gateway. They stop on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from gateway import hardening
from gateway.processes import child
from gateway.processes.table import Inherited
from gateway.sandbox import agents, live
from gateway.sandbox.standins import field_office, one_stop, rest_agency, soap_agency, traffic
from gateway.settings import Settings

_EVERY_SECONDS: Final = 3.0
_PROGRAMS: Final = (soap_agency.main, rest_agency.main, field_office.main, one_stop.main)
_MAINS: Final[Mapping[str, Callable[[list[str]], int]]] = dict(zip(live.STANDINS, _PROGRAMS, strict=True))


def run_standin(settings: Settings, inherited: Inherited) -> None:
    """Run one stand-in until told to stop. Where an agent stands before it, it speaks plain HTTP at the next port."""
    name = inherited.name
    old = next((each for each in agents.beside(settings) if each.system == name), None)
    port = (live.endpoints(settings)[name] if old is None else old.local).rpartition(":")[2]
    proof = ["--identity", str(settings.identities / name)] if old is None else ["--secret", str(old.secret)]
    records = settings.run / f"{name}.sqlite"
    records.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hardening.private_files(), tempfile.TemporaryDirectory(prefix="lgsp-") as folder:
        ready_file = Path(folder) / "ready"
        _end_with(inherited.lifeline)
        threading.Thread(target=_report, args=(ready_file, inherited.ready), daemon=True).start()
        arguments = [*proof, "--port", port, "--ready-file", str(ready_file), "--records", str(records)]
        raise SystemExit(_MAINS[name](arguments))


def run_traffic(settings: Settings, inherited: Inherited) -> None:
    """Call as several systems of the sandbox, until told to stop."""
    _end_with(inherited.lifeline)
    child.say_ready(inherited.ready)
    raise SystemExit(traffic.main(["--identities", str(settings.identities), "--every", str(_EVERY_SECONDS)]))


def _report(ready_file: Path, ready: int | None) -> None:
    while not ready_file.exists():
        time.sleep(0.02)
    child.say_ready(ready)


def _end_with(lifeline: int | None) -> None:
    """Turn the end of the supervisor into a SIGTERM."""
    if lifeline is None:
        return

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
