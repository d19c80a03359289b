"""Dropped files that wait since something is ours to mend: each is taken once it is mended, and holds up no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from contracts.codecs.cells.codec import CellCodec
from gateway.doors.files.door import FileDoor
from gateway.doors.files.errors import FILE_NO_OPERATION
from tests.doors.files.dropping import BAD, CSV, XLSX, Place, dropped


def test_our_own_trouble_is_not_the_senders(place: Place) -> None:
    """What could not be written waits in work/, and is taken once by whoever comes next."""
    dropped(place, a_csv=CSV)
    with place.process() as files:
        files._exchange.journal.stop()
        assert asyncio.run(files.look()) == 0 and place.where() == ["work"] and place.reports() == []
        place.now[0] += 1
        assert asyncio.run(files.look()) == 0, "it rests a while"
    place.look()
    assert place.where() == ["accepted"] and len(place.fed()) == 1 and place.phases() == ["intent", "outcome"]


def test_while_the_database_is_away_the_worker_stays_and_the_file_waits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise OperationalError("SELECT 1", {}, OSError("no server"))

    dropped(place, a_csv=CSV)
    with place.process() as files:
        files._exchange.journal.stop()
        assert asyncio.run(files.look()) == 0 and place.where() == ["work"]
    place.now[0] += 60
    with place.process() as files:
        with monkeypatch.context() as patch:
            patch.setattr("gateway.processes.files.look_up", away)
            assert asyncio.run(files.look()) == 0 and place.where() == ["work"]
        place.now[0] += 60
        assert asyncio.run(files.look()) == 1 and place.where() == ["accepted"], "by the same process"


def test_a_mistake_of_ours_holds_up_no_other_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = CellCodec.read_lines

    def broken(codec: CellCodec, message: str, raw: bytes, *at: Any) -> Any:
        if raw.startswith(b"PK"):
            raise RuntimeError("nobody foresaw this")
        return real(codec, message, raw, *at)

    monkeypatch.setattr(CellCodec, "read_lines", broken)
    dropped(place, a_xlsx=XLSX, b_csv=CSV)
    with place.process() as files:
        assert asyncio.run(files.look()) == 0
        place.now[0] += 6
        assert asyncio.run(files.look()) == 1 and place.where() == ["accepted", "work"]
    monkeypatch.undo()
    place.look()
    assert place.where() == ["accepted", "accepted"] and place.phases() == ["intent", "outcome"] * 2


def test_what_waits_in_work_does_not_hold_up_the_rest(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registration that names what is not in force is ours to mend; the file waits, and is taken once it is
    mended."""
    real = FileDoor.is_whole

    def not_in_force(door: FileDoor, addressed: Any) -> bool:
        if addressed.received.path.endswith("a.csv"):
            raise FILE_NO_OPERATION(contract="indicator/v1", operation="submitValues")
        return real(door, addressed)

    dropped(place, a_csv=CSV)
    with place.process() as files, monkeypatch.context() as patch:
        patch.setattr(FileDoor, "is_whole", not_in_force)
        assert asyncio.run(files.look()) == 0 and place.where() == ["work"]
        dropped(place, b_csv=BAD)
        assert asyncio.run(files.look()) == 0, "the folder rests"
        place.now[0] += 6
        assert asyncio.run(files.look()) == 1 and place.where() == ["accepted", "work"]
        logged = place.phases().count("refusal")
        place.now[0] += 1
        assert asyncio.run(files.look()) == 0 and place.phases().count("refusal") == logged, (
            "it is not tried at each look"
        )
    place.look()
    assert place.where() == ["accepted", "accepted"] and len(place.fed()) == 2 and place.phases().count("intent") == 2
