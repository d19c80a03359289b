"""Budgets of processor time, and the process that reads large bodies: the same verdicts as here, and nothing that
brings the door down."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pickle
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.jsontext import read_json
from gateway.doors.http import costly, reader
from gateway.doors.http.costly import NoReader, Reader
from gateway.doors.http.costs import LARGE, SMALL, Budgets, is_costly
from gateway.doors.http.reader import Done, Job
from gateway.sandbox.standins import messages

FOLDER: Path = next(folder for folder in catalogue_folders() if "incident-alert" in str(folder))
BUNDLE = Bundle.from_folder(FOLDER)
CONTRACT = compile_bundle(BUNDLE)
REQUEST = CONTRACT.contract.operations["submitAlert"].request


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_costly() -> None:
    assert not is_costly(b"," * SMALL) and not is_costly(b"a" * LARGE)
    assert is_costly(b"a" * (LARGE + 1)) and is_costly(b"," * (SMALL + 1)) and is_costly(b"<a/>" * 4_000)


async def test_a_budget_is_of_one_agency_and_fills_again() -> None:
    clock = Clock()
    budgets = Budgets(0.5, clock, patience=0.0)
    turn = await budgets.begin("a")
    turn.spend(9.0)  # four seconds were saved up
    turn.end()
    turn.end()
    with pytest.raises(Failure) as full:
        await budgets.begin("a")
    assert full.value.code == "limit.cost" and full.value.status == 429 and full.value.retry_after == 10
    with pytest.raises(Failure):
        await budgets.admit("a", 1_000_000)
    await budgets.admit("b", 1_000_000)
    clock.now = 10.5
    await budgets.admit("a", 1_000_000)
    clock.now = 1_000.0
    turn = await budgets.begin("a")
    turn.spend(4.5)  # no more was saved up meanwhile
    turn.end()
    with pytest.raises(Failure):
        await budgets.begin("a")


async def test_turns_are_one_at_a_time_an_agency_in_the_order_they_came() -> None:
    budgets, order = Budgets(1.0, patience=30.0), list[str]()

    async def one(agency: str, number: int) -> None:
        turn = await budgets.begin(agency)
        order.append(f"{agency}{number}")
        await asyncio.sleep(0.01)
        order.append(f"{agency}{number}")
        turn.end()

    await asyncio.gather(*(one(agency, number) for number in range(4) for agency in "ab"))
    for agency in "ab":
        assert [each for each in order if each[0] == agency] == [
            f"{agency}{number}" for number in range(4) for _ in range(2)
        ]
    held = await budgets.begin("a")
    budgets.patience = 0.05
    with pytest.raises(Failure):
        await budgets.begin("a")
    held.end()
    (await budgets.begin("a")).end()


@pytest.fixture
async def process() -> AsyncIterator[Reader]:
    made = Reader(lambda digest: {BUNDLE.digest: BUNDLE}[digest])
    yield made
    await made.close()


async def read(process: Reader, raw: bytes, digest: str = BUNDLE.digest) -> object:
    turn = await Budgets(1.0).begin("a")
    try:
        return await process.read(Job(raw, digest, "bao-chay-json" if digest else "", REQUEST, time.time()), turn)
    finally:
        turn.end()


async def test_the_reader_judges_as_the_codec_does(process: Reader) -> None:
    good = json.dumps(messages.fire_alarm(), ensure_ascii=False).encode()
    codec = CONTRACT.codec("bao-chay-json")
    assert await read(process, good) == codec.read_json(REQUEST, good, time.time())
    exact = b'{"a": [1.50, 123456789012345678901234567890, "\xc3\xa1", null, true]}'
    assert repr(await read(process, exact, "")) == repr(read_json(exact))
    for bad in (b"{", b"[]", b'{"x": 1}', good.replace(b'"tinhChat"', b'"tinhchat"'), b"\xff"):
        with pytest.raises(Failure) as here:
            codec.read_json(REQUEST, bad, time.time())
        with pytest.raises(Failure) as there:
            await read(process, bad)
        assert str(there.value) == str(here.value) and there.value.findings == here.value.findings
        assert {name: str(fact) for name, fact in there.value.facts.items()} == {
            n: str(fact) for n, fact in here.value.facts.items()
        }


async def test_a_reader_that_dies_costs_one_call(process: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that takes longer than it may, in whatever function of C it is."""
    assert await read(process, b"[1]", "") == [1]
    before = process._process
    assert before is not None

    async def kill() -> None:
        await asyncio.sleep(0.05)
        before.kill()

    before.send_signal(19)  # SIGSTOP: it is in the middle of something
    with pytest.raises(Failure) as died:
        await asyncio.gather(read(process, b"[2]", ""), kill())
    assert died.value.code == "body.too-costly"
    assert await read(process, b"[3]", "") == [3]
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    await process.close()
    with pytest.raises(NoReader):
        await read(process, b"[4]", "")


async def test_a_job_without_end_ends_its_process(process: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import gateway.doors.http.reader as r; r.JOB_SECONDS = 0.2; r.read_json = lambda raw: "
        "sum(range(10**12)); r.main()"
    )
    start = asyncio.create_subprocess_exec

    async def spoiled(program: str, *_words: str, **how: object) -> object:
        return await start(program, "-c", code, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spoiled)
    with pytest.raises(Failure) as ended:
        await read(process, b"[1]", "")
    assert ended.value.code == "body.too-costly"


async def test_a_reader_with_nothing_to_do_ends(process: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costly, "IDLE_SECONDS", 0.05)
    await read(process, b"[1]", "")
    first = process._process
    assert first is not None
    await asyncio.wait_for(first.wait(), 60)
    assert await read(process, b"[2]", "") == [2]


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


def test_the_door_takes_values_alone_from_it() -> None:
    for what in (Evil(), [Evil()], Path("/")):
        with pytest.raises(pickle.UnpicklingError):
            reader.unpacked(pickle.dumps((0.0, what, None, "")))
    assert reader.unpacked(pickle.dumps(tuple(Done(0.5, {"a": [1]})))) == Done(0.5, {"a": [1]})


def test_a_contract_that_is_missing_is_asked_for() -> None:
    asked = b"".join(
        map(
            reader.packed,
            (Job(b"{}", BUNDLE.digest, "canonical", REQUEST), BUNDLE, Job(b"[]", BUNDLE.digest, "canonical", REQUEST)),
        )
    )
    out = io.BytesIO()
    reader.serve(io.BytesIO(asked), out)
    answers, at, raw = [], 0, out.getvalue()
    while at < len(raw):
        size = int.from_bytes(raw[at : at + reader.LENGTH], "big")
        answers.append(reader.unpacked(raw[at + reader.LENGTH : at + reader.LENGTH + size]))
        at += reader.LENGTH + size
    assert (
        answers[0].wanted == BUNDLE.digest
        and answers[2].failure is not None
        and answers[2].failure[0] == "message.invalid"
    )
