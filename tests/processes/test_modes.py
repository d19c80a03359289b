"""Whatever an instance makes is for its own user alone, whatever the umask of whoever starts it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from bench.demo import demo_settings, running
from gateway.settings import Settings
from tests.faults.load import until


def loose(settings: Settings) -> dict[str, str]:
    """What others can get at; the log of the test itself apart."""
    found = {}
    for path in [settings.data, *settings.data.rglob("*")]:
        if path.name != "demo.log":
            # Files there may be for the group too: their folder is shared with it, or nobody comes to them.
            dropped = path.is_relative_to(settings.drop_root) and not path.is_dir()
            with suppress(FileNotFoundError):  # it has got its name meanwhile
                if (mode := stat.S_IMODE(path.lstat().st_mode)) & (0o007 if dropped else 0o077):
                    found[str(path.relative_to(settings.data))] = oct(mode)
    return found


@pytest.mark.server
@pytest.mark.attack("data that others can read")
def test_an_instance_is_for_its_own_user_alone(place: Path) -> None:
    """Under the loosest umask that there is."""
    before = os.umask(0)
    try:
        with running(demo_settings(place)) as settings:
            until("a checkpoint", settings.checkpoint_file.exists)
            assert (settings.data / "lgsp.db-wal").exists()
            assert not loose(settings)
        assert not loose(settings)
    finally:
        os.umask(before)


@pytest.mark.server
@pytest.mark.attack("data that others can read")
def test_the_shared_instance_too(instance: Settings) -> None:
    """It was started with the umask of whoever runs the tests. Dropped files keep the modes of whoever dropped them;
    documents in `run/` are of other tests."""
    found = loose(instance)
    assert not {
        place: mode
        for place, mode in found.items()
        if not place.startswith("drops/") and not place.endswith((".log", ".part", ".yaml"))
    }
