"""A developer's first signed call from a command line, its proof in the log, and the checks of the log afterwards."""

from __future__ import annotations

from examples.story.exchange import QUESTION
from examples.story.world import Telling, World, check, same
from gateway.sandbox.standins import messages


def first_call(world: World) -> str:
    identity = ("--identity", str(world.identities / "y-te"))
    answer = world.lgsp("client", "call", "GET", messages.indicator_question(**QUESTION), *identity)
    check(
        answer["ok"] and answer["answer"]["indicator"] == QUESTION["indicator"],
        f"an answer that proves itself: {answer}",
    )
    proof = world.lgsp("client", "prove", answer["transfer"], *identity)
    check(proof["ok"], f"proofs of both entries: {proof}")
    same(
        {each["leaf"] for each in proof["entries"]},
        set(answer["receipt"].values()),
        "the leaves that the receipt named",
    )
    log = world.lgsp("client", "checkpoints", *identity)
    check(
        log["ok"] and not log["objections"] and log["kept"]["size"] >= proof["checkpoint"]["size"],
        f"the same log, grown: {log}",
    )
    wrong = world.lgsp(
        "client", "call", "GET", messages.indicator_question(**{**QUESTION, "period": "never"}), *identity
    )
    same(
        (wrong["error"]["branch"], wrong["error"]["findings"][0]["here"]),
        ("theirs", "period"),
        "who can mend a refusal, and where",
    )
    return (
        f"lgsp client: answered, proved as entries {sorted(each['index'] for each in proof['entries'])}, the log "
        f"witnessed at size {log['kept']['size']}"
    )


STEPS: tuple[Telling, ...] = (("a developer's first call from the command line", first_call),)
