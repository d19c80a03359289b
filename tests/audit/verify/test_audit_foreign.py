"""Tools of others agree with the log: `spicy-litetlog` and plain `openssl` with `sha256sum` on exports, `pymerkle` on
what is served."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pymerkle import InmemoryTree, verify_consistency

from gateway.audit.log.proofs import consistency, newest
from gateway.audit.verify.folder import Wanted, export
from gateway.sample_client.audit import consistent
from security.transparency.checkpoint import NoteKey
from tests.journal.databases import log_row

PAGE = Path(__file__).resolve().parents[3] / "docs" / "audit-log.md"
NAMES = [f"t{number}" for number in range(300)]


@pytest.fixture
def exported(sqlite_log: Any, tmp_path: Path) -> Path:
    """The proofs of the first, a middle and the last entry; the key beside, as if it came another way."""
    sequencer = sqlite_log.sequencer()
    sequencer.run_once(sqlite_log.lease)
    sqlite_log.pend(*NAMES)
    sequencer.run_once(sqlite_log.lease)
    place = tmp_path / "out"
    place.mkdir()
    with sqlite_log.engine.connect() as connection:
        top = newest(connection)
        assert top is not None
        wanted = Wanted.rounded(top[0], None, None, ("t0", "t130", "t299"))
        export(connection, place, top, sqlite_log.key.vkey, wanted, lambda done: None)
    (tmp_path / "log.vkey").write_text(sqlite_log.key.vkey + "\n")
    stranger = NoteKey.make("localhost/lgsp-test", Ed25519PrivateKey.generate().public_key()).text()
    (tmp_path / "stranger.vkey").write_text(stranger + "\n")
    return place / "proofs"


def touched(path: Path, old: bytes, new: bytes) -> Path:
    """A copy of an entry and its proofs with a change in the one file that is named."""
    folder = path.parent / "touched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stem = path.name.partition(".")[0]
    for each in path.parent.glob(f"{stem}.*"):
        shutil.copy(each, folder)
    raw = path.read_bytes()
    assert old in raw
    (folder / path.name).write_bytes(raw.replace(old, new, 1))
    return folder / f"{stem}.json"


def other_step(proof: Path) -> tuple[bytes, bytes]:
    """The first hash of a proof, and another one."""
    line = proof.read_bytes().split(b"index ", 1)[1].split(b"\n")[1]
    return line, (b"B" if line[:1] == b"A" else b"A") + line[1:]


def test_spicy_litetlog_accepts_what_is_genuine_and_nothing_else(exported: Path) -> None:
    tool = shutil.which("spicy-litetlog")
    if tool is None:
        pytest.skip("spicy-litetlog is not installed here (Debian package litetlog): its word on proofs is not asked")

    def accepts(entry: Path, key: str = "log.vkey") -> bool:
        text = (exported.parents[1] / key).read_text().strip()
        done = subprocess.run([tool, "-verify", text, str(entry)], capture_output=True, text=True, timeout=60)
        return done.returncode == 0

    for name in ("t0", "t130", "t299"):
        assert accepts(exported / f"{name}-intent.json")
    entry, spicy = exported / "t130-intent.json", exported / "t130-intent.json.spicy"
    assert not accepts(entry, "stranger.vkey")
    assert not accepts(touched(entry, b'"t130"', b'"t131"'))
    assert not accepts(touched(spicy, b"index 130", b"index 131"))
    assert not accepts(touched(spicy, *other_step(spicy)))
    assert not accepts(touched(spicy, b"\n300\n", b"\n301\n"))


def test_by_hand_as_the_page_says(exported: Path, tmp_path: Path) -> None:
    found = re.search(r"```bash\n(# by-hand\.sh.*?)```", PAGE.read_text("utf-8"), re.S)
    assert found is not None and found[1] == resources.files("gateway.audit.evidence").joinpath("by-hand.sh").read_text(
        "utf-8"
    ), "as packages hold it"
    script = tmp_path / "by-hand.sh"
    script.write_text(found[1], "utf-8")

    def accepts(entry: Path, key: str = "log.vkey") -> bool:
        proof = entry.with_name(entry.name.removesuffix(".json") + ".tlog-proof")
        command = ["bash", str(script), str(exported.parents[1] / key), str(entry), str(proof)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == (
            "in the log of localhost/lgsp-test, under its checkpoint of 300 entries" in done.stdout
        ), done
        return done.returncode == 0

    for name in ("t0", "t299"):
        assert accepts(exported / f"{name}-intent.json")
    entry, proof = exported / "t130-intent.json", exported / "t130-intent.tlog-proof"
    assert not accepts(entry, "stranger.vkey")
    assert not accepts(touched(entry, b'"t130"', b'"t131"'))
    assert not accepts(touched(proof, *other_step(proof)))
    assert not accepts(touched(proof, b"\n300\n", b"\n301\n"))
    first = exported / "t0-intent.tlog-proof"
    for index in (b"-0", b"-1", b"00", b"+0", b"0 "):
        assert not accepts(touched(first, b"index 0", b"index " + index))


def test_by_hand_runs_nothing_that_the_log_itself_signed(sqlite_log: Any, exported: Path, tmp_path: Path) -> None:
    """bash evaluates what stands in a number: a size that is a command was run, under the true key's signature."""
    entry, ran = exported / "t0-intent.json", tmp_path / "ran"
    proof, script = (
        entry.with_name("t0-intent.tlog-proof"),
        resources.files("gateway.audit.evidence").joinpath("by-hand.sh"),
    )
    for index, size in (("0", f"at[$(touch {ran})]"), (f"at[$(touch {ran})]", "300")):
        note = sqlite_log.key.sign_text("\n".join([sqlite_log.key.origin, size, "A" * 43 + "=", ""]))
        proof.write_text(f"c2sp.org/tlog-proof@v1\nindex {index}\n\n{note}")
        command = ["bash", str(script), str(tmp_path / "log.vkey"), str(entry), str(proof)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "no proof" in done.stdout and not ran.exists(), done


def test_consistency_between_any_two_sizes_of_the_tree_that_pymerkle_builds(sqlite_log: Any) -> None:
    """The roots are pymerkle's; our proofs between them are judged by the client of `examples/`, which was written
    apart from the log."""
    sequencer = sqlite_log.sequencer()
    sequencer.run_once(sqlite_log.lease)
    sqlite_log.pend(*NAMES)
    sequencer.run_once(sqlite_log.lease)
    theirs = InmemoryTree(algorithm="sha256")
    for name in NAMES:
        theirs.append_entry(log_row(name, "intent").entry)
    with sqlite_log.engine.connect() as connection:
        size, note = newest(connection) or (0, "")
        assert sqlite_log.key.verify(note) == (size, theirs.get_root())
        sizes = (1, 2, 3, 127, 128, 129, 255, 256, 257, 290, 299, 300)
        for old, new in [(old, new) for old in sizes for new in sizes if old <= new]:
            proof = consistency(connection, old, new).hashes
            roots = theirs.get_root(old), theirs.get_root(new)
            assert consistent(old, roots[0], new, roots[1], proof)
            if old < new:
                verify_consistency(
                    *roots, theirs.prove_consistency(old, new)
                )  # pymerkle's own word on the same two roots
                assert not consistent(old, roots[1], new, roots[0], proof) and not consistent(
                    old, roots[0], new, roots[1], [*proof, roots[0]]
                )
