"""The doctor and the last verification of the log; what is said first, and what is normal in a sandbox apart."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gateway.doctor import examine, examined
from gateway.doctor.findings import finding
from gateway.journal import jobs, log_checks
from gateway.journal.database import open_engine, writing
from gateway.settings import Settings
from tests.doctor.test_doctor_findings import DAY, codes
from tests.doctor.test_doctor_findings import settings as settings
from tests.doctor.test_doctor_findings import sound as sound


def verified(settings: Settings, ok: bool, at: float) -> None:
    wrong = [] if ok else ["entry 3: missing"]
    with writing(open_engine(settings.database_url)) as connection:
        job = jobs.add(connection, log_checks.KIND, settings.origin, ("H14.0/lan", ""), at)
        jobs.change(connection, job, at, jobs.DONE, ok=ok, size=7, wrong=wrong)


def test_a_failed_verification_is_a_finding_until_one_agrees(settings: Settings) -> None:
    now = time.time()
    assert "log.check-failed" not in codes(settings)
    verified(settings, False, now - DAY)
    assert "log.check-failed" in codes(settings)
    verified(settings, True, now)
    assert "log.check-failed" not in codes(settings)


def test_what_is_normal_in_a_sandbox_is_said_apart(settings: Settings) -> None:
    sandbox = replace(settings, kind="sandbox", backup_days=1)
    found = examined(sandbox, time.time)
    usual = {each.kind.code for each in found.usual}
    assert {"backup.never", "witness.none"} <= usual
    assert not usual & {each.kind.code for each in found.findings}
    assert not examined(replace(sandbox, kind="production"), time.time).usual


def test_a_wrong_clock_is_said_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """It explains what else is found then."""
    skew = finding("clock.skew", seconds=400.0)
    monkeypatch.setattr("gateway.doctor.store.disk", lambda _settings: iter([skew]))
    every = examine(settings, time.time)
    assert every[0] is skew and len(every) > 1
    grave = [each.kind.grave for each in every]
    assert grave == sorted(grave, reverse=True)
