"""Learns from the gateway how far reports came: their transfer, and the agency's answer.

Reports that the gateway did not take yet are looked up in the agent's own queue.
Invariant: a call asks the gateway about a bounded number of reports, and about none of them more often than `PAUSE`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.base.words import Language
from gateway.agent.link import Link, Manner, Passed
from gateway.agent.open311.reports import Progress, Report, Reports
from gateway.agent.store import Store

PAUSE: Final = 5.0
AT_ONCE: Final = 8
_CLOSED: Final = ("closed", "rejected")
_JSON: Final = "application/json"


def answered(progress: Progress, answer: Mapping[str, Any], now: float) -> Progress:
    """The progress after a ServiceRequestReceived of the agency."""
    return replace(
        progress,
        status="closed" if answer.get("status") in _CLOSED else "open",
        settled=True,
        notes="",
        notice=str(answer.get("service_notice", "")),
        agency=str(answer.get("agency_responsible", "")),
        expected=str(answer.get("expected_datetime", "")),
        updated=now,
    )


def number_of(answer: Mapping[str, Any]) -> str:
    """The agency's own number of the report; empty if it gave none."""
    return str(answer.get("service_request_id", ""))


class Following:
    def __init__(self, link: Link, store: Store, reports: Reports, language: Language) -> None:
        self._link, self._store, self._reports, self._language = link, store, reports, language

    async def refresh(self) -> None:
        """Ask about the unsettled reports whose turn it is."""
        due = await asyncio.to_thread(self._reports.unsettled, time.time() - PAUSE, AT_ONCE)
        await asyncio.gather(*(self.follow(each) for each in due))

    async def follow(self, report: Report) -> Report:
        """The report with what is known of it now."""
        now = time.time()
        if report.progress.settled or now - report.asked < PAUSE:
            return report
        progress, number = report.progress, report.number
        if not progress.transfer:
            progress = await asyncio.to_thread(self._from_the_queue, report)
        if progress.transfer and not progress.settled:
            progress, number = await self._from_the_gateway(report, progress, now)
        return await asyncio.to_thread(self._reports.put, replace(report, progress=progress, number=number, asked=now))

    def _from_the_queue(self, report: Report) -> Progress:
        queued = self._store.submission(report.token)
        if queued is None:
            return report.progress
        state, transfer, why = queued
        notes = why if state == "dead" else ""
        return replace(report.progress, transfer=transfer or "", notes=notes)

    async def _from_the_gateway(self, report: Report, progress: Progress, now: float) -> tuple[Progress, str]:
        """The agency's answer, or the failure that ended the transfer."""
        result = await self._link.rest(
            "GET", f"/transfers/{progress.transfer}/answer", None, None, Manner(_JSON, self._language)
        )
        if not isinstance(result, Passed) or result.status == 202 or result.again:
            return progress, report.number
        if result.status in (404, 410):
            return replace(progress, settled=True), report.number
        content = _object(result.body)
        if result.refused:
            return replace(
                progress, status="closed", settled=True, notes=str(content.get("detail", result.code)), updated=now
            ), report.number
        return answered(progress, content, now), number_of(content) or report.number


def _object(body: bytes) -> Mapping[str, Any]:
    value = json.loads(body)
    return value if isinstance(value, dict) else {}
