"""Operations on alarms about systems."""

from __future__ import annotations

from typing import Any

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked
from gateway.console.work import watch


def list_alarms(asked: Asked) -> Any:
    found = watch.every(asked.desk, asked.viewer)
    rows = found.ended if asked.params["state"] == "ended" else found.open
    alarms = [{**each.alarm.to_json(), "agency": each.system.agency} for each in rows]
    return {"at": rfc3339(found.at), "alarms": alarms}


def acknowledge_alarm(asked: Asked) -> Any:
    alarm = watch.acknowledge(asked.desk, asked.viewer, asked.params["alarm"], asked.reason())
    system = asked.desk.services.registry.snapshot.systems[alarm.system]
    return {"alarm": {**alarm.to_json(), "agency": system.agency}}


OPERATIONS = {"listAlarms": list_alarms, "acknowledgeAlarm": acknowledge_alarm}
