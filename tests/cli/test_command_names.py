"""`lgsp audit search --failure` knows every code, whether or not the log has one, and names the nearest to a misspelt
one."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.instance import make_instance
from gateway.settings import load
from tests import commandline


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = load(tmp_path_factory.mktemp("names") / "data", environment={})
    make_instance(settings, {}, time.time(), province=False)
    return settings.data


def search(data: Path, code: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("audit", "search", "--failure", code, "--data", str(data), "--json")
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize("code", ["provider.down", "message.invalid", "keys.locked", "client.identity", "agent.busy"])
def test_a_failure_that_the_log_lacks_is_known_all_the_same(data: Path, code: str) -> None:
    ended, answer = search(data, code)
    assert (ended, answer["entries"]) == (0, []), answer


def test_a_misspelt_failure_is_told_with_the_nearest(data: Path) -> None:
    ended, answer = search(data, "provider.dwon")
    assert ended == 2 and answer["error"]["code"] == "unknown-failure" and "provider.down" in answer["error"]["next"], (
        answer
    )
