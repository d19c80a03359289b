"""Fixtures of the tests in which the sample client meets a hostile gateway: the client's identity and the gateway's."""

from __future__ import annotations

import pytest

from gateway.sample_client.identity import Identity
from tests.sample_client import conftest
from tests.sample_client.conftest import Province

province = conftest.province


@pytest.fixture(scope="module")
def me(province: Province) -> Identity:
    return province.identity("canh-bao")


@pytest.fixture(scope="module")
def gateway(province: Province) -> Identity:
    return province.identity("gateway")
