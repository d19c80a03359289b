"""Operations on one transfer: its journey, why it was refused, its message, proofs of it."""

from __future__ import annotations

from typing import Any

from gateway.audit.log.transfer_proofs import as_json
from gateway.audit.search.shown import journey_as_json
from gateway.console.site.operation import Asked, both
from gateway.console.work import journeys, messages, openings, proofs, refusals
from gateway.console.work.journeys import Seen
from gateway.console.work.refusals import Fault
from gateway.doors.reply import Reply


def read_journey(asked: Asked) -> Any:
    return journey_as_json(_seen(asked).journey)


def explain_refusal(asked: Asked) -> Any:
    """By the registry that decided it."""
    why = refusals.why(asked.desk, _seen(asked))
    if why is None:
        return {"refused": False}
    explained = why.explained
    return {
        "refused": True,
        "failure": why.code,
        "findings": [_fault(each) for each in why.faults],
        "more": why.more,
        "nearest": why.nearest,
        "allowed": None if explained is None else explained.allowed,
        "reason": None if explained is None else str(explained.decision.reason),
        "grant": None if why.grant is None else why.grant.id,
        "agrees": why.agrees,
        "unknown": why.unknown,
        "ask": None if explained is None else both(explained.ask),
    }


def read_translation(asked: Asked) -> Any:
    """Paths and marks of personal data, without a value."""
    found = messages.translated(asked.desk, _seen(asked))
    return {
        "directions": [
            {
                "direction": each.direction,
                "message": each.message,
                "sides": [{"name": side.name, "format": side.format, "parts": list(side.parts)} for side in each.sides],
                "fields": [
                    {
                        "paths": list(one.paths),
                        "personal": one.personal,
                        "withheld": one.withheld if each.known else None,
                    }
                    for one in each.fields
                ],
                "drops": list(each.drops),
                "grants": list(each.grants),
            }
            for each in found
        ]
    }


def read_body(asked: Asked) -> Reply:
    """The bytes as the vault has them. The entry of the log comes first."""
    seen, body = _seen(asked), asked.body
    found = openings.read_part(asked.desk, asked.viewer, seen.transfer, body["part"], asked.reason())
    headers = {"content-type": "application/octet-stream", "lgsp-size": str(found.size)}
    return Reply(200, headers, found.data)


def read_proof(asked: Asked) -> Any:
    transfer = _seen(asked).transfer
    return as_json(transfer, proofs.inclusions(asked.desk, asked.viewer, transfer))


def read_archive(asked: Asked) -> Reply:
    transfer = _seen(asked).transfer
    content = proofs.archive(asked.desk, asked.viewer, transfer)
    return Reply(200, _attached("application/zip", f"proof-{transfer}.zip"), content)


def read_receipts(asked: Asked) -> Any:
    transfer = _seen(asked).transfer
    found = proofs.receipts(proofs.inclusions(asked.desk, asked.viewer, transfer), transfer)
    return {
        "transfer": transfer,
        "log_key": proofs.log_key(asked.desk, transfer),
        "receipts": [
            {
                "phase": each.phase,
                "index": each.index,
                "leaf": each.leaf,
                "text": each.text,
                "svg": None if each.picture is None else str(each.picture),
            }
            for each in found
        ],
    }


def make_package(asked: Asked) -> Reply:
    transfer = _seen(asked).transfer
    content = proofs.package(asked.desk, asked.viewer, transfer, asked.reason(), asked.now)
    return Reply(200, _attached("application/zip", f"package-{transfer}.zip"), content)


def _attached(media_type: str, name: str) -> dict[str, str]:
    return {"content-type": media_type, "content-disposition": f'attachment; filename="{name}"'}


def _fault(each: Fault) -> dict[str, Any]:
    here = each.here if isinstance(each.here, str) else None  # else: nowhere in the message
    words = {"expected": both(each.expected), "got": both(each.got)}
    return {"here": here, "canonical": each.canonical, "rule": each.rule, **words}


def _seen(asked: Asked) -> Seen:
    return journeys.find(asked.desk, asked.viewer, asked.params["transfer"])


OPERATIONS = {
    "readJourney": read_journey,
    "explainRefusal": explain_refusal,
    "readTranslation": read_translation,
    "openBody": read_body,
    "readTransferProof": read_proof,
    "readProofArchive": read_archive,
    "readReceipts": read_receipts,
    "makePackage": make_package,
}
