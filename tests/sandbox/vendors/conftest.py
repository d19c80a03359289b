from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from gateway.settings import Settings
from tests.console.conftest import instance_keys as instance_keys
from tests.console.conftest import quick as quick
from tests.console.people import Desk
from tests.console.test_queue import office as office
from tests.delivery.posting import Post
from tests.delivery.posting import post as post
from tests.sandbox.vendors.desks import VendorDesk


@pytest.fixture
def vendors(office: Desk, post: Post, instance_keys: Settings) -> Iterator[VendorDesk]:
    """An open sandbox whose folder has the keys of an instance."""
    settings = office.services.settings
    for folder in ("keys", "ca"):
        shutil.copytree(instance_keys.data / folder, settings.data / folder, dirs_exist_ok=True)
    vkey = settings.data / "log" / "log.vkey"
    vkey.parent.mkdir(exist_ok=True)
    vkey.write_text("localhost/lgsp-test+12345678+AQ==\n")
    made = VendorDesk(office, post)
    made.set(sandbox_join="open", push_networks="127.0.0.0/8")
    yield made
