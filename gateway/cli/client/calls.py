"""`lgsp client call|soap|token|feed|reconcile`: signed calls of a component system.

Invariant: nothing of the server is loaded here (a test looks), so that this runs where only the kit is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from contracts.wire.jsontext import text_of
from gateway.cli.client.kit import IdentityOptions, Kit, kit_failures
from gateway.cli.common import arguments, statement_file
from gateway.cli.common.options import AsJson, Day, grouped
from gateway.cli.common.output import Exit, emit, fail, say

if TYPE_CHECKING:
    from gateway.client import Answer, Client

commands = typer.Typer()
MessageId = Annotated[str | None, typer.Option("--id", help="Id of the message; give it again to repeat the message.")]
_WITH_BODY: Final = ("POST", "PUT", "PATCH")
_METHODS: Final = ("GET", "HEAD", *_WITH_BODY, "DELETE", "OPTIONS")


class Language(StrEnum):
    VI = "vi"
    EN = "en"


@commands.command("call")
@grouped
def client_call(
    method: str,
    path: Annotated[str, typer.Argument(help="Such as /indicator/v1/values?indicator=…&area=…&period=…")],
    kit: Kit,
    body: Annotated[str | None, typer.Option("--body", help="File with the body; - reads standard input.")] = None,
    message_id: MessageId = None,
    content_type: Annotated[str, typer.Option("--type", help="Media type of the body.")] = "application/json",
    language: Annotated[
        Language, typer.Option("--language", help="Language of the words in the answer.")
    ] = Language.VI,
    as_json: AsJson = False,
) -> None:
    """One signed REST call; prints the proven answer."""
    method = method.upper()
    if method not in _METHODS:
        then = f"One of: / Một trong các phương thức: {', '.join(_METHODS)}."
        fail(Exit.USAGE, "no-method", f"{method} is no method of HTTP / không phải phương thức HTTP", then, as_json)
    if body is None and method in _WITH_BODY:
        what = (
            f"{method} {path} hands in a message, and there is no --body"
            " / lời gọi này nộp một thông điệp mà không có --body"
        )
        then = (
            "Give its file: --body FILE, or --body - for standard input."
            " / Nêu tệp: --body TỆP, hoặc --body - để đọc đầu vào chuẩn."
        )
        fail(Exit.USAGE, "no-body", what, then, as_json)
    with kit_failures(as_json), kit.client(as_json) as client:
        content = None if body is None else _content(body, as_json)
        answer = client.rest(method, path, content, message_id, content_type=content_type, language=language.value)
        _answered(answer, as_json)


@commands.command("soap")
@grouped
def client_soap(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    file: Annotated[
        str,
        typer.Argument(
            help="The element for the Body: the system's own format, or the WSDL's wrapper; - reads standard input."
        ),
    ],
    kit: Kit,
    message_id: MessageId = None,
    action: Annotated[
        str | None, typer.Option("--action", help="SOAPAction of the WSDL in use (default: the canonical one).")
    ] = None,
    version: Annotated[str, typer.Option("--soap", help="1.1 or 1.2.")] = "1.1",
    as_json: AsJson = False,
) -> None:
    """One signed SOAP call; prints the element in the proven answer's Body."""
    with kit_failures(as_json), kit.client(as_json) as client:
        _answered(client.soap(contract, _content(file, as_json), message_id, action=action, version=version), as_json)


@commands.command("token")
@grouped
def client_token(options: IdentityOptions, as_json: AsJson = False) -> None:
    """Fetch an access token, bound to the client certificate, and print it."""
    from gateway.client import Client

    with kit_failures(as_json), Client(options.load(as_json)) as client:
        token = client.token()
        emit({"ok": True, "token": token}, as_json, token)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Waiting:
    """Whether the command ends with what there is."""

    wait: Annotated[
        int, typer.Option("--wait", min=0, max=30, help="Seconds to wait for an event if there is none.")
    ] = 0
    follow: Annotated[bool, typer.Option("--follow", help="Go on without an end: each event as it comes.")] = False


