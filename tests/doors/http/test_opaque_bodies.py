"""Files beside documents: uploaded in bounded memory, named by a document, fetched by those who may see it only."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client, Identity
from gateway.client.errors import Refused
from tests.doors.http.town import MIB, PATH, Town, forget_peak, memory, noise, town

pytestmark = pytest.mark.server
CONTRACT, OPERATION = "official-document/v1", "sendDocument"
SIZE = 1 << 30 if os.environ.get("LGSP_TEST_SIZE") == "full" else 96 * MIB


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("bodies"), agency_processor=20.0, opaque_bodies=2 * SIZE) as made:
        yield made


def rows(town: Town, query: str, *of: object) -> list[Any]:
    base = sqlite3.connect(f"file:{town.settings.data / 'lgsp.db'}?mode=ro", uri=True, timeout=60)
    try:
        return base.execute(query, of).fetchall()
    finally:
        base.close()


def kit(town: Town, name: str = "phan-anh") -> Client:
    return Client(Identity.load(town.settings.identities / name), seconds=60.0)


def written(folder: Path, size: int) -> Path:
    file = folder / "sent"
    block = noise(MIB)
    with file.open("wb") as out:
        for number in range(size // MIB):
            out.write(block[number % 7 :] + block[: number % 7])
        out.write(noise(size % MIB))
    return file


def digest(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def test_a_file_goes_to_the_receiver_of_its_document(bodies: Town, tmp_path: Path) -> None:
    """In bounded memory: the door grows by 64 MiB at most, whatever the size."""
    file = written(tmp_path, SIZE + 4321)
    small = tmp_path / "small"
    small.write_bytes(b"x" * 10)
    with kit(bodies) as sender, kit(bodies, "van-thu") as receiver:
        sender.send_file(small, CONTRACT, OPERATION)  # what a first call makes is there
        (door,) = bodies.doors()
        forget_peak(door)
        before = memory(door, "VmRSS")
        import time

        t = time.time()
        sent = sender.send_file(file, CONTRACT, OPERATION, media_type="video/mp4")
        print("UP", time.time() - t)
        t = time.time()
        up = memory(door, "VmHWM") - before
        answer = sender.rest("POST", PATH, bodies.document | {"content": sent.reference})
        assert bodies.records.documents[-1]["content"] == sent.reference
        transfer = answer.headers["lgsp-transfer"]
        forget_peak(door)
        before = memory(door, "VmRSS")
        assert receiver.fetch_file(transfer, sent.reference, tmp_path / "fetched") == SIZE + 4321
        print("DOWN", time.time() - t)
        down = memory(door, "VmHWM") - before
        assert digest(tmp_path / "fetched") == sent.sha256 == digest(file)
        print(f"{SIZE} bytes: a door grew by {up} up, {down} down")
        assert up <= 64 * MIB and down <= 64 * MIB
        for other in ("canh-bao", "thuc-phan"):
            with kit(bodies, other) as nobody, pytest.raises(Refused) as no:
                nobody.fetch_file(transfer, sent.reference, tmp_path / "never")
            assert (no.value.status, no.value.code) == (404, "body.unknown")
