"""A running instance whose files worker is killed twice with the same file in hand: the file is set aside, and others
are delivered."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts.folder.bundle import catalogue_folders
from examples.story.world import World
from gateway.settings import Settings
from tests.faults.load import child, gone, until
from tests.stored import rows

pytestmark = pytest.mark.server

SAMPLES = next(folder for folder in catalogue_folders() if folder.parent.name == "indicator") / "samples"
CSV = (SAMPLES / "chi-tieu-csv" / "IndicatorValues.quy-3.csv").read_text("utf-8-sig")


@pytest.mark.full
@pytest.mark.attack("files that end the process")
def test_a_file_that_was_in_hand_at_two_deaths_is_set_aside_and_others_are_delivered(
    instance: Settings, world: World
) -> None:
    folder = instance.drop_root / "so-lieu"
    supervisor = int((instance.run / "supervisor.pid").read_text())
    until("the folder is there", folder.exists)
    title, *lines = CSV.splitlines()
    big = "\r\n".join([title, *lines * 20_000])  # its parsing takes longer than to see that it began
    drop(folder, "cach-ly.csv", big)
    killed: set[int] = set()
    for death in range(2):
        worker = until("a worker that has the file in hand", lambda: in_hand(instance, supervisor, killed))
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
        until("it is gone", partial(gone, worker))
        drop(folder, f"cach-ly-khac-{death}.csv", CSV.replace("612,450", f"699,{death:03d}"))
    until("others are delivered", lambda: {"cach-ly-khac-0.csv", "cach-ly-khac-1.csv"} <= accepted(folder))
    report = until("the report of the file", lambda: told(folder).get("cach-ly.csv"))
    assert report["result"] == "refused" and report["problem"]["code"] == "file.quarantined", report["result"]
    aside = until("the file is set aside", lambda: list((folder / "quarantine").glob("cach-ly.*.csv")))
    assert len(aside) == 1
    until("nothing is in hand", lambda: not list((folder / "work").glob("[!.]*")))  # the report comes first
    noted = until("the note", lambda: rows(instance, "select entry from log_entry where phase = 'quarantine'"))
    assert [json.loads(entry)["facts"] for (entry,) in noted] == [
        {"system": "so-lieu", "file": "cach-ly.csv", "size": len(big.encode()), "deaths": 2}
    ]
    assert "files.quarantined" in [
        each["code"] for each in world.lgsp("doctor", "--data", str(instance.data))["findings"]
    ]
    aside[0].unlink()


def drop(folder: Path, name: str, text: str) -> None:
    part = folder / f"{name}.part"
    part.write_text(text, "utf-8")
    part.rename(folder / name)


def in_hand(instance: Settings, supervisor: int, killed: set[int]) -> int | None:
    """The worker, once it is a new one and has noted that file."""
    try:
        worker = child(supervisor, "files")
        note = json.loads(instance.in_hand_file.read_bytes())
    except (StopIteration, FileNotFoundError):
        return None
    current = note["current"]
    if worker in killed or current is None or not current["file"].endswith("~cach-ly.csv"):
        return None
    counted = note["deaths"].get(current["digest"], {"count": 0})["count"]
    return worker if counted == len(killed) else None  # else the note is still that of the process before


def told(folder: Path) -> dict[str, Any]:
    found = [json.loads(path.read_text("utf-8")) for path in folder.rglob("[!.]*.report.json")]
    return {each["file"]: each for each in found}


def accepted(folder: Path) -> set[str]:
    return {name for name, each in told(folder).items() if each["result"] == "accepted"}
