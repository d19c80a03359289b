"""A caller is judged by what a run's doors wrote down; the doors spoil no more answers than the step says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, parse_xml
from gateway.doors.reply import Reply
from gateway.sandbox.conformance import caller_run, trial
from gateway.sandbox.conformance.caller import Came, as_curl, judge, read_calls
from gateway.sandbox.conformance.caller_suite import all_steps, caller_suite
from gateway.sandbox.conformance.rules import GROUPS, rules
from gateway.sandbox.conformance.suite import Wanted
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.registry.making import NOW, House
from tests.sandbox.conformance.test_conform_command import lgsp
from tests.sandbox.conformance.test_good_providers import CATALOGUE
from tests.sandbox.simulation.conftest import Simulated

SUITE = caller_suite(CATALOGUE["field-report/v1"], Wanted(("rest",), ("canonical",), ("createRequest",)))
PLAIN = Came(
    0.0, "", "rest", "field-report/v1", "createRequest", "a", "t", "", 200, "", "", (), "d", "POST x\n\n{}", "200"
)


def wrong(*calls: Came) -> dict[str, str]:
    """What is wrong by rule."""
    return {each.case.rule.id: each.wrong.en for each in judge(SUITE, calls) if each.verdict == "failed" and each.wrong}


@pytest.mark.full
def test_every_step_has_a_rule_and_every_rule_a_step() -> None:
    known = rules("caller")
    assert {each.step for each in known.values()} - {""} == set(all_steps())
    assert {each.group for each in known.values()} <= set(GROUPS)
    used = {case.rule.id for each in CATALOGUE.values() for case in caller_suite(each, Wanted()).cases}
    assert used == set(known)


def test_other_messages_in_between_are_no_fault() -> None:
    first = replace(PLAIN, step="quota", change="quota", status=429, code="conform.quota", branch="policy")
    other, again = replace(PLAIN, step="quota", at=0.1, id="b", digest="e"), replace(PLAIN, step="quota", at=1.1)
    assert wrong(first, other, again) == {}
    assert set(wrong(first, replace(again, at=0.5))) == {"quota-waits"}
    assert set(wrong(first, replace(again, id="c"))) == {"quota-id"}


def test_another_message_is_not_taken_for_a_repeat_under_another_id() -> None:
    first = replace(PLAIN, step="repeat")
    again = replace(PLAIN, step="repeat", at=0.2, id="b")
    assert "came again under another id (b, before a)" in wrong(first, again)["repeat"]
    assert "another one followed it (b), with other content" in wrong(first, replace(again, digest="e"))["repeat"]


def test_what_was_refused_for_good_is_not_sent_again() -> None:
    first = replace(PLAIN, step="refused", change="refused", status=422, code="conform.refused", branch="theirs")
    assert wrong(first) == {} == wrong(first, replace(PLAIN, step="refused", id="b", digest="e"))
    assert set(wrong(first, replace(PLAIN, step="refused", at=9.0))) == {"refused-stops"}


@pytest.mark.parametrize(
    ("code", "rule"),
    [("signature.expired", "fresh"), ("token.expired", "token"), ("access.no-grant", "access"), ("x.y", "otherwise"),
     ("channel.mismatch", "signature"), ("message.other-body", "other-content"), ("body.decryption", "encrypted")],
)  # fmt: skip
def test_a_refusal_is_named_by_one_rule(code: str, rule: str) -> None:
    call = replace(PLAIN, step="valid", status=400, code=code, branch="theirs")
    assert set(wrong(call)) == {rule}
    assert wrong(replace(call, branch="ours")) == {}, "that is no fault of the caller"


def test_a_repeat_that_came_while_the_first_was_in_hand_is_no_fault() -> None:
    """The provider may be slow; the caller asks again under the same id."""
    first = replace(PLAIN, step="repeat", status=504, code="provider.slow", branch="ours")
    again = replace(PLAIN, step="repeat", at=0.2, status=409, code="message.in-progress", branch="theirs")
    assert wrong(first, again, replace(PLAIN, step="repeat", at=1.2)) == {}
    assert set(wrong(first, replace(again, id="b"))) == {"repeat"}


def test_the_command_to_repeat_a_call_shows_no_token() -> None:
    call = replace(PLAIN, request='POST https://x/y\nhost: x\nidempotency-key: "a"\n\n{"a": 1}')
    assert as_curl(call).endswith("""--header 'authorization: Bearer $TOKEN' --data-binary '{"a": 1}' https://x/y""")


def test_a_step_spoils_as_often_as_it_says_and_ends_by_itself(tmp_path: Path) -> None:
    run = caller_run.begin(tmp_path, SUITE, "r", 0.0, caller_run.Pace(10.0, 2.0))
    while (asked := caller_run.asked(SUITE, run)) is not None and asked[0] != "unavailable":
        run = caller_run.next_step(tmp_path, SUITE, run, 0.0)
    step = trial._now(tmp_path, 1.0)
    assert step is not None and [trial._take(tmp_path, step) for _ in range(4)] == [True, True, True, False]
    trial._write_down(tmp_path, step, {name: getattr(PLAIN, name) for name in PLAIN.__slots__ if name != "step"})
    assert [each.step for each in read_calls(tmp_path, "r")] == ["unavailable"] and read_calls(tmp_path, "other") == []
    assert trial._now(tmp_path, step["until"]) is None
    assert caller_run.look(tmp_path, SUITE, run, 1.9) == run
    gone = caller_run.look(tmp_path, SUITE, run, 10_000.0)
    assert caller_run.over(SUITE, gone) and caller_run.current(tmp_path) == gone and trial._now(tmp_path, 1.0) is None


@pytest.mark.parametrize("change", ["unsigned", "digest-wrong", "other-key"])
def test_a_spoilt_envelope_proves_nothing(tmp_path: Path, change: str) -> None:
    own = House.make(tmp_path, NOW).identity("gateway", NOW)
    headers = EnvelopeHeaders(action="urn:a", message_id="urn:uuid:1")
    body = sign_envelope(b'<a xmlns="urn:x">1</a>', own.sign, NOW, headers, version=V11)
    keys = {own.sign.verify_key().thumbprint: own.sign.verify_key()}
    verify_envelope(parse_xml(body), keys.get, NOW)
    with pytest.raises(Theirs, match=r"^signature\.") as refused:
        verify_envelope(parse_xml(trial.spoilt(Reply(200, {}, body), change).body), keys.get, NOW)
    assert refused.value.code == {"unsigned": "signature.missing", "digest-wrong": "signature.digest-mismatch",
                                  "other-key": "signature.wrong"}[change]  # fmt: skip


def test_a_run_ends_where_nobody_calls(simulated: Simulated) -> None:
    words = ("--system", "phan-anh", "--operation", "createRequest", "--seconds", "0.1", "--quiet", "0.1", "--json")
    code, told = lgsp(simulated, "caller", "field-report/v1", *words)
    report = json.loads(told[told.index("{") :])
    assert code == 1 and report["role"] == "caller" and report["notSeen"]
    assert report["counts"]["not-judged"] == len(report["results"]) > 10
    assert lgsp(simulated, "caller", "field-report/v1", "--system", "nobody")[0] == 2
    code, told = lgsp(simulated, "suite", "field-report/v1", "--role", "caller")
    assert code == 0 and yaml.safe_load(told)["role"] == "caller"
