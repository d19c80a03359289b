"""Entries of the log: canonical bytes, fixed for ever, and free of what may not stand there."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base import jcs
from security.transparency.entry import (
    Caller,
    Digest,
    InDoubt,
    Intent,
    Note,
    Outcome,
    Refusal,
    Repeat,
    freeze,
    keyed,
    salted,
)
from security.transparency.merkle import leaf_hash

AT = 1_795_503_600.25
CALLER = Caller("H14.2", "canh-bao", "tp", "canh-bao.sign-1")
DIGEST = Digest(b"\xab" * 32, 1024)
INTENT = Intent(
    transfer="t-1",
    at=AT,
    door="soap",
    caller=CALLER,
    contract="incident-alert/v1",
    operation="submitAlert",
    bundle="sha256:00",
    message="m",
    grant="g-1",
    provider=None,
    came_in=DIGEST,
)


def test_an_intent_to_the_byte() -> None:
    frozen = freeze(INTENT)
    assert frozen.entry.decode() == (
        '{"at":"2026-11-24T07:00:00.250Z","bundle":"sha256:00",'
        '"caller":{"agency":"H14.2","certificate":"tp","key":"canh-bao.sign-1","system":"canh-bao"},'
        '"contract":"incident-alert/v1","door":"soap","grant":"g-1",'
        '"in":{"sha256":"'
        + "ab" * 32
        + '","size":1024},"kind":"intent","message":"m","operation":"submitAlert","transfer":"t-1","v":1}'
    )
    assert (frozen.transfer, frozen.phase, frozen.leaf) == ("t-1", "intent", leaf_hash(frozen.entry))


def test_an_intent_names_every_grant_that_let_it_through_and_keeps_its_bytes_where_that_is_one() -> None:
    assert freeze(INTENT._replace(also=())) == freeze(INTENT)
    several = freeze(INTENT._replace(also=("g-3", "g-2")))
    assert several.entry == freeze(INTENT).entry.replace(b'"at":', b'"also":["g-3","g-2"],"at":', 1)
    assert several.entry == jcs.encode(json.loads(several.entry))


def test_an_intent_names_the_grants_to_receive_and_keeps_its_bytes_where_there_are_none() -> None:
    assert freeze(INTENT._replace(receiving=(), overdue=())) == freeze(INTENT)
    named = freeze(INTENT._replace(provider="do-thi", receiving=("g-8", "g-9"), overdue=("g-9",), also=("g-3",)))
    value = json.loads(named.entry)
    assert (value["receiving"], value["overdue"]) == (["g-8", "g-9"], ["g-9"]) and named.entry == jcs.encode(value)


def test_intent_and_refusal_name_the_revision_that_decided_and_older_entries_keep_their_bytes() -> None:
    decided = freeze(INTENT._replace(registry=17))
    assert decided.entry == freeze(INTENT).entry.replace(b'"transfer":', b'"registry":17,"transfer":', 1)
    assert decided.entry == jcs.encode(json.loads(decided.entry))
    refused = Refusal("t-2", AT, "rest", "access.no-grant", 403, caller=CALLER)
    assert json.loads(freeze(replace(refused, registry=17)).entry) == json.loads(freeze(refused).entry) | {
        "registry": 17
    }


OTHERS = [
    (
        Outcome("t-1", AT, 200, "do-thi", None, DIGEST, DIGEST, DIGEST),
        "outcome",
        {"status", "provider", "sent", "back", "out"},
    ),
    (Outcome("t-1", AT, 502, failure="provider.down"), "outcome", {"status", "failure"}),
    (
        Refusal("t-2", AT, "rest", "signature.wrong", 401, caller=CALLER, came_in=DIGEST),
        "refusal",
        {"door", "failure", "status", "caller", "in"},
    ),
    (
        Refusal("t-3", AT, "rest", "channel.no-certificate", 401, source="10.0.0.9", count=7),
        "refusal",
        {"door", "failure", "status", "source", "count"},
    ),
    (Repeat("t-4", AT, "rest", CALLER, "t-1", 200), "repeat", {"door", "caller", "of", "status"}),
    (InDoubt("t-5", AT, "door-1", "process died"), "in-doubt", {"process", "reason"}),
    (Note("t-6", AT, "registry", "keeper", {"changes": ["x"], "count": 1}), "registry", {"actor", "facts", "what"}),
]


@pytest.mark.parametrize(("entry", "phase", "names"), OTHERS)
def test_the_other_kinds(entry: Any, phase: str, names: Any) -> None:
    frozen = freeze(entry)
    value = json.loads(frozen.entry)
    assert frozen.phase == phase
    assert value["kind"] == ("note" if isinstance(entry, Note) else phase)
    assert set(value) == names | {"v", "kind", "transfer", "at"}, "an absent value is left out"
    assert jcs.encode(value) == frozen.entry
    assert frozen.leaf == leaf_hash(frozen.entry)


def test_equal_entries_have_equal_bytes_and_every_difference_shows() -> None:
    assert freeze(INTENT) == freeze(INTENT._replace())
    for change in (
        {"at": AT + 0.001},
        {"grant": "g-2"},
        {"provider": "do-thi"},
        {"came_in": Digest(b"\xac" * 32, 1024)},
        {"caller": Caller("H14.2", "x")},
    ):
        assert freeze(INTENT._replace(**change)).leaf != freeze(INTENT).leaf


@given(text=st.text(max_size=30), status=st.integers(0, 999))
def test_any_text_is_canonical(text: str, status: int) -> None:
    """Also where the faster encoder is used: the bytes are RFC 8785's, and what UTF-8 cannot hold is refused."""
    entry = Refusal("t", AT, text, text, status, caller=Caller(text, text), message=text)
    frozen = freeze(entry)
    assert frozen.entry == jcs.encode(json.loads(frozen.entry))
    with pytest.raises(ValueError):
        freeze(replace(entry, door="\ud800"))


