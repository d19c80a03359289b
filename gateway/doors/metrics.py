"""Writes `/metrics`: what the processes counted, what the database told, the certificates, the processes themselves.

Every name stands in `gateway.signals.listed`.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from contracts.base.errors import Failure
from gateway.doors.counts import Counts
from gateway.keys.keyring import Keyring
from gateway.registry.records import ACTIVE
from gateway.registry.snapshot import Snapshot
from gateway.settings import Settings
from gateway.signals import meters, stored
from gateway.signals.listed import GAUGES, NAMED
from security.keys import load_certificate

_DAY: Final = 86_400.0
_ALARMS: Final = ("down", "queue", "certificate", "due", "late", "conform")
_ISSUERS: Final = ("root", "tls", "sign", "vendors")
_log: Final = logging.getLogger(__name__)
_Values = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known at one moment. `up`: whether the database answers. `age`: seconds since `counts` were read."""

    up: bool
    counts: Counts | None
    age: float | None
    snapshot: Snapshot | None
    now: float
    settings: Settings | None = None
    second_up: bool | None = None  # whether the vault's second database answers; None: there is none


@dataclass(frozen=True, slots=True)
class _Collector:
    families: tuple[Metric, ...]

    def collect(self) -> Iterable[Metric]:
        return self.families


def text(standing: Standing, run: Path | None = None) -> bytes:
    """`run`: the folder below which the processes of this machine count; None: what this process counted."""
    families = [*_machine(standing), *meters.collected(run)]
    if standing.counts is not None:
        families += _told(standing.counts)
    if run is not None:
        families += _processes(run)
    return generate_latest(_Collector(tuple(families)))


def _gauge(name: str, values: _Values | float | None) -> Iterator[Metric]:
    """A metric without values is left out."""
    listed = GAUGES[name]
    rows = [((), values)] if isinstance(values, int | float) else list(values or ())
    if not rows:
        return
    family = GaugeMetricFamily(name, listed.help, labels=listed.labels)
    for labels, value in rows:
        family.add_metric(labels, round(float(value), 3))
    yield family


def _by(values: Mapping[str, float]) -> _Values:
    return [((name,), value) for name, value in values.items()]


def _machine(standing: Standing) -> Iterator[Metric]:
    yield from _gauge("lgsp_database_up", float(standing.up))
    yield from _gauge("lgsp_vault_database_up", None if standing.second_up is None else float(standing.second_up))
    yield from _gauge("lgsp_counts_age_seconds", standing.age)
    snapshot = standing.snapshot
    if snapshot is not None:
        yield from _gauge("lgsp_registry_revision", snapshot.revision)
        yield from _gauge("lgsp_systems", _by(Counter[str](snapshot.readiness(standing.now).values())))
        yield from _gauge("lgsp_certificate_days_left", _systems(snapshot, standing.now))
    if standing.settings is not None:
        yield from _gauge("lgsp_own_certificate_days_left", _by(_own(standing.settings, standing.now)))


def _systems(snapshot: Snapshot, now: float) -> _Values:
    until: dict[tuple[str, str], float] = {}
    for key in snapshot.keys.values():
        if key.state == ACTIVE:
            of = (key.system, str(key.use))
            until[of] = max(until.get(of, 0.0), key.valid_until)
    return sorted(((of, (end - now) / _DAY) for of, end in until.items()), key=lambda pair: pair[1])[:NAMED]


def _own(settings: Settings, now: float) -> dict[str, float]:
    """Of the gateway's keys and of the embedded authority."""
    ends: dict[str, float] = {}
    try:
        keyring = Keyring(settings)
        paths = {name: keyring.current(name).certificate for name in keyring.names}
    except (Failure, OSError):
        paths = {}
    paths |= {f"ca/{name}": settings.authority / f"{name}.crt" for name in _ISSUERS}
    for name, path in paths.items():
        try:
            end = load_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
        except (OSError, ValueError):
            continue
        ends[name] = (end - now) / _DAY
    return ends


def _told(counts: Counts) -> Iterator[Metric]:
    yield from _gauge("lgsp_transfers", _by(counts.transfers))
    yield from _gauge("lgsp_queue", _by(counts.queue))
    yield from _gauge("lgsp_queue_waiting", [((each.system, each.contract), each.number) for each in counts.waits])
    yield from _gauge(
        "lgsp_queue_oldest_seconds", [((each.system, each.contract), each.oldest) for each in counts.waits]
    )
    yield from _gauge("lgsp_push_subscriptions", _by(counts.pushes.states))
    yield from _gauge("lgsp_push_failing", counts.pushes.failing)
    yield from _gauge("lgsp_push_lag_seconds", counts.pushes.lag)
    yield from _gauge(
        "lgsp_push_behind_seconds", [((each.system, each.contract), each.seconds) for each in counts.lags]
    )
    latest = sorted(counts.readers, key=lambda each: each.behind_seconds, reverse=True)[:NAMED]
    yield from _gauge("lgsp_feed_reader_behind", [((each.system, each.contract), each.behind) for each in latest])
    yield from _gauge(
        "lgsp_feed_reader_behind_seconds", [((each.system, each.contract), each.behind_seconds) for each in latest]
    )
    yield from _gauge("lgsp_alarms", _by(dict.fromkeys(_ALARMS, 0) | dict(counts.alarms)))
    yield from _gauge("lgsp_alarms_unacknowledged", counts.unacknowledged)
    yield from _gauge("lgsp_log_entries", counts.log_size)
    yield from _gauge("lgsp_log_pending", counts.log_pending)
    yield from _gauge("lgsp_checkpoint_age_seconds", counts.checkpoint_age)
    yield from _gauge("lgsp_witness_late_seconds", _by(counts.late))
    yield from _gauge("lgsp_keepers", counts.keepers)
    yield from _gauge("lgsp_standby_alone", counts.alone)
    if counts.epoch is not None:
        yield from _gauge("lgsp_lease_held", float(counts.held))
        yield from _gauge("lgsp_lease_epoch", counts.epoch)
    yield from _gauge("lgsp_clock_ahead_seconds", counts.ahead)
    yield from _gauge("lgsp_backup_age_seconds", counts.backup_age)
    yield from _gauge("lgsp_files_quarantined", counts.quarantined)


def _processes(run: Path) -> Iterator[Metric]:
    """From `/proc`, of those that hold a place; nothing where there is none."""
    values: dict[str, dict[str, float]] = {name: {} for name in GAUGES if name.startswith("lgsp_process_")}
    try:
        up = float(Path("/proc/uptime").read_text("ascii").split()[0])
        tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return
    for each in stored.running(run / stored.FOLDER):
        try:  # proc(5): the name, in brackets, may hold anything; the fields behind it are numbers
            fields = Path(f"/proc/{each.pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        values["lgsp_process_cpu_seconds"][each.place] = (int(fields[11]) + int(fields[12])) / tick
        values["lgsp_process_threads"][each.place] = int(fields[17])
        values["lgsp_process_up_seconds"][each.place] = up - int(fields[19]) / tick
        values["lgsp_process_resident_bytes"][each.place] = int(fields[21]) * page
    for name, of in values.items():
        yield from _gauge(name, _by(of))
