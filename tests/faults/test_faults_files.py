"""Drop folders in a running instance: while the process that works on them is killed again and again, each file has one
result and stands once in the feed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

from contracts.folder.bundle import catalogue_folders
from examples.story.exchange import read_feed
from examples.story.world import World
from gateway.settings import Settings
from tests.faults.load import child, until
from tests.stored import rows

pytestmark = [pytest.mark.full, pytest.mark.server]

SAMPLES = next(folder for folder in catalogue_folders() if folder.parent.name == "indicator") / "samples"
CSV = (SAMPLES / "chi-tieu-csv" / "IndicatorValues.quy-3.csv").read_text("utf-8-sig")
FILES = 24


def test_files_dropped_while_the_worker_is_killed(instance: Settings, world: World) -> None:
    folder = instance.drop_root / "so-lieu"
    supervisor = int((instance.run / "supervisor.pid").read_text())
    until("the folder is there", folder.exists)
    shutil.copy(SAMPLES / "chi-tieu-xlsx" / "IndicatorValues.quy-3.xlsx", folder / "bang.xlsx")
    for number in range(FILES):
        part = folder / f"so-lieu-{number}.csv.part"
        part.write_text(
            CSV.replace("612,450", f"612,{number:03d}") if number % 4 else "Mã;Giá trị\n1;2\n" + "\n" * number, "utf-8"
        )
        part.rename(folder / f"so-lieu-{number}.csv")
    work = folder / "work"
    for _ in range(2):
        until("a file is taken up", lambda: any(work.iterdir()) or reports(folder))
        time.sleep(0.02)
        killed = child(supervisor, "files")
        os.kill(killed, signal.SIGKILL)
        until("another worker", partial(lambda killed: _other(supervisor, killed), killed))
    until("every file has its result", lambda: len(reports(folder)) == FILES + 1 and not any(work.iterdir()))
    told = reports(folder)
    assert Counter(each["result"] for each in told) == {"accepted": FILES * 3 // 4 + 1, "refused": FILES // 4}
    assert not any(path.is_file() for path in folder.iterdir())
    accepted = {each["transfer"] for each in told if each["result"] == "accepted"}
    events = until("all that was accepted in the feed", lambda: _fed(world, accepted))
    assert Counter(event["id"] for event in events if event["id"] in accepted) == Counter(accepted)
    assert {str(event["data"]["values"][0]["value"]) for event in events} >= {
        f"612.{number:03d}" for number in range(FILES) if number % 4
    }
    world.wait("everything written has its place in the log", lambda: not rows(instance, "select id from log_pending"))
    refused = {each["transfer"] for each in told if each["result"] == "refused"}
    logged = {transfer for (transfer,) in rows(instance, "select transfer from log_entry where phase = 'refusal'")}
    assert refused <= logged
    key = str(instance.identities / "so-lieu" / "log.vkey")
    assert world.lgsp("audit", "verify", "--data", str(instance.data), "--vkey", key)["ok"]


def reports(folder: Any) -> list[dict[str, Any]]:
    """Those of this test."""
    found = [json.loads(path.read_text("utf-8")) for path in folder.rglob("[!.]*.report.json")]
    return [each for each in found if each["file"].startswith(("so-lieu-", "bang."))]


def _other(supervisor: int, killed: int) -> bool:
    try:
        return child(supervisor, "files") != killed
    except StopIteration:
        return False


def _fed(world: World, accepted: set[str]) -> list[dict[str, Any]] | None:
    events = read_feed(world, "indicator/v1")
    return events if accepted <= {event["id"] for event in events} else None
