"""`lgsp audit journey`: one transfer, from the first entry to the last."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.audit.lines import line
from gateway.cli.audit.steps import sentences
from gateway.cli.common.language import spoken
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.audit.search.journey import Journey

commands = typer.Typer()


@commands.command("journey")
def audit_journey(
    id: Annotated[str, typer.Argument(help="Id of a transfer; or, with --system, of a message as its sender gave it.")],
    data: Data = None,
    system: Annotated[str | None, typer.Option("--system", help="The system that sent the message.")] = None,
    as_json: AsJson = False,
) -> None:
    """All that the gateway knows of one transfer, in order: log, queue, feed, receipt, what the vault holds; no
    bodies."""
    from gateway.audit.log import origins
    from gateway.audit.search import journey as journeys
    from gateway.audit.search import search as searching
    from gateway.audit.search.shown import journey_as_json
    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring
    from security.transparency.entry import keyed

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with searching.reading(engine) as connection:
        results = (
            []
            if system is not None
            else [each for each in [journeys.of_transfer(connection, id.lower())] if each.steps or each.row]
        )
        if not results:  # ids of messages are hashed in the log, by a key that not everybody may read
            results = journeys.of_message(connection, keyed(Keyring(settings).hash_key(), id), system)
        notes = [text for each in results for text in origins.elsewhere(connection, each.transfer)]
    if not results:
        of = f" of {system}" if system is not None else ""
        what = f"the log holds no transfer and no message {id}{of} / nhật ký không có giao dịch hay thông điệp này"
        then = (
            "Transfer ids stand in answers as Lgsp-Transfer; a message id wants --system. / "
            "Mã giao dịch nằm trong trường Lgsp-Transfer của trả lời; mã thông điệp cần kèm --system."
        )
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    texts = [*map(_journey_text, results), *notes]
    emit(
        {"ok": True, "journeys": [journey_as_json(each) for each in results], "notes": notes},
        as_json,
        "\n\n".join(texts),
    )


def _journey_text(of: Journey) -> str:
    from gateway.audit.search.steps import failure, queue_words, words

    lines = spoken(words("transfer", id=of.transfer))
    for step in of.steps:
        lines += [line(step.index, step.facts), *sentences(step)]
    if of.left_out:
        lines += spoken(words("left-out"))
    if of.row is None:
        lines += spoken(words("state.none"))
    else:
        lines += spoken(words(f"state.{of.row['state']}"))
        if of.row["failure"]:
            lines += spoken(failure(of.row["failure"]))
        lines += spoken(words("message", id=of.row["message_id"]))
        receipt = json.loads(of.row["receipt"]) if of.row["receipt"] else {}
        for name, leaf in receipt.items():
            lines += spoken(words("receipt", name=name, leaf=leaf))
    if of.queue is not None:
        lines += spoken(queue_words(of.queue))
    for each in of.feed:
        lines += spoken(words("feed", contract=each["contract"], offset=each["offset"]))
    for each in of.vault:
        lines += spoken(words("vault", part=each["part"], size=each["size"], key=each["key"]))
    return "\n".join(lines)
