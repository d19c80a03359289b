"""Learns from the gateway how far reports came: their transfer, the agency's answer, and the steps of their handling.

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

from contracts.base.times import moment
from contracts.base.words import Language
from gateway.agent.link import Link, Manner, Passed
from gateway.agent.open311.reports import PAUSE, Progress, Report, Reports, Update
from gateway.agent.store import Store

AT_ONCE: Final = 8
_CLOSED: Final = ("closed", "rejected")
_JSON: Final = "application/json"


def answered(progress: Progress, answer: Mapping[str, Any], now: float) -> Progress:
    """The progress after a ServiceRequestReceived of the agency."""
    return replace(
        progress,
        status="closed" if answer.get("status") in _CLOSED else "open",
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
        due = await asyncio.to_thread(self._reports.due, time.time(), AT_ONCE)
        await asyncio.gather(*(self.follow(each) for each in due))

    async def follow(self, report: Report) -> Report:
        """The report with what is known of it now."""
        now = time.time()
        if now - report.asked < PAUSE:
            return report
        progress, number = report.progress, report.number
        if not progress.transfer:
            progress = await asyncio.to_thread(self._from_the_queue, report)
        if progress.transfer and number == report.token and not progress.settled:
            progress, number = await self._from_the_gateway(report, progress, now)
        if progress.transfer:
            progress = await self._from_its_handling(progress)
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

    async def _from_its_handling(self, progress: Progress) -> Progress:
        """The state of the handling, once the gateway has opened one."""
        listed = await self._get(f"/handlings?list=all&limit=1&transfer={progress.transfer}")
        ids = [each["handling"] for each in listed.get("handlings", ())]
        seen = await self._get(f"/handlings/{ids[0]}") if ids else {}
        return handled(progress, seen, self._language) if seen else progress

    async def _get(self, target: str) -> Mapping[str, Any]:
        """What the gateway answers; nothing if it refuses or is away."""
        result = await self._link.rest("GET", target, None, None, Manner(_JSON, self._language))
        return _object(result.body) if isinstance(result, Passed) and not result.refused else {}


def handled(progress: Progress, seen: Mapping[str, Any], language: Language) -> Progress:
    """The progress by its handling, as the gateway shows one. The agency is named by its code once it has changed."""
    updates = tuple(_update(each, language) for each in seen["steps"])
    forwarded = any(each["step"] == "forward" for each in seen["steps"])
    last = updates[-1] if updates else None
    return replace(
        progress,
        status=seen["shown"],
        settled=seen["ended"],
        notes=last.text if last is not None else seen["title"][language],
        agency=seen["agency"] if forwarded or not progress.agency else progress.agency,
        expected=seen.get("wholeDue") or seen.get("due") or progress.expected,
        updated=moment(last.at) or progress.updated if last is not None else progress.updated,
        updates=updates,
    )


def _update(step: Mapping[str, Any], language: Language) -> Update:
    said = [step["title"][language], *([step["reason"]] if step.get("reason") else [])]
    return Update(step["number"], step["shown"], step["at"], ": ".join(said))


def _object(body: bytes) -> Mapping[str, Any]:
    value = json.loads(body)
    return value if isinstance(value, dict) else {}
