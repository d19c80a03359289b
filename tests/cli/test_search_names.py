"""`lgsp audit search` takes the names of agencies and systems, as the console does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.settings import Settings
from tests import commandline


def asked(sandbox: Settings, *words: str) -> tuple[int, dict[str, Any]]:
    ended = commandline.lgsp("audit", "search", *words, "--data", str(sandbox.data), "--json")
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize("name", ["Sở Tài chính", "so tai chinh", "h14.4"])
def test_an_agency_is_found_by_its_title(sandbox: Settings, name: str) -> None:
    assert asked(sandbox, "--agency", name) == asked(sandbox, "--agency", "H14.4")
    assert asked(sandbox, "--agency", name)[0] == 0


def test_a_title_of_several_names_them(sandbox: Settings) -> None:
    code, found = asked(sandbox, "--agency", "Sở")
    assert code == 2 and found["error"]["code"] == "unknown-agency"
    assert "H14.4 (Sở Tài chính)" in found["error"]["next"] and "H14.7 (Sở Y tế)" in found["error"]["next"]
