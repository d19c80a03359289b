"""Counts and measures what this process does. Each function is a few microseconds, and never raises.

Every metric stands in `gateway.signals.listed`. Where the counts are kept: `gateway.signals.stored`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from prometheus_client import Counter, Histogram, Summary, disable_created_metrics
from prometheus_client.metrics_core import Metric as Family

from gateway.signals import stored
from gateway.signals.listed import COUNTER, HISTOGRAM, STORED, Metric

OTHER: Final = "other"
FAULT: Final = "gateway.fault"  # code of an unexpected fault
LIMITS: Final = (
    *("agency", "source", "certificate-connections", "agency-connections", "source-connections", "cost"),
    *("streams", "door-streams"),
)
disable_created_metrics()


def _made(each: Metric) -> Any:
    if each.kind == HISTOGRAM:
        return Histogram(each.name, each.help, each.labels, registry=None, buckets=each.buckets)
    return (Counter if each.kind == COUNTER else Summary)(each.name, each.help, each.labels, registry=None)


class _Meters:
    """Those of this process. `keep_in` makes them anew, as their values then stand in files."""

    def __init__(self) -> None:
        self.made: Final = {each.name: _made(each) for each in STORED}
        self.most: Final = {each.name: each.most for each in STORED}
        self.series: Final[dict[tuple[str, ...], Any]] = {}
        self.counted: Final = dict.fromkeys(self.made, 0)

    def of(self, name: str, *labels: str) -> Any:
        """The series. Beyond the bound it is that with `other` for each name."""
        key = (name, *labels)
        found = self.series.get(key)
        if found is None:
            most = self.most[name]
            if most and self.counted[name] >= most:
                known = self.made[name]
                return known.labels(*(OTHER for _ in labels[:-1]), labels[-1])
            found = self.series[key] = self.made[name].labels(*labels)
            self.counted[name] += 1
        return found


_now: list[_Meters] = [_Meters()]


def keep_in(run: Path, kind: str) -> None:
    """Counts in files below the folder `run` of the instance from now on."""
    stored.keep_in(run / stored.FOLDER, kind)
    _now[0] = _Meters()
    if kind == "door":  # a rise from nothing is seen only of a series that stood at 0 before
        for each in LIMITS:
            _now[0].of("lgsp_limit_refusals_total", each)
        for face in ("rest", "soap"):
            _now[0].of("lgsp_refusals_total", FAULT, face)


def call(protocol: str, contract: str, operation: str, result: str, seconds: float) -> None:
    _now[0].of("lgsp_call_seconds", protocol, contract, operation, result).observe(seconds)


def caller(system: str, result: str, seconds: float) -> None:
    _now[0].of("lgsp_caller_seconds", system, result).observe(seconds)


def refusal(protocol: str, reason: str) -> None:
    _now[0].of("lgsp_refusals_total", reason, protocol).inc()


def limit(name: str) -> None:
    """One refusal for a limit, one of `LIMITS`."""
    _now[0].of("lgsp_limit_refusals_total", name).inc()


def provider(system: str, contract: str, result: str, seconds: float) -> None:
    _now[0].of("lgsp_provider_seconds", system, contract, result).observe(seconds)


def push(system: str, result: str, seconds: float) -> None:
    _now[0].of("lgsp_push_seconds", system, result).observe(seconds)


def commit(process: str, seconds: float) -> None:
    _now[0].of("lgsp_journal_commit_seconds", process).observe(seconds)


def sequencing(result: str, seconds: float) -> None:
    _now[0].of("lgsp_sequencing_seconds", result).observe(seconds)


def collected(run: Path | None) -> Iterator[Family]:
    """All that the processes of this machine counted; without a folder what this process did."""
    if run is not None:
        yield from stored.collected(run / stored.FOLDER)
        return
    for each in _now[0].made.values():
        yield from each.collect()
