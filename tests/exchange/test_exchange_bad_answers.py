"""A provider's bad answer at the first call: its code and findings stay in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from adapters.errors import (
    PROVIDER_BAD_ANSWER,
    PROVIDER_BAD_SIGNATURE,
    PROVIDER_DOWN,
    Acted,
    ProviderErrorType,
    ProviderFailure,
)
from contracts.base.errors import Finding
from gateway.doors.api.transfers import transfer_status
from gateway.journal.logged import failed_tries
from gateway.transfer.stages import Answered
from tests.exchange.house import Gateway, house

FINDINGS = [
    Finding("status", "status", "text of 3 characters", "code", "one of received"),
    Finding("Nguyễn Văn Kín", "", "0912345678", "unknown", "one of status"),
]
KEPT = [
    {
        "here": "status",
        "canonical": "status",
        "got": "text of 3 characters",
        "rule": "code",
        "expected": "one of received",
    },
    {"here": "…", "rule": "unknown", "expected": "one of status"},
]


@pytest.fixture
def gateway(sqlite: Engine, tmp_path: Path) -> Iterator[Gateway]:
    with house(sqlite, tmp_path) as made:
        yield made


def bad(acted: Acted) -> ProviderFailure:
    return PROVIDER_BAD_ANSWER(acted=acted, system="x", reason="message.invalid", findings=FINDINGS)


@pytest.mark.parametrize(
    ("error", "reason", "kept"),
    [
        (PROVIDER_BAD_SIGNATURE, "not signed", "not signed"),
        (PROVIDER_BAD_SIGNATURE, 'signature.not-covering: "signature";req', 'signature.not-covering: "signature";req'),
        (PROVIDER_BAD_SIGNATURE, "signature.malformed: Nguyễn Văn Kín", "signature.malformed"),
        (PROVIDER_DOWN, "connection refused", "connection refused"),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
def test_the_reason_of_a_failed_try_is_kept_for_both_parties(
    gateway: Gateway, error: ProviderErrorType, reason: str, kept: str, waits: bool
) -> None:
    asked = ("field-report/v1", "createRequest") if waits else ("indicator/v1", "getValue")
    told = gateway.call("full", *asked, failure=error(acted=Acted.NO, system="x", reason=reason))
    assert isinstance(told, Answered)
    status = transfer_status(gateway.engine, told.receipt.transfer, told.requested.caller.id)
    assert status is not None
    (first,) = status["failedTries"]
    assert (first["failure"], first["reason"]) == (error.code, kept)
    provider = transfer_status(gateway.engine, told.receipt.transfer, status["receiver"])
    assert provider is not None and provider["failedTries"] == (first,)


@pytest.mark.parametrize(
    ("contract", "operation", "acted", "state"),
    [
        ("field-report/v1", "createRequest", Acted.NO, "queued"),
        ("indicator/v1", "getValue", Acted.MAYBE, "failed"),
    ],
)
def test_findings_of_a_bad_answer_are_kept(
    gateway: Gateway, contract: str, operation: str, acted: Acted, state: str
) -> None:
    told = gateway.call("full", contract, operation, failure=bad(acted))
    assert isinstance(told, Answered)
    transfer = told.receipt.transfer
    with gateway.engine.connect() as connection:
        failed = failed_tries(connection, transfer)
    (first,) = failed.tries
    assert (first["failure"], first["try"], first["findings"]) == ("provider.bad-answer", 1, KEPT)
    assert "Kín" not in json.dumps(failed, ensure_ascii=False)
    caller = told.requested.caller.id
    status = transfer_status(gateway.engine, transfer, caller)
    assert status is not None and status["state"] == state and status["failedTries"] == (first,)
    provider = transfer_status(gateway.engine, transfer, status["receiver"])
    assert provider is not None and provider["failedTries"] == (first,)
