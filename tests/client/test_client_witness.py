"""The witness against logs of the test's own: one that only grows is never objected to, one that takes anything back
always is."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.client.audit.checkpoint_monitor import CheckpointMonitor
from gateway.client.errors import BadState, LogObjection
from security.transparency.checkpoint import Checkpoint, NoteKey, sign
from security.transparency.merkle import Tree, consistency_proof, leaf_hash

ORIGIN = "caobang.example/nhat-ky"
KEY = Ed25519PrivateKey.generate()
PUBLIC = NoteKey.make(ORIGIN, KEY.public_key())
MOST = 40


class Log:
    """What a log says, from one tree."""

    def __init__(self, *parts: str) -> None:
        self.tree = Tree([leaf_hash(part.encode()) for part in parts])

    def note(self, size: int) -> str:
        return sign(Checkpoint(ORIGIN, size, self.tree.root(size)), KEY, ORIGIN)

    async def fetch(self, older: int, newer: int) -> Sequence[bytes] | None:
        if newer > len(self.tree):
            raise LookupError
        return consistency_proof(older, newer, self.tree.at)


HONEST = Log(*(f"entry {number}" for number in range(MOST)))


def see(witness: CheckpointMonitor, log: Log, size: int) -> None:
    asyncio.run(witness.see(log.note(size), log.fetch))


def witness(folder: str | Path) -> CheckpointMonitor:
    return CheckpointMonitor(PUBLIC, Path(folder), lambda: 1_790_000_000.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, MOST), min_size=1, max_size=12))
def test_an_honest_log_is_never_objected_to_in_whatever_order_its_checkpoints_come(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            see(witness(folder), HONEST, size)  # each time as a new process would
        kept = witness(folder).kept
        assert kept is not None and kept.size == max(sizes) and kept.root == HONEST.tree.root(max(sizes))
        assert not witness(folder).pending and not witness(folder).objections


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, MOST), st.integers(1, MOST))
def test_a_log_that_changed_what_it_had_signed_is_always_objected_to(
    data: st.DataObject, size: int, shown: int
) -> None:
    """One entry of those that both checkpoints cover is another; the forger answers with the proofs of either tree."""
    changed = data.draw(st.integers(0, min(size, shown) - 1))
    forged = Log(*(f"entry {number}" if number != changed else "forged" for number in range(MOST)))
    prover = data.draw(st.sampled_from([HONEST, forged]))
    with tempfile.TemporaryDirectory() as folder:
        see(witness(folder), HONEST, size)
        with pytest.raises(LogObjection) as objected:
            asyncio.run(witness(folder).see(forged.note(shown), prover.fetch))
        assert objected.value.code == "client.log-forked"
        evidence = json.loads(objected.value.kept.read_text("utf-8"))
        assert evidence["kept"] == HONEST.note(size) and evidence["shown"] == forged.note(shown)
        assert witness(folder).note == HONEST.note(size)


def test_what_could_not_be_proved_is_proved_later_and_in_between_nothing_is_forgotten(tmp_path: Path) -> None:
    async def silent(older: int, newer: int) -> Sequence[bytes] | None:
        return None

    see(witness(tmp_path), HONEST, 3)
    forged = Log(*("forged" if number == 1 else f"entry {number}" for number in range(MOST)))
    for note in (HONEST.note(5), forged.note(7)):
        asyncio.run(witness(tmp_path).see(note, silent))
    assert len(witness(tmp_path).pending) == 2 and witness(tmp_path).note == HONEST.note(3)
    with pytest.raises(LogObjection):
        see(witness(tmp_path), HONEST, 9)  # the fork that was shown meanwhile is found now


def test_two_processes_are_not_shown_two_logs(tmp_path: Path) -> None:
    """Each of two checkpoints goes on from the one that was kept, and they are not of one log: whoever comes second has
    to see that."""
    forged = Log(*(f"entry {number}" if number < 8 else "forged" for number in range(MOST)))
    see(witness(tmp_path), HONEST, 5)
    slow = witness(tmp_path)

    async def while_another_moves_on(older: int, newer: int) -> Sequence[bytes] | None:
        if older == 5:
            await witness(tmp_path).see(HONEST.note(10), HONEST.fetch)
        return await forged.fetch(older, newer)

    with pytest.raises(LogObjection) as objected:
        asyncio.run(slow.see(forged.note(12), while_another_moves_on))
    assert objected.value.code == "client.log-forked" and witness(tmp_path).note == HONEST.note(10)
    other = tmp_path / "honest"
    see(witness(other), HONEST, 5)
    slow = witness(other)

    async def honest(older: int, newer: int) -> Sequence[bytes] | None:
        if older == 5:
            await witness(other).see(HONEST.note(10), HONEST.fetch)
            await witness(other).see(HONEST.note(20), silent)  # cannot be proved now
        return await HONEST.fetch(older, newer)

    async def silent(older: int, newer: int) -> Sequence[bytes] | None:
        return None

    asyncio.run(slow.see(HONEST.note(12), honest))
    assert witness(other).kept == witness(other)._open(HONEST.note(12))
    assert list(witness(other).pending) == [HONEST.note(20)], "what another process waits for is not forgotten"


def test_a_damaged_file_is_not_begun_anew(tmp_path: Path) -> None:
    see(witness(tmp_path), HONEST, 3)
    (file,) = tmp_path.glob("*.checkpoint")
    file.write_text(HONEST.note(3).replace("\n3\n", "\n2\n"), "utf-8")
    with pytest.raises(LogObjection) as objected:
        witness(tmp_path)
    assert objected.value.code == "client.log-key"


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadState) as told:
        witness(tmp_path / "file" / "checkpoints")
    assert told.value.code == "client.state" and told.value.what("vi") != told.value.what("en")


def test_two_logs_are_kept_apart(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    other = CheckpointMonitor(NoteKey.make("khac.example/log", private.public_key()), tmp_path, lambda: 0.0)
    note = sign(Checkpoint("khac.example/log", 1, hashlib.sha256(b"x").digest()), private, "khac.example/log")
    asyncio.run(other.see(note, HONEST.fetch))
    see(witness(tmp_path), HONEST, 3)
    assert len(list(tmp_path.glob("*.checkpoint"))) == 2
    with pytest.raises(LogObjection):
        asyncio.run(witness(tmp_path).see(note, HONEST.fetch))


@pytest.mark.skipif(os.name != "posix", reason="Windows files have no modes")
def test_what_is_made_on_the_way_is_nobody_elses(tmp_path: Path) -> None:
    """As the agent keeps it: in a folder of its state, which need not be there yet. Under the loosest umask."""
    before = os.umask(0)
    try:
        see(witness(tmp_path / "state" / "checkpoints"), HONEST, 3)
    finally:
        os.umask(before)
    assert {stat.S_IMODE((tmp_path / each).stat().st_mode) for each in ("state", "state/checkpoints")} == {0o700}
    files = list((tmp_path / "state" / "checkpoints").iterdir())
    assert {each.suffix for each in files} == {".checkpoint", ".lock"}
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
