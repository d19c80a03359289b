"""The main functions of a sandbox's stand-in systems and of its traffic, which run under the supervisor.

The programs of `gateway/sandbox/standins/` share no code with the gateway. The simulation reads its contracts from the
registry; beside it run the vendors' runs of conformance. They stop on SIGTERM.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from gateway import hardening
from gateway.processes import child
from gateway.processes.table import Inherited
from gateway.sandbox import agents, live
from gateway.sandbox.standins import field_office, rest_agency, soap_agency
from gateway.settings import Settings

_EVERY_SECONDS: Final = 3.0
_MAINS: Final[Mapping[str, Callable[[list[str]], int]]] = {
    "do-thi": soap_agency.main,
    "kinh-te": rest_agency.main,
    "truong-ha": field_office.main,
}


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
        if name not in _MAINS:  # `mot-cua` too, in a sandbox of an older release
            from gateway.sandbox.conformance.service import serving
            from gateway.sandbox.simulation.provider import run

            with serving(settings) if name == live.SIMULATION else nullcontext():
                raise SystemExit(run(settings, name, int(port), ready_file))
        arguments = [*proof, "--port", port, "--ready-file", str(ready_file), "--records", str(records)]
        raise SystemExit(_MAINS[name](arguments))


def run_traffic(settings: Settings, inherited: Inherited) -> None:
    """Call as several systems of the sandbox, until told to stop."""
    _end_with(inherited.lifeline)
    child.say_ready(inherited.ready)
    from gateway.sandbox.simulation.traffic import run

    raise SystemExit(run(settings, _EVERY_SECONDS))


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
