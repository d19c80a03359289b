"""Operations on reports."""

from __future__ import annotations

import json
from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import reports
from gateway.doors.reply import Reply
from gateway.journal.jobs import Job
from gateway.reports.forms import MEDIA
from gateway.reports.store import Listed


def list_reports(asked: Asked) -> Any:
    found = reports.every(asked.desk, asked.viewer)
    return {"reports": [_listed(each) for each in found.reports], "jobs": [_job(each) for each in found.jobs]}


def make_report(asked: Asked) -> Any:
    body = asked.body
    given = reports.Given(
        month=body.get("month", ""),
        first=body.get("from", ""),
        last=body.get("until", ""),
        agency=body.get("agency", ""),
        anew=body.get("anew", False),
    )
    return {"job": _job(reports.order(asked.desk, asked.viewer, given))}


def read_report(asked: Asked) -> Any:
    report = reports.one(asked.desk, asked.viewer, asked.params["report"])
    about = {"sha256": report.digest.hex(), "entry": report.leaf.hex(), "proof": report.proof}
    return {"report": _listed(report.listed) | about, "figures": json.loads(report.raw)}


def read_document(asked: Asked) -> Reply:
    params = asked.params
    file = reports.file(asked.desk, asked.viewer, params["report"], params["form"], params["language"] or "vi")
    headers = {"content-type": MEDIA[file.form], "content-disposition": f'attachment; filename="{file.name}"'}
    return Reply(200, headers, file.raw)


def _listed(report: Listed) -> dict[str, Any]:
    return report.to_json() | {"made": rfc3339(report.made)}


def _job(job: Job) -> dict[str, Any]:
    facts = job.facts
    about = {"from": facts["first"], "until": facts["last"], "agency": facts["agency"] or None}
    steps = {"step": facts.get("step", 0), "of": facts.get("of")}
    return job.shown() | about | steps | {"report": facts.get("report"), "failure": facts.get("failure")}


OPERATIONS = {
    "listReports": list_reports,
    "makeReport": make_report,
    "readReport": read_report,
    "readReportDocument": read_document,
}
