"""A disk without room, in the middle of a load: the doors say so by code, and nothing that was acknowledged is lost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from examples.story.exchange import QUESTION
from gateway.sandbox.standins import messages
from tests.faults.load import Load, all_in_feed, until

pytestmark = [pytest.mark.full, pytest.mark.server]

MEGABYTES = 48
BLOCK = 4096


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, where this user may make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("a disk of its own: needs Linux and the right to mount")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a disk of its own: {made.stderr.strip()[:120]}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def fill(file: Path) -> None:
    """Take all room that is left."""
    with file.open("ab", buffering=0) as out:
        while True:
            try:
                out.write(b"\0" * BLOCK)
            except OSError as full:
                if full.errno == errno.ENOSPC:
                    return
                raise


def test_a_full_disk(small_disk: Path) -> None:
    settings = replace(demo_settings(small_disk / "data"), provider_seconds=1.0)
    with running(settings):
        world = world_of(settings)
        world.rest("y-te").token()
        filler = small_disk / "filler"
        with Load(settings, connections=4) as load:
            load.wait(20)
            deadline = time.monotonic() + 60
            while "journal.unavailable" not in load.others and time.monotonic() < deadline:
                fill(filler)
                time.sleep(0.05)
            assert load.others["journal.unavailable"], f"the disk is full and nobody said so: {load.others}"
            time.sleep(1.0)
            fill(filler)
            soap = world.soap("canh-bao").call("incident-alert/v1", "submitAlert", messages.cap_alert())
            told = [soap.fault.problem if soap.fault is not None else ""]
            answer = world.rest("y-te").call("GET", messages.indicator_question(**QUESTION))
            told.append(answer.problem["code"] if answer.problem else "")
            assert told == ["journal.unavailable"] * 2, told
            assert (answer.status, soap.status) == (503, 500)
            filler.unlink()
            load.wait(20)
        assert set(load.others) <= {"journal.unavailable", "journal.busy", "journal.fenced"}, load.others
        assert not load.unanswered
        assert set(all_in_feed(world, load.acknowledged, 30.0).values()) == {1}
        vkey = str(settings.identities / "bao-chay" / "log.vkey")
        until(
            "the log verifies",
            lambda: world.lgsp("audit", "verify", "--data", str(settings.data), "--vkey", vkey)["ok"],
        )
