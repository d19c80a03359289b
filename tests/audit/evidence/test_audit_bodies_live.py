"""In a running instance: bodies are kept by class, each one that is read leaves its note in the verified log."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine, select

from examples.story import World
from gateway.cli import vault
from gateway.cli.audit.body import audit_body
from gateway.cli.audit.entries import audit_show
from gateway.cli.audit.verify import audit_verify
from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.sandbox.standins import messages
from gateway.settings import Settings

pytestmark = pytest.mark.server
REASON = "công văn 12/CV-CA"


def told(capsys: pytest.CaptureFixture[str], command: Any, **options: Any) -> dict[str, Any]:
    with pytest.raises(SystemExit):
        command(**options, as_json=True)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def sequenced(engine: Engine, transfer: str, phase: str) -> bool:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with engine.connect() as connection:
            table = tables.log_entry.c
            if (
                connection.execute(select(table.idx).where(table.transfer == transfer, table.phase == phase)).first()
                is not None
            ):
                return True
        time.sleep(0.05)
    return False


@pytest.mark.sampled("sqlite")
def test_a_reading_is_in_the_tree(instance: Settings, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    message = messages.fire_alarm(identifier=f"BC-{uuid.uuid4()}")
    answer = world.rest("bao-chay").call("POST", "/incident-alert/v1/alerts", message, message_id=str(uuid.uuid4()))
    transfer = answer.json()["transfer"]
    found = told(capsys, audit_body, transfer=transfer, reason=REASON, part="canonical", data=instance.data)
    assert json.loads(found["text"])
    assert sequenced(open_engine(instance.database_url), transfer, found["note"])
    phases = [
        what
        for entry in told(capsys, audit_show, transfers=[transfer], data=instance.data)["entries"]
        if (what := entry.get("what") or entry["kind"]) != "handling"  # the keeper opens it meanwhile
    ]
    assert phases == ["intent", "outcome", "body-view"]
    with pytest.raises(SystemExit) as end:
        audit_verify(data=instance.data, as_json=True)
    said = capsys.readouterr().out
    assert end.value.code == 0, said
    kept = told(capsys, vault.vault_status, data=instance.data)
    assert kept["ok"] and all(line["stands"] and not line["overdue"] for line in kept["keys"])
    assert "m24" in {line["class"] for line in kept["keys"]}
