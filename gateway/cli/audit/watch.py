"""`lgsp audit watch`: follows a log until it is told to stop, or takes one look for cron.

With `--json` it prints one object a line, the last one with `ok`. Invariant: it ends with 1 at the first thing that a
log takes back, and every later run does so too, until a person has decided.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.audit.remote import Place, remote, remote_failures
from gateway.cli.common import arguments
from gateway.cli.common.options import Data, grouped, load_instance
from gateway.cli.common.output import Exit, fail, say
from gateway.cli.common.stopping import Stopped

if TYPE_CHECKING:
    from gateway.audit.verify.watch import Log
    from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
    from security.transparency.checkpoint import NoteKey

commands = typer.Typer()
Lines = Annotated[bool, typer.Option("--json", help="One JSON object a line, the last one with `ok`.")]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Pace:
    """Where proved checkpoints are kept, and how often the log is looked at."""

    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            help=(
                "Folder for the checkpoints that were proved (default: log/watched of the instance; better elsewhere)."
            ),
        ),
    ] = None
    once: Annotated[bool, typer.Option("--once", help="One look, for cron.")] = False
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0


@commands.command("watch")
@grouped
def audit_watch(place: Place, pace: Pace, data: Data = None, as_json: Lines = False) -> None:
    """Follow the log: each new checkpoint must go on from the last one kept. Ends with 1 if the log takes anything
    back."""
    from gateway.audit.verify.watch import DatabaseLog, RemoteLog
    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring

    data, place = place.resolved(data, as_json)
    if not place.remote:
        settings = load_instance(data, as_json)
        key = arguments.log_key(place.vkey if place.vkey is not None else str(Keyring(settings).log_vkey), as_json)
        kept = pace.state or settings.data / "log" / "watched"
        with remote_failures(as_json), open_engine(settings.database_url).connect() as connection:
            _follow(DatabaseLog(connection), key, kept, pace, as_json)
        return
    state = pace.state or (place.identity / "checkpoints" if place.identity is not None else None)
    if state is None:
        what = "over HTTP it has to be said where checkpoints are kept / qua HTTP cần chỉ nơi giữ các điểm kiểm tra"
        fail(Exit.USAGE, "no-state", what, "Give --state FOLDER. / Dùng --state THƯ-MỤC.", as_json)
    with remote(place, as_json) as (gateway, key):
        _follow(RemoteLog(gateway), key, state, pace, as_json)


def _follow(log: Log, key: NoteKey, state: Path, pace: Pace, as_json: bool) -> None:
    """Ends by Ctrl-C or SIGTERM, after one look with `--once`, or by what the log takes back (`told` turns that into
    exit code 1)."""
    from gateway.audit.verify.sources import NoSource
    from gateway.client import NoConnection
    from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
    from security.grants.windows import civil

    witness, grown, trouble = CheckpointMonitor(key, state, time.time), 0, ""
    started = None if witness.kept is None else witness.kept.size
    try:
        while True:
            try:
                grown += _look(log, witness, as_json)
                trouble = ""
            except (NoConnection, NoSource) as error:  # it passes: the gateway is away, or has not signed anything yet
                if pace.once:
                    raise
                if str(error) != trouble:  # told once, however long it lasts
                    trouble = str(error)
                    _say(
                        {"event": "unreachable", "reason": trouble},
                        f"{civil(time.time(), seconds=True)}  {trouble}",
                        as_json,
                    )
            if pace.once:
                break
            time.sleep(pace.every)
    except (KeyboardInterrupt, Stopped):
        pass  # it follows the log until it is told to stop: that is its good end
    kept, pending = witness.kept, len(witness.pending)
    size = None if kept is None else kept.size
    last = {
        "ok": True,
        "origin": key.name,
        "from": started,
        "size": size,
        "new": grown,
        "pending": pending,
        "kept_in": str(state),
    }
    words = (
        f"log of {key.name}: size {size}, {grown} new since"
        f" {'the beginning of this watch' if started is None else f'size {started}'}"
    )
    _say(last, f"{words}; kept in {state} / kích thước {size}, thêm {grown} mục, giữ tại {state}", as_json)
    raise SystemExit(Exit.WELL)


def _look(log: Log, witness: CheckpointMonitor, as_json: bool) -> int:
    from gateway.audit.verify.watch import look
    from security.grants.windows import civil

    step = look(log, witness)
    if step is None:
        return 0
    grown = 0 if step.before is None else step.size - step.before
    if step.before is not None:
        for index, entry in log.entries(step.before, step.size):
            _say(
                {"event": "entry", "index": index, "entry": entry},
                f"  {index}  {json.dumps(entry, ensure_ascii=False)}",
                as_json,
            )
    root = base64.b64encode(step.root).decode("ascii")
    told_of = {
        "event": "checkpoint",
        "size": step.size,
        "root": root,
        "before": step.before,
        "new": grown,
        "pending": step.pending,
    }
    proved = "the first one kept" if step.before is None else f"proved to go on from {step.before}"
    waits = f"; {step.pending} not proved yet" if step.pending else ""
    _say(
        told_of,
        f"{civil(time.time(), seconds=True)}  size {step.size}, +{grown}, {proved}, root {root}{waits}",
        as_json,
    )
    return grown


def _say(value: dict[str, Any], text: str, as_json: bool) -> None:
    say(json.dumps(value, ensure_ascii=False) if as_json else text, flush=True)
