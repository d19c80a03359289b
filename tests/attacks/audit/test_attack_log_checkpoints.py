"""Checkpoints deleted, put back or cut down together with the entries that they sign: to exactly what somebody outside
holds, to below it and to above it.

What `lgsp audit verify` has to go by is the checkpoint beside the database, what witnesses cosigned and what was
time-stamped (rows, and a file), what was kept elsewhere (`--checkpoint`), and that each minute of sequencing ends with
a checkpoint. Each case names the check that finds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.ids import new_id
from gateway.audit.log import origins
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.tiles import root_at
from gateway.audit.verify.verify import verify_log
from gateway.backup import succession
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.witnessing.stamps import Stamped, store
from security.pki import timestamp
from security.transparency import entry as form
from security.transparency.checkpoint import split_note
from security.transparency.cosignature import cosign, with_lines
from tests.attacks.audit.insider import BEGAN, ORIGIN, Gateway, commit, entered, handed_in, rewrite
from tests.attacks.audit.test_attack_log_command import verify
from tests.attacks.audit.test_attack_log_history import Copy
from tests.audit.stamping import Authority

WHOLE = 600
POINT, COSIGNED = tables.checkpoint, tables.cosigned
Attack = Callable[[Connection, list[int]], object]
_CUT = "the checkpoint beside the database signs 600 entries; the database holds"


def sizes(connection: Connection) -> list[int]:
    """Of the checkpoints: one of each minute; the second of them is what outsiders hold in these tests."""
    return [
        int(size)
        for size in connection.execute(select(POINT.c.size).where(POINT.c.size > 0).order_by(POINT.c.size)).scalars()
    ]


def cut(connection: Connection, size: int) -> None:
    """Entries, tiles and checkpoints, as if the log had never been longer."""
    if size:
        rewrite(connection, entered(connection)[:size])
    else:
        for table in (tables.log_entry, tables.log_tile, POINT):
            connection.execute(delete(table))


def note_of(connection: Connection, size: int) -> str:
    return str(connection.execute(select(POINT.c.note).where(POINT.c.size == size)).scalar_one())


def put_back(connection: Connection, old: int, new: int) -> None:
    """The older checkpoint, in the place of the newest."""
    row = connection.execute(select(POINT).where(POINT.c.size == old)).one()
    connection.execute(delete(POINT).where(POINT.c.size == old))
    connection.execute(update(POINT).where(POINT.c.size == new).values(note=row.note, root=row.root))


DATABASE: dict[str, tuple[Attack, str]] = {
    "the newest checkpoint": (
        lambda connection, at: connection.execute(delete(POINT).where(POINT.c.size == at[-1])),
        "and those behind it: no checkpoint in the database signs them",
    ),
    "an older checkpoint": (
        lambda connection, at: connection.execute(delete(POINT).where(POINT.c.size == at[1])),
        "of the database: missing; entry ",
    ),
    "all checkpoints": (
        lambda connection, at: connection.execute(delete(POINT)),
        "the database holds 600 entries and no signed checkpoint",
    ),
    "checkpoints and entries, below": (lambda connection, at: cut(connection, at[0]), _CUT),
    "checkpoints and entries, exactly to it": (lambda connection, at: cut(connection, at[1]), _CUT),
    "checkpoints and entries, above": (lambda connection, at: cut(connection, at[1] + 4), _CUT),
    "everything": (lambda connection, at: cut(connection, 0), _CUT),
    "an older one in the place of the newest": (
        lambda connection, at: put_back(connection, at[1], at[-1]),
        "checkpoint 600 of the database: the row and the signed note disagree",
    ),
    "entries alone, exactly to it": (
        lambda connection, at: connection.execute(delete(tables.log_entry).where(tables.log_entry.c.idx >= at[1])),
        "checkpoint 600 of the database signs 600 entries; the database holds",
    ),
}


@pytest.mark.attack("audit log: checkpoints deleted or put back")
@pytest.mark.parametrize("what", DATABASE)
def test_with_the_database_alone(copy: Copy, what: str) -> None:
    """The file beside it is not in his hands. An agency holds the second checkpoint, so that what is exactly that one
    agrees with it."""
    gateway, (attack, finding) = copy(), DATABASE[what]
    with writing(gateway.engine) as connection:
        at = sizes(connection)
        kept = gateway.folder / "kept.checkpoint"
        kept.write_text(note_of(connection, at[1]), "utf-8")
        attack(connection, at)
    code, told = verify(gateway, "--checkpoint", str(kept))
    assert code == 1 and any(finding in one for one in told["wrong"]), told["wrong"]


def stamped(folder: Path, size: int, note: str) -> Stamped:
    """By an authority that the test makes."""
    authority, digest, nonce = Authority(folder, kind="ec"), hashlib.sha256(note.encode()).digest(), 1 << 62
    asked = timestamp.question(digest, nonce)
    answer = authority.by_openssl(asked)
    proved = timestamp.read(answer, digest, authority.trusted, nonce=nonce)
    return Stamped(size, note, digest, asked, answer, proved, proved.time)


SHOWN: dict[str, tuple[int, str | None]] = {"below": (0, "signs"), "exactly to it": (1, None), "above": (2, None)}


@pytest.mark.attack("audit log: checkpoints deleted or put back")
@pytest.mark.parametrize("holder", ["a cosigned row", "a stamp's row", "the cosigned file", "a file kept elsewhere"])
@pytest.mark.parametrize("to", SHOWN)
def test_with_the_folder_too(copy: Copy, holder: str, to: str) -> None:
    """Cut back with a true older checkpoint beside it. Whatever still tells of the second checkpoint finds what is
    below it, and can say nothing of the rest: that is the limit, and only the rows of the transfers tell."""
    gateway, (index, finding) = copy(), SHOWN[to]
    kept = gateway.folder / "kept.checkpoint"
    with writing(gateway.engine) as connection:
        at = sizes(connection)
        note, size = note_of(connection, at[1]), at[index] - (4 if to == "above" else 0)
        if to == "above":  # one more that was truly signed, as in the same minute
            root, signed = root_at(connection, size), entered(connection)[size - 1].sequenced
            connection.execute(
                insert(POINT).values(size=size, root=root, note=gateway.key.sign(size, root), signed=signed)
            )
        beside = note_of(connection, size)
        cut(connection, size)
        if holder == "a cosigned row":
            line = cosign(split_note(note)[0], Ed25519PrivateKey.generate(), "witness.example/w1", int(BEGAN))
            connection.execute(
                insert(COSIGNED).values(size=at[1], note=with_lines(note, [line]), witnesses=1, at=BEGAN)
            )
        elif holder == "a stamp's row":
            store(connection, stamped(gateway.folder / "authority", at[1], note))
        elif holder == "the cosigned file":
            (gateway.folder / "log" / "cosigned").write_text(note, "utf-8")
        else:
            kept.write_text(note, "utf-8")
    gateway.file.path.write_text(beside, "utf-8")
    code, told = verify(gateway, *(("--checkpoint", str(kept)) if kept.exists() else ()))
    found = [one for one in told["wrong"] if "checkpoint" in one]
    name = {
        "a cosigned row": "the cosigned checkpoint of",
        "a stamp's row": "the time-stamped checkpoint of",
        "the cosigned file": "the cosigned checkpoint beside",
        "a file kept elsewhere": "the kept checkpoint",
    }[holder]
    if finding is None:
        assert found == [], found
    else:
        assert len(found) == 1 and found[0].startswith(name) and f"signs {at[1]} entries" in found[0], found
    assert code == 1 and any("the log has no " in one for one in told["wrong"]), (
        "the rows of those transfers, until they go too"
    )


@pytest.mark.attack("audit log: checkpoints deleted or put back")
def test_the_file_taken_away(copy: Copy) -> None:
    gateway = copy()
    gateway.file.path.unlink()
    code, told = verify(gateway)
    assert (
        code == 1
        and told["first_wrong"].startswith("the checkpoint beside the database, ")
        and "is missing" in told["first_wrong"]
    )


@pytest.mark.attack("audit log: checkpoints deleted or put back")
@pytest.mark.parametrize("name", ["checkpoint", "cosigned"])
@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("a folder", "it is no file"),
        ("too long", "no checkpoint has more than 1000000"),
        ("empty", "a note is a text, an empty line and signatures"),
        ("not text", "UnicodeDecodeError"),
        ("half a note", "a note is a text, an empty line and signatures"),
    ],
)
def test_what_is_no_checkpoint_in_its_place(copy: Copy, name: str, what: str, why: str) -> None:
    """Told by name and path, by the check and by the keeper: no bare error of a file, and nothing is read without a
    limit."""
    gateway = copy()
    path, note = gateway.folder / "log" / name, gateway.note
    path.unlink(missing_ok=True)
    if what == "a folder":
        path.mkdir()
    else:
        path.write_bytes(
            {
                "too long": note.encode() + b"\n" * 1_000_000,
                "empty": b"",
                "not text": b"\xff",
                "half a note": note.encode()[:60],
            }[what]
        )
    code, told = verify(gateway)
    assert code == 1 and told["first_wrong"].startswith(
        f"the checkpoint outside the database, {path}, cannot be read: "
    )
    assert why in told["first_wrong"] and len(told["wrong"]) == 1
    if name == "checkpoint":
        commit(gateway.engine, [handed_in("door-1")])
        assert gateway.refuses() == told["first_wrong"]


@pytest.mark.attack("audit log: checkpoints deleted or put back")
def test_an_older_file_takes_nothing_away(copy: Copy) -> None:
    """It is a true beginning of the log: nothing is wrong, and the keeper brings it forward."""
    gateway = copy()
    newest = gateway.note
    with gateway.engine.connect() as connection:
        gateway.file.path.write_text(note_of(connection, sizes(connection)[1]), "utf-8")
    assert verify(gateway)[0] == 0
    commit(gateway.engine, [handed_in("door-1")])
    gateway.sequence()
    with gateway.engine.connect() as connection:
        assert verify_log(connection, gateway.key.vkey, newest=gateway.note, kept=newest).ok and gateway.note != newest


# --- a log that ended -------------------------------------------------------------------------------------------------
NEXT = f"{ORIGIN}/2"


def followed(gateway: Gateway, held: int) -> str:
    """As a restore does it: the log ends, and the next one says in its first entry what it was; the next one's key, as
    text. `held` is what is left of the one that ended, with its row and its checkpoints made to fit."""
    key = LogKey.open(gateway.folder / "keys" / "next.key", NEXT)
    with writing(gateway.engine) as connection:
        decision = succession.Decision("unproven", gateway.note, WHOLE, ())
        facts = succession.facts(ORIGIN, gateway.key.vkey, decision, WHOLE, root_at(connection, WHOLE), "0" * 64)
        first = form.freeze(form.Note(new_id(), gateway.now, origins.NEW_LOG, "command line", facts))
        if held < WHOLE:
            cut(connection, held)
        origins.end(connection, ORIGIN, gateway.key.vkey, gateway.now)
        gateway.file.path.write_text(origins.begin(connection, key, first, gateway.now), "utf-8")
    return key.vkey


PAST_ENTRY = tables.past_entry
PAST: dict[str, tuple[Attack, str, str]] = {
    "nothing": (lambda connection, at: None, "", ""),
    "cut down to an older checkpoint": (
        lambda connection, at: None,
        "entry 0 of the log after it signs 600 entries",
        "there are ",
    ),
    "an entry deleted": (
        lambda connection, at: connection.execute(delete(PAST_ENTRY).where(PAST_ENTRY.c.idx == 7)),
        "entry 7: missing",
        "there are 599",
    ),
    "its row deleted": (
        lambda connection, at: connection.execute(delete(tables.log_origin)),
        "its row is missing",
        "its row is missing",
    ),
    "all of its entries deleted": (
        lambda connection, at: connection.execute(delete(PAST_ENTRY)),
        "signs 600 entries",
        "there are 0",
    ),
}


@pytest.mark.attack("audit log: checkpoints deleted or put back")
@pytest.mark.parametrize("what", PAST)
def test_a_log_that_ended(copy: Copy, what: str) -> None:
    """Its rows, and the checkpoint that they say it ended with, are in the insider's hands; what the next log's first
    entry says is signed there."""
    gateway, (attack, finding, counted) = copy(), PAST[what]
    with gateway.engine.connect() as connection:
        at = sizes(connection)
    vkey = followed(gateway, at[1] if what.startswith("cut") else WHOLE)
    with writing(gateway.engine) as connection:
        attack(connection, at)
    for words, key, expected in (((), vkey, counted), (("--origin", ORIGIN), gateway.key.vkey, finding)):
        code, told = verify(gateway, *words, "--vkey", key, origin=NEXT)
        assert code == (1 if expected else 0) and expected in str(told), told
