"""Folders that the gateway makes for systems, and requests for certificates, under the loosest umask that there is."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.files import Folder
from gateway.client.identities import enrol


@pytest.fixture
def loose() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(place: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in [place, *place.iterdir()]}


@pytest.mark.attack("data that others can read")
@pytest.mark.usefixtures("loose")
def test_a_drop_folder_is_for_the_gateway_alone_until_it_is_shared(tmp_path: Path) -> None:
    Folder(tmp_path / "drops" / "own", 1.0, time.monotonic).close()
    assert modes(tmp_path / "drops") | modes(tmp_path / "drops" / "own") == {0o700}
    shared = tmp_path / "drops" / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    Folder(shared, 1.0, time.monotonic).close()
    assert {each & 0o777 for each in modes(shared)} == {0o770}


@pytest.mark.attack("data that others can read")
@pytest.mark.usefixtures("loose")
def test_requests_for_certificates_are_for_their_owner_alone(tmp_path: Path) -> None:
    enrol.keygen("canh-bao", tmp_path / "identity")
    assert modes(tmp_path / "identity") == {0o700, 0o600}
