from __future__ import annotations

import time

import pytest

from tests.registry.making import House
from tests.sandbox.calls.doors import Doors
from tests.sandbox.vendors.conftest import instance_keys as instance_keys
from tests.sandbox.vendors.conftest import office as office
from tests.sandbox.vendors.conftest import post as post
from tests.sandbox.vendors.conftest import quick as quick
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import VendorDesk


@pytest.fixture
def doors(vendors: VendorDesk, keys: House) -> Doors:
    return Doors(vendors, keys.identity("gateway", time.time()))
