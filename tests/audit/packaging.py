"""Packages of two transfers, as the command makes them, and what a stranger has from elsewhere; shared by those who
check and those who forge."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from examples.story import World
from gateway.audit.verifier.findings import Findings
from gateway.audit.verifier.reading import read_package
from gateway.sandbox.standins import messages
from tests.stored import rows

Files = dict[str, bytes]
REASON = "Thanh tra tỉnh yêu cầu, công văn 12/TTr"


@pytest.fixture(scope="session")
def trusted(world: World) -> tuple[str, bytes]:
    """The log's key and the authorities, from an agency's identity folder."""
    return (world.identities / "dieu-hanh" / "log.vkey").read_text("utf-8"), (
        world.data / "ca" / "anchors.pem"
    ).read_bytes()


@pytest.fixture(scope="session")
def packages(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """REST to SOAP, and REST to REST, as the command makes them."""
    folder = tmp_path_factory.mktemp("packages")
    report = world.rest("phan-anh").call("POST", "/field-report/v1/requests", messages.field_report())
    asked = world.rest("y-te").call("GET", messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3"))
    made = {}
    for name, answer in (("dispatch", report), ("query", asked)):
        assert answer.status == 200 and answer.receipt is not None, answer.body
        out, transfer = folder / f"{name}.zip", answer.receipt.transfer
        world.wait(
            "its entries under a checkpoint",
            partial(
                lambda of: all(
                    _indexed(each) for each in world.lgsp("audit", "show", of, "--data", str(world.data))["entries"]
                ),
                transfer,
            ),
        )
        found = world.lgsp("audit", "package", transfer, str(out), "--reason", REASON, "--data", str(world.data))
        assert found["ok"] and found["entries"] == 2 and not found["missing"], found
        made[name] = out
    return made


def reasons(world: World, transfer: str) -> list[str]:
    """Why packages of a transfer were made, by the log. The instance is everybody's: others may have made some, too."""
    query = " UNION ALL ".join(
        f"SELECT entry FROM {table} WHERE phase = 'package'" for table in ("log_entry", "log_pending")
    )
    facts = [json.loads(entry)["facts"] for (entry,) in rows(world.data, query)]
    return [each["reason"] for each in facts if each["transfer"] == transfer]


def _indexed(entry: dict[str, object]) -> bool:
    return entry["index"] is not None


@pytest.fixture
def files(packages: dict[str, Path]) -> Files:
    return read_package(packages["dispatch"])


def wrong(found: Findings) -> set[str]:
    return {each["name"] for each in found.checks if not each["ok"]}