@given(text=st.text(max_size=30), absent=st.sets(st.integers(0, 5)), status=st.integers(0, 999))
def test_what_is_written_out_is_canonical_too(text: str, absent: set[int], status: int) -> None:
    some = [None if number in absent else text for number in range(3)]
    sent, back, out = (None if number + 3 in absent else Digest(b"\xab" * 32, status) for number in range(3))
    intent = Intent(text, AT, text, Caller(text, text, some[0], some[1]), text, text, text, text, text, some[2], DIGEST)
    outcome = Outcome(text, AT, status, some[0], some[1], sent, back, out, len(absent))
    for entry, phase in ((intent, "intent"), (outcome, "outcome")):
        frozen = freeze(entry)
        value = json.loads(frozen.entry)
        assert frozen.entry == jcs.encode(value) and (frozen.transfer, frozen.phase, value["kind"]) == (
            text,
            phase,
            phase,
        )
        assert frozen.leaf == leaf_hash(frozen.entry)
    value = json.loads(freeze(outcome).entry)
    given = {
        "provider": some[0],
        "failure": some[1],
        "sent": sent,
        "back": back,
        "out": out,
        "status": status,
        "keys": len(absent) or None,
    }
    expected = {
        name: each if not isinstance(each, Digest) else {"sha256": "ab" * 32, "size": status}
        for name, each in given.items()
    }
    names = {name for name, each in expected.items() if each is not None}
    assert {name: value[name] for name in names} == {name: expected[name] for name in names}
    assert set(value) == names | {"v", "kind", "transfer", "at"}
    with pytest.raises(ValueError):
        freeze(intent._replace(door="\ud800"))


def test_digests_cannot_be_guessed_without_the_salt() -> None:
    salt = bytes(range(16))
    assert salted(salt, b"0912345678") == Digest(hashlib.sha256(salt + b"0912345678").digest(), 10)
    assert salted(bytes(16), b"0912345678") != salted(salt, b"0912345678")
    with pytest.raises(ValueError):
        salted(b"", b"x")
    assert keyed(b"k" * 32, "urn:uuid:1") == hmac.new(b"k" * 32, b"urn:uuid:1", "sha256").hexdigest()