@commands.command("feed")
@grouped
def client_feed(
    kit: Kit,
    waiting: Waiting,
    contract: Annotated[
        str | None, typer.Argument(help="Such as incident-alert/v1; without one the feeds are listed.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", help="Cursor `next` of the page before.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many events.")] = 100,
    since: Annotated[
        str | None, typer.Option("--since", help="Events sequenced at or after this time: 2026-11-24T07:00:00+07:00.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Events sequenced before this time.")] = None,
    as_json: AsJson = False,
) -> None:
    """One page of a feed, an event a line; the cursor to go on with is told on standard error."""
    with kit_failures(as_json), kit.client(as_json) as client:
        if contract is None:
            feeds = client.feeds()
            emit({"ok": True, "feeds": feeds}, as_json, "\n".join(map(_feed_line, feeds)) or "no feeds")
        if waiting.follow:
            _follow(client, contract, after, {"since": since, "until": until}, as_json)
            return
        page = client.feed(contract, after, limit, since=since, until=until, wait=waiting.wait)
        if not as_json:
            say(
                f"next: --after {page.next}{'' if page.more else '  (no more for now / chưa có tin mới hơn)'}",
                to=sys.stderr,
            )
        result = {"ok": True, "events": list(page.events), "next": page.next, "more": page.more}
        if until is not None:
            result["complete"] = page.complete
        emit(result, as_json, "\n".join(map(text_of, page.events)))


def _follow(client: Client, contract: str, after: str | None, times: Mapping[str, str | None], as_json: bool) -> None:
    """Prints each event on a line as it comes; with `--json` an object with its cursor."""
    cursor = after
    try:
        for cursor, event in client.stream(contract, after, **{name: time for name, time in times.items() if time}):
            say(text_of({"cursor": cursor, "event": event} if as_json else event), flush=True)
    finally:
        if cursor and not as_json:
            say(f"next: --after {cursor}", to=sys.stderr)


def _feed_line(feed: Mapping[str, Any]) -> str:
    newest = feed["newest"]["sequencedtime"] if feed["newest"] else "–"
    return f"{feed['contract']}  newest {newest}  pending {feed['pending']}  from {', '.join(feed['sources']) or '–'}"


@commands.command("reconcile")
@grouped
def client_reconcile(
    file: Annotated[
        Path, typer.Argument(help="What the agency's systems counted: CSV, or JSON as in openapi/audit.yaml.")
    ],
    kit: Kit,
    day: Day = None,
    as_json: AsJson = False,
) -> None:
    """Send the agency's own counts of a day; prints the differences that the gateway's proven answer names."""
    statement = statement_file.read(file, day, None, as_json)
    with kit_failures(as_json), kit.client(as_json) as client:
        comparison = client.reconcile(statement)
        emit({"ok": comparison["differences"] == 0, **comparison}, as_json, statement_file.text_of(comparison))


def _content(file: str, as_json: bool) -> bytes:
    then = "Name the file to send, or - for standard input. / Chỉ tệp cần gửi, hoặc - để đọc từ đầu vào chuẩn."
    return arguments.content(Path(file), then, as_json)


def _answered(answer: Answer, as_json: bool) -> None:
    from gateway.client.answers import base64_text

    try:
        shown: Any = answer.json()
    except ValueError:
        shown = answer.body.decode("utf-8", "replace")
    leaves = (
        {} if answer.receipt is None else {phase: base64_text(leaf) for phase, leaf in answer.receipt.leaves.items()}
    )
    result = {
        "ok": True,
        "status": answer.status,
        "queued": answer.queued,
        "accepted": answer.accepted,
        "transfer": answer.transfer,
        "message_id": answer.message_id,
        "receipt": leaves,
        "checkpoint": answer.checkpoint,
        "answer": shown,
    }
    if not as_json:  # the answer alone on standard output, what it proves beside it
        say(f"{answer.status}  transfer {answer.transfer}  message {answer.message_id or '–'}", to=sys.stderr)
    emit(result, as_json, answer.body.decode("utf-8", "replace"))
