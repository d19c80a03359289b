"""Carries out the runs that vendors asked for (`runs`), beside the simulated systems of a sandbox.

A run of a called system has a thread of its own. A run of a calling system is looked at each second; the doors do the
rest. Invariant: a run ends, whatever the vendor's system does: each case and each step has its time. Invariant: a run
that another process began, which is gone, is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlalchemy import Engine

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from gateway.journal import jobs
from gateway.journal.database import open_engine, snapshot, writing
from gateway.journal.jobs import DONE, RUNNING, STOPPED, Job
from gateway.keys.keyring import Keyring
from gateway.push.peers import peers_of
from gateway.registry.snapshot import load_snapshot
from gateway.sandbox.conformance import caller_run, certificate, runs, trial
from gateway.sandbox.conformance.caller_suite import caller_suite
from gateway.sandbox.conformance.cases import Suite
from gateway.sandbox.conformance.exchange import CALLER, GatewayKeys, Target
from gateway.sandbox.conformance.provider import Bounds, ProviderRun
from gateway.sandbox.conformance.results import Result, Run, Software
from gateway.sandbox.conformance.rules import Kind
from gateway.sandbox.conformance.suite import Wanted, provider_suite
from gateway.sandbox.simulation.published import Contracts, Published
from gateway.settings import Settings

EVERY: Final = 1.0  # seconds
AT_ONCE: Final = 4  # runs of called systems
PART: Final = 20_000  # bytes of a request or an answer in a kept report
WHOLE: Final = 1_000_000  # bytes of all of them in one report
REPORTS: Final = 30  # of a tenant; older ones are removed, their certificates stay
_BOUNDS: Final = Bounds(parallel=8, seconds=5.0, part=PART, whole=WHOLE)
_log: Final = logging.getLogger("lgsp.conformance")


@dataclass(slots=True)
class Service:
    """`tick` does what is due. All it knows is in the database and beside it, but for the runs of its own threads."""

    settings: Settings
    engine: Engine
    published: Callable[[], Contracts]
    clock: Callable[[], float] = time.time
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE, "conformance"))
    _begun: dict[str, bool] = field(default_factory=dict)  # runs of this process, and whether they were stopped
    _suites: dict[str, Suite] = field(default_factory=dict)
    _uncertified: set[str] = field(default_factory=set)
    _first: bool = True

    def tick(self) -> None:
        with snapshot(self.engine) as connection:
            going = jobs.running(connection, runs.KIND)
            if self._first:
                ended = jobs.newest(connection, runs.KIND, None, 100, state=DONE)
                self._uncertified |= {each.id for each in ended if each.facts.get("certificate")}
        for job in going:
            if job.facts["role"] == "caller":
                self._look(job)
            elif job.id in self._begun:
                continue
            elif self._first:
                self._change(job.id, STOPPED)
            else:
                self._begun[job.id] = False
                self._threads.submit(self._guarded, job)
        for id in set(self._begun) - {each.id for each in going}:
            self._begun[id] = True
        self._first = False
        self._certify()

    # --- called systems -----------------------------------------------------------------------------------------------
    def _guarded(self, job: Job) -> None:
        try:
            self._call(job)
        except Exception:
            _log.exception("the run %s of conformance failed", job.id)
            self._change(job.id, STOPPED)
        finally:
            self._begun.pop(job.id, None)

    def _call(self, job: Job) -> None:
        compiled, suite = self._suite(job)
        with snapshot(self.engine) as connection:
            known = load_snapshot(connection)
        endpoint = known.systems[job.subject].endpoint
        if endpoint is None:
            self._change(job.id, STOPPED)
            return
        target = Target(endpoint, f"{job.facts['agency']}/{CALLER}")
        keyring, only = Keyring(self.settings), job.facts.get("only", "")
        peers = peers_of(keyring, self.settings, lambda: known)
        trying = ProviderRun(compiled, target, GatewayKeys.of(keyring), peers, _BOUNDS, self.clock, traffic=bool(only))
        started, told = self.clock(), 0.0

        def tell(done: int, of: int, newest: Result) -> None:
            nonlocal told
            if self._begun.get(job.id, True):
                raise _Stopped
            if done == of or time.monotonic() - told > EVERY:
                told = time.monotonic()
                self._change(job.id, None, done=done, of=of)

        results: list[Result] = []
        with contextlib.suppress(_Stopped):
            results = asyncio.run(trying.run([each for each in suite.cases if only in ("", each.rule.group)], tell))
        if self._begun.get(job.id, True):
            return
        self._end(job, Run(suite, self._software(job), started, self.clock() - started, tuple(results)))

    # --- calling systems ----------------------------------------------------------------------------------------------
    def _look(self, job: Job) -> None:
        _, suite = self._suite(job)
        place, now = self.settings.run / trial.FOLDER / job.subject, self.clock()
        run = caller_run.current(place)
        if run is None or run.id != job.id:
            run = caller_run.begin(place, suite, job.id, now)
        wish = runs.next_file(self.settings, job.id)
        if wish.is_file():
            wish.unlink()
            run = caller_run.next_step(place, suite, run, now)
        else:
            run = caller_run.look(place, suite, run, now)
        asked = caller_run.asked(suite, run)
        if asked is None:
            self._end(job, caller_run.report(place, suite, run, self._software(job)))
            return
        calls = len(caller_run.calls_of(place, run, asked[0]))
        facts = {"done": run.number, "of": caller_run.count(suite), "step": asked[0], "calls": calls}
        if any(job.facts.get(name) != each for name, each in facts.items()):
            self._change(job.id, None, **facts, ask={"vi": asked[1].vi, "en": asked[1].en})

    # --- ends ---------------------------------------------------------------------------------------------------------
    def _end(self, job: Job, run: Run) -> None:
        only = job.facts.get("only", "")
        files, report = runs.files_of(self.settings, job.id), run.to_json(traffic=bool(only))
        files.report.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.report.write_text(json.dumps(report, ensure_ascii=False), "utf-8")
        files.junit.write_text(run.to_junit(), "utf-8")
        self._remove_old(job)
        known = None
        if run.passed and run.software.version and job.facts["software"]:
            known = certificate.enter(self.engine, run, self.clock(), job.actor)
        well = bool(run.results) and not run.failed if only else run.passed
        facts: dict[str, Any] = {"passed": well, "counts": run.counts, "certificate": known}
        self._change(job.id, DONE, done=len(run.results), of=len(run.results), **facts)
        if known is not None:
            # Only now: a look from the other thread drops a run whose job names no certificate.
            self._uncertified.add(job.id)

    def _remove_old(self, newest: Job) -> None:
        """Removes the reports of the tenant's older runs."""
        agency = newest.facts["agency"]
        with snapshot(self.engine) as connection:
            systems = [each.id for each in load_snapshot(connection).systems.values() if each.agency == agency]
            mine = [job.id for each in systems for job in jobs.newest(connection, runs.KIND, each, 2 * REPORTS)]
        older = sorted(set(mine) - {newest.id}, reverse=True)[REPORTS - 1 :]
        for id in older:
            files = runs.files_of(self.settings, id)
            for each in (files.report, files.junit, runs.next_file(self.settings, id)):
                each.unlink(missing_ok=True)

    def _certify(self) -> None:
        """Certificates are written when their entries are under a checkpoint."""
        for id in sorted(self._uncertified):
            files, known = runs.files_of(self.settings, id), None
            with snapshot(self.engine) as connection:
                job = jobs.find(connection, id)
            if files.certificate.is_file() or job is None or (known := job.facts.get("certificate")) is None:
                self._uncertified.discard(id)
                continue
            with contextlib.suppress(Failure):
                made = certificate.document(self.engine, Keyring(self.settings), known)
                picture = certificate.picture(self.engine, known)
                if picture is not None:
                    files.picture.write_text(picture, "utf-8")
                files.certificate.write_text(json.dumps(made, ensure_ascii=False, indent=1), "utf-8")
                self._uncertified.discard(id)

    def _change(self, id: str, state: str | None, **facts: Any) -> None:
        """A run that was stopped meanwhile stays so."""
        with writing(self.engine) as connection:
            job = jobs.find(connection, id, lock=True)
            if job is not None and job.state == RUNNING:
                jobs.change(connection, job, self.clock(), state, **facts)

    # --- what is tried ------------------------------------------------------------------------------------------------
    def _suite(self, job: Job) -> tuple[CompiledContract, Suite]:
        facts, compiled = job.facts, self.published()[job.facts["contract"]]
        if job.id not in self._suites:
            wanted = Wanted((cast(Kind, facts["protocol"]),), (facts["format"],), tuple(facts["operations"]))
            make = provider_suite if facts["role"] == "provider" else caller_suite
            self._suites[job.id] = make(compiled, wanted)
        return compiled, self._suites[job.id]

    def _software(self, job: Job) -> Software:
        facts = job.facts
        return Software(facts["software"] or job.subject, facts["version"], job.subject, facts["agency"])


class _Stopped(Exception):
    """Somebody stopped the run."""


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """A thread that carries runs out."""
    engine, ended = open_engine(settings.database_url), threading.Event()
    service = Service(settings, engine, Published(engine))

    def go() -> None:
        while not ended.wait(EVERY):
            try:
                service.tick()
            except Exception:  # the database may be away for a while
                _log.exception("runs of conformance are not carried out")

    thread = threading.Thread(target=go, name="conformance", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(5)
        engine.dispose()
