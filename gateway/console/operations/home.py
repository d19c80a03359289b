"""Operations of the first page: what needs attention, and what has an id."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.audit.search.shown import shown
from gateway.console.operations.feed_readers import shown_reader
from gateway.console.site.operation import Asked, when
from gateway.console.work import finding
from gateway.console.work.home import Needs, needs
from gateway.delivery import listing


def attend(asked: Asked) -> Any:
    """A part that the person's roles do not see is null."""
    found = needs(asked.desk, asked.viewer, asked.params["days"], asked.params["month"] or "")
    return {
        "queue": None if found.queue is None else dict(found.queue),
        "counted": listing.COUNTED,
        "subscriptions": found.pushes,
        "paused": None if found.paused is None else [each.shown() for each in found.paused],
        "behind": None if found.behind is None else [shown_reader(each) for each in found.behind],
        "approvals": found.approvals,
        "drafts": found.drafts,
        "review": None if found.review is None else {"due": when(found.review.at), "late": found.review.late},
        "certificates": None
        if found.ending is None
        else [
            {
                "key": each.key,
                "system": each.system,
                "agency": each.agency,
                "use": each.use,
                "valid_until": rfc3339(each.until),
            }
            for each in found.ending
        ],
        "newest_refusals": None if found.refusals is None else [shown(each) for each in found.refusals],
        "refusals": _refusals(found),
        "volumes": _volumes(found),
    }


def find(asked: Asked) -> Any:
    found = finding.find(asked.desk, asked.viewer, asked.params["id"].strip())
    return {
        "what": found.what,
        "transfer": found.transfer,
        "index": found.entry,
        "filter": dict(found.filter),
        "page": found.address,
    }


def _refusals(found: Needs) -> Any:
    if (denials := found.denials) is None:
        return None
    rows = [{"failure": each.code, "agency": each.agency, "entries": each.entries} for each in denials.rows]
    return {"total": denials.total, "capped": denials.capped, "by": rows}


def _volumes(found: Needs) -> Any:
    if (volumes := found.volumes) is None:
        return None
    return {
        "since": rfc3339(volumes.since),
        "until": rfc3339(volumes.until),
        "days": volumes.days,
        "agencies": [
            {
                "agency": each.agency,
                "before": list(each.days),
                "today": each.today,
                "usual": each.usual,
                "unusual": each.unusual or None,
                "refused": each.refused,
            }
            for each in volumes.rows
        ],
    }


OPERATIONS = {"readAttention": attend, "findId": find}
