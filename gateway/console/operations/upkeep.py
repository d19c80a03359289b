"""Operations on the log's integrity, backups, the vault, the instance's keys, and what the doctor finds."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.audit.search.shown import shown
from gateway.console.site.operation import Asked, when
from gateway.console.work import backups, instance_keys, integrity, log_acts, retention, upkeep
from gateway.console.work.backups import Made
from gateway.doors.reply import Reply
from gateway.journal.jobs import Job


def read_log(asked: Asked) -> Any:
    found = integrity.integrity(asked.desk)
    return {
        "origin": found.origin,
        "size": found.size,
        "pending": found.pending,
        "checkpoint": found.note,
        "witnesses": [dict(each) for each in found.witnesses],
        "checkpoints": [
            {"size": each.size, "signed": rfc3339(each.signed), "root": each.root.hex()} for each in found.checkpoints
        ],
        "logs": [
            *(
                {"origin": each.origin, "vkey": each.vkey, "size": each.size, "ended": rfc3339(each.ended)}
                for each in found.ended
            ),
            {"origin": found.origin, "vkey": found.vkey, "size": None, "ended": None},
        ],
        "stamps": [
            {"id": each.id, "size": each.size, "authority": each.authority, "time": rfc3339(each.time)}
            for each in found.stamps
        ],
        "orders": {kind: _order(each) for kind, each in log_acts.newest(asked.desk).items()},
        "checks": [_check(each) for each in found.checks],
        "interrupted": found.interrupted,
    }


def verify_log(asked: Asked) -> Any:
    return {"check": _check(integrity.verify(asked.desk, asked.viewer))}


def stamp_log(asked: Asked) -> Any:
    return {"job": log_acts.ask_stamp(asked.desk, asked.viewer).shown()}


def reindex_log(asked: Asked) -> Any:
    return {"job": log_acts.ask_reindex(asked.desk, asked.viewer).shown()}


def read_stamp(asked: Asked) -> Reply:
    return Reply(200, {"content-type": "application/zip"}, log_acts.stamp(asked.desk, asked.params["stamp"]))


def read_doctor(asked: Asked) -> Any:
    found, made = upkeep.upkeep(asked.desk), backups.backups(asked.desk)
    return {
        "findings": [each.shown() for each in found.findings],
        "usual": [each.shown() for each in found.usual],
        "trouble": found.trouble,
        "looked_for": found.looked_for,
        "standing": [each.to_json() for each in found.standing],
        "told": [
            {"to": to, "made": rfc3339(each.made), "state": each.state, "tries": each.tries, "failure": each.failure}
            for to, each in found.told
        ],
        "backups": [shown(each) for each in made.logged],
        "restores": [shown(each) for each in made.restored],
    }


def acknowledge_finding(asked: Asked) -> Any:
    return {"finding": upkeep.acknowledge(asked.desk, asked.viewer, asked.params["finding"], asked.reason()).to_json()}


def read_backups(asked: Asked) -> Any:
    found = backups.backups(asked.desk)
    last = found.last
    return {
        "last": None
        if last is None
        else {
            "at": rfc3339(last.at),
            "folder": last.folder,
            "keys": last.keys,
            "verified": last.verified,
            "days": last.days,
        },
        "overdue": found.overdue,
        "backup_days": found.limit,
        "backups": [_made(each) for each in found.made],
        "restores": [_made(each) for each in found.restores],
        "drills": [_made(each) for each in found.drills],
    }


def record_drill(asked: Asked) -> None:
    body = asked.body
    backups.record_drill(asked.desk, asked.viewer, (body["kind"], body["day"], body["ok"]), asked.reason())


def read_vault(asked: Asked) -> Any:
    found = retention.kept(asked.desk, counted=True)
    return {
        "classes": [{**each._asdict(), "due": when(each.due)} for each in found.classes],
        "holds": [
            {
                "name": hold.name,
                "reason": hold.reason,
                "by": hold.actor,
                "since": rfc3339(hold.since),
                "released": when(hold.released),
                "sealed": when(hold.sealed),
                "bodies": bodies,
                "covers": hold.facts(),
            }
            for hold, bodies in found.holds
        ],
        "destroyed": found.destroyed,
        "missing": list(found.missing),
        "waiting": found.waiting,
        "log": found.log,
    }


def add_hold(asked: Asked) -> Any:
    given = {**asked.body, "transfers": "\n".join(asked.body.get("transfers", ()))}
    return {"hold": retention.add(asked.desk, asked.viewer, given, asked.reason())}


def release_hold(asked: Asked) -> None:
    retention.release(asked.desk, asked.viewer, asked.params["hold"], asked.reason())


def confirm_clock(asked: Asked) -> None:
    retention.confirm_clock(asked.desk, asked.viewer)


def read_keys(asked: Asked) -> Any:
    return instance_keys.shown(instance_keys.instance_keys(asked.desk), asked.now)


def ask_authorities(asked: Asked) -> Any:
    return {"job": instance_keys.ask_outside(asked.desk, asked.viewer).shown()}


def _order(each: Job) -> dict[str, Any]:
    return {**each.shown(), **{name: each.facts[name] for name in ("size", "done", "trouble") if name in each.facts}}


def _check(each: Job) -> dict[str, Any]:
    names = ("ok", "size", "wrong", "more", "done")
    return {**each.shown(), **{name: each.facts[name] for name in names if name in each.facts}}


def _made(each: Made) -> dict[str, Any]:
    return {"at": rfc3339(each.at), "by": each.actor, "facts": each.facts}


OPERATIONS = {
    "readLog": read_log,
    "verifyLog": verify_log,
    "stampLog": stamp_log,
    "readStamp": read_stamp,
    "reindexLog": reindex_log,
    "readDoctor": read_doctor,
    "acknowledgeFinding": acknowledge_finding,
    "readBackups": read_backups,
    "recordDrill": record_drill,
    "readVault": read_vault,
    "addHold": add_hold,
    "releaseHold": release_hold,
    "confirmClock": confirm_clock,
    "readKeys": read_keys,
    "askAuthorities": ask_authorities,
}
