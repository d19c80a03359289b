"""Uploads whose connections break off, or whose door dies: the kit goes on from what the gateway has kept."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from gateway.client import AsyncClient, Identity
from gateway.client.errors import NoConnection
from gateway.client.transport import HttpTransport, RawAnswer
from tests.doors.http.test_opaque_bodies import CONTRACT, OPERATION, digest, kit, rows
from tests.doors.http.town import MIB, PATH, Town, noise, town
from tests.faults.load import until

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def bodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("bodies"), agency_processor=20.0) as made:
        yield made


class Cutting(HttpTransport):
    """Breaks off each of the first uploads behind so many bytes; `before` is called then."""

    cuts: list[int]
    asked: list[str]
    before: Callable[[], None]

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        self.asked.append(method)
        return await super().send(method, url, headers, body)

    async def upload(
        self, method: str, url: str, headers: Mapping[str, str], pieces: AsyncIterator[bytes]
    ) -> RawAnswer:
        self.asked.append(f"{method} {headers.get('upload-offset')}")
        return await super().upload(method, url, headers, self._cut(pieces) if self.cuts else pieces)

    async def _cut(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self.cuts.pop(0)
        async for piece in pieces:
            yield piece
            left -= len(piece)
            if left <= 0:
                self.before()
                raise ConnectionResetError("cut")


def cutting(town: Town, name: str, cuts: list[int], before: Callable[[], None] = lambda: None) -> AsyncClient:
    identity = Identity.load(town.settings.identities / name)
    transport = Cutting(identity.tls(), seconds=60.0, connections=4)
    transport.cuts, transport.asked, transport.before = cuts, [], before
    return AsyncClient(identity, transport=transport)


@pytest.mark.full
@pytest.mark.parametrize(
    ("sender", "contract", "operation"),
    [("phan-anh", CONTRACT, OPERATION), ("mot-cua", "dossier-status/v1", "submitStatus")],
)
async def test_an_upload_goes_on_where_it_broke_off(
    bodies: Town, tmp_path: Path, sender: str, contract: str, operation: str
) -> None:
    """In clear and encrypted; nothing that was kept is sent again."""
    file = tmp_path / "sent"
    file.write_bytes(noise(20 * MIB + 77))
    client = cutting(bodies, sender, [9 * MIB, 4 * MIB])
    try:
        sent = await client.send_file(file, contract, operation, media_type="video/mp4")
        asked = client._transport.asked  # type: ignore[attr-defined]
    finally:
        await client.close()
    assert sent.sha256 == digest(file)
    offsets = [int(each.partition(" ")[2]) for each in asked if each.startswith("PATCH")]
    assert offsets[0] == 0 and offsets == sorted(offsets) and offsets[-1] >= 8 * MIB, asked
    assert all(each % MIB == 0 for each in offsets) and "HEAD" in asked
    upload = rows(bodies, "select id from vault where id like '%/upload-done' order by id desc")[0][0]
    assert rows(bodies, "select 1 from vault where id like ?", upload.partition("/")[0] + "/upload.%") == []


async def test_an_upload_outlives_its_door(bodies: Town, tmp_path: Path) -> None:
    file, fetched = tmp_path / "sent", tmp_path / "fetched"
    file.write_bytes(noise(20 * MIB + 77))

    def killed() -> None:
        """A client tries a few times only; how soon the next door is there depends on what else the machine does."""
        (door,) = bodies.doors()
        os.kill(door, signal.SIGKILL)
        alive = f"select 1 from process where id like 'door-%' and state = 'alive' and pid <> {door}"
        until("the next door", lambda: rows(bodies, alive))

    client = cutting(bodies, "phan-anh", [12 * MIB], killed)
    try:
        sent = await client.send_file(file, CONTRACT, OPERATION)
    finally:
        await client.close()
    with kit(bodies) as sender, kit(bodies, "van-thu") as receiver:
        answer = sender.rest("POST", PATH, bodies.document | {"content": sent.reference})
        receiver.fetch_file(answer.headers["lgsp-transfer"], sent.reference, fetched)
    assert digest(fetched) == digest(file) == sent.sha256


@pytest.mark.full
async def test_who_makes_no_progress_gives_up(bodies: Town, tmp_path: Path) -> None:
    file = tmp_path / "sent"
    file.write_bytes(noise(6 * MIB))
    client = cutting(bodies, "phan-anh", [1] * 50)
    try:
        with pytest.raises(NoConnection):
            await client.send_file(file, CONTRACT, OPERATION)
        asked = client._transport.asked  # type: ignore[attr-defined]
    finally:
        await client.close()
    assert 2 <= sum(each.startswith("PATCH") for each in asked) <= 10
