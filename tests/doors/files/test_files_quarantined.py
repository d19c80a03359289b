"""A file at which the process dies: others go on, and it is set aside after two deaths, unread, with a report, an entry
and a finding."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.codecs.cells.codec import CellCodec
from gateway.audit.search.facts import facts_of
from gateway.doctor.files import files as examined
from gateway.doors.counts import count
from gateway.doors.files.in_hand import InHand
from gateway.doors.health import Vitals
from gateway.journal.database import open_engine
from gateway.processes import child
from gateway.processes import files as worker
from gateway.registry.registry import Registry
from gateway.settings.saving import save
from tests.doors.files.dropping import CSV, Place, dropped, edited, fresh
from tests.doors.told_metrics import metrics

DEADLY = CSV.replace(b"41,07", b"66,66")
_READ = CellCodec.read_lines


def ends(
    place: Place, look: Callable[[], Any], at: Callable[[], Any] = lambda: os.kill(os.getpid(), signal.SIGKILL)
) -> bool:
    """Whether a look, in a process of its own, ends when the deadly file is parsed."""
    place.looks, place.now[0] = place.looks + 10, place.now[0] + 1  # what the other process counts is lost
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

        def read(codec: CellCodec, message: str, raw: bytes, *more: Any) -> Any:
            if raw.startswith(DEADLY):
                at()
            return _READ(codec, message, raw, *more)

        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(CellCodec, "read_lines", read)
                look()
            os._exit(0)
        except BaseException:
            os._exit(3)
    _, status = os.waitpid(pid, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) in (0, 1), "it failed by itself"
    return os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 1


@pytest.mark.attack("files that end the process")
def test_a_file_that_ends_the_process_is_set_aside(place: Place) -> None:
    dropped(place, chet_csv=DEADLY, tot_csv=CSV)
    os.utime(place.drop / "chet.csv", (1, 1))  # the first to be taken up
    assert ends(place, place.look) and place.where() == ["so-lieu", "work"]
    assert ends(place, place.look) and place.where() == ["accepted", "work"], "others go on before it is taken up again"
    place.now[0] += 10
    assert not ends(place, place.look), "it is not parsed again"
    assert place.where() == ["accepted", "quarantine"]
    report = next(each for each in place.reports() if each["file"] == "chet.csv")
    assert (
        report["result"] == "refused"
        and report["problem"]["code"] == "file.quarantined"
        and set(report["receipt"]) == {"refusal"}
    )
    assert (
        set(report["problem"]["messages"]) == {"vi", "en"}
        and len(list((place.drop / "refused").glob("chet.*.report.*"))) == 2
    )
    told = place.table("chet")[1]
    assert "2 lần" in told[2] and "times: 2" in told[5] and told[3] and told[6]
    notes = [json.loads(entry) for (entry,) in place.rows("select entry from log_pending where phase = 'quarantine'")]
    said = facts_of(notes[0], "-", "quarantine", {})
    assert (said.agency, said.system) == ("H14.4", "so-lieu"), "an officer finds it by whose it is"
    assert [each["facts"] for each in notes] == [
        {"system": "so-lieu", "file": "chet.csv", "size": len(DEADLY), "deaths": 2}
    ]
    assert notes[0]["transfer"] == report["transfer"]
    for _ in range(3):
        assert place.look() == 0
    assert place.where() == ["accepted", "quarantine"] and place.phases().count("quarantine") == 1


@pytest.mark.attack("files that end the process")
def test_another_name_or_place_does_not_hide_it(place: Place) -> None:
    """Whoever writes into the folder may write into work/ too: the count is of the bytes, and lies elsewhere."""
    for number in range(2):
        dropped(place, **{f"ten-{number}_csv": DEADLY})
        assert ends(place, place.look)
        (left,) = (place.drop / "work").iterdir()
        left.unlink()
        (place.drop / "work" / f"{left.name[:-5]}x.csv").unlink(missing_ok=True)
    place.now[0] += 10
    dropped(place, khac_csv=DEADLY)
    assert not ends(place, place.look) and place.where() == ["quarantine"]


def test_what_is_released_is_read_again(place: Place) -> None:
    dropped(place, chet_csv=DEADLY)
    assert ends(place, place.look) and ends(place, place.look)
    place.now[0] += 10
    place.look()
    (aside,) = (place.drop / "quarantine").iterdir()
    aside.rename(place.drop / "lai.csv")
    place.look()
    assert place.where() == ["accepted"] and [each["result"] for each in place.reports()] == ["refused", "accepted"]


def test_the_doctor_and_the_metrics_say_so(place: Place) -> None:
    def found() -> list[Any]:
        save(place.settings)
        return [each for each in examined(place.settings) if each.kind.code == "files.quarantined"]

    assert found() == []
    (place.drop / "quarantine" / "x.csv").write_bytes(b"x")
    (finding,) = found()
    assert finding.kind.grave and finding.facts["count"] == 1 and "quarantine/x.csv" in finding.facts["paths"]
    (place.drop.parent / "khac").mkdir()
    (place.drop.parent / "khac" / "quarantine").symlink_to(place.data)  # a link of a stranger leads nowhere
    assert len(found()[0].facts["paths"].split(",")) == 1
    engine = open_engine(f"sqlite:///{place.data / 'lgsp.db'}")
    counts = Vitals(engine, Registry(engine), lambda: 0.0, place.settings.drop_root)._count()
    assert "\nlgsp_files_quarantined 1.0\n" in metrics(counts)
    with engine.connect() as connection:
        assert "\nlgsp_files_quarantined 0.0\n" in metrics(count(connection, 0.0))
    engine.dispose()


@pytest.mark.attack("files that end the process")
def test_ever_new_deadly_files_make_their_folder_wait(tmp_path: Path) -> None:
    now = [1_000_000.0]

    def dies(number: int) -> InHand:
        made = InHand(tmp_path / "run" / "files.json", lambda: now[0])
        if not made.rests("xau"):
            assert made.take("xau", f"{number}", f"{number:064x}") == 0
        return made

    dies(0)
    dies(1)
    assert not dies(2).rests("xau"), "as many as one file can bring about"
    waited = []
    for number in range(3, 12):
        made = InHand(tmp_path / "run" / "files.json", lambda: now[0])
        began = now[0]
        while made.rests("xau"):
            assert not made.rests("khac")
            now[0] += 1
        waited.append(now[0] - began)
        dies(number)
    assert waited == sorted(waited) and waited[0] >= 5 and waited[-1] >= 300
    now[0] += 3601
    assert not InHand(tmp_path / "run" / "files.json", lambda: now[0]).rests("xau")


def test_an_orderly_end_is_no_death(place: Place) -> None:
    for _ in range(3):
        note = InHand(place.settings.in_hand_file, lambda: place.now[0])
        assert note.take("so-lieu", "a~b", "d" * 64) == 0
        note.let_go()
    assert InHand(place.settings.in_hand_file, lambda: place.now[0]).deaths("d" * 64) == 0


def test_a_note_that_is_damaged_begins_anew(place: Place) -> None:
    for text in (b"", b"{", b"[]", b'{"current": null}'):
        place.settings.in_hand_file.parent.mkdir(exist_ok=True)
        place.settings.in_hand_file.write_bytes(text)
        assert InHand(place.settings.in_hand_file, lambda: 0.0).deaths("d") == 0


def test_what_was_carried_before_stays_and_the_refusal_is_another_transfer(place: Place) -> None:
    """Deaths after the commit: while the report is made, say."""
    dropped(place, chet_csv=DEADLY)

    def look() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "reports", lambda told, checkpoint: os.kill(os.getpid(), signal.SIGKILL))
            place.look()

    for _ in range(2):
        assert ends(place, look, at=lambda: None)
    place.now[0] += 10
    place.look()
    assert place.where() == ["quarantine"] and len(place.fed()) == 1
    ids = dict(place.rows("select phase, transfer from log_pending"))
    assert (
        set(ids) == {"intent", "outcome", "refusal", "quarantine"}
        and ids["refusal"] == ids["quarantine"] != ids["intent"] == ids["outcome"]
    )


@pytest.mark.full
@pytest.mark.attack("files that end the process")
def test_a_process_that_is_silent_ends_itself(tmp_path: Path) -> None:
    """Also where C code holds the interpreter's lock and never comes back."""
    place = fresh(tmp_path)
    dropped(place, chet_csv=DEADLY)

    def look() -> None:
        async def beating() -> None:
            beat = asyncio.create_task(child.watch_loop(3.0, None))
            await asyncio.sleep(0)
            with place.process() as files:
                place.now[0] += 1
                await files.look()
            beat.cancel()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stderr", sys.__stderr__)
            asyncio.run(beating())

    began = time.monotonic()
    for _ in range(2):
        assert ends(place, look, at=lambda: re.match(r"(a|aa)+$", "a" * 200 + "!"))
    assert time.monotonic() - began < 180
    place.now[0] += 20
    assert not ends(place, look, at=lambda: re.match(r"(a|aa)+$", "a" * 200 + "!")) and place.where() == ["quarantine"]


@pytest.mark.attack("files that end the process")
def test_one_folder_does_not_hold_up_another(tmp_path: Path) -> None:
    place = fresh(tmp_path, edited())
    note = InHand(place.settings.in_hand_file, lambda: place.now[0])
    for number in range(4):
        note = InHand(place.settings.in_hand_file, lambda: place.now[0])
        note.take("so-lieu" if number < 3 else "khac", str(number), f"{number:064x}")
    dropped(place, tot_csv=CSV)
    assert place.look() == 0 and place.where() == ["so-lieu"]
    place.now[0] += 30
    assert place.look() == 1 and place.where() == ["accepted"]
