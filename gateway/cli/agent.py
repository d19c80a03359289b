"""`lgsp agent`: signing for a system that cannot (docs/agent.md). Needs no database server, and no Unix."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.options import AsJson
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from gateway.agent.store import Store

commands = typer.Typer(no_args_is_help=True, help="The agent: signing for systems that cannot.")
Config = Annotated[Path, typer.Argument(help="The agent's configuration file.")]
Pipe = Annotated[int | None, typer.Option(hidden=True)]  # of the supervisor that started it
Ids = Annotated[list[str] | None, typer.Argument(help="Message ids.")]


@commands.command("init")
def agent_init(
    directory: Annotated[Path, typer.Argument(help="Folder to be made, or an empty one.")],
    contract: Annotated[
        list[str] | None, typer.Option("--contract", help="A contract that the system calls; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented configuration and a local secret."""
    from gateway.agent import setup

    contracts = tuple(contract or ())
    try:
        files = setup.make(directory, contracts)
    except FileExistsError as there:
        fail(
            Exit.USAGE,
            "there-already",
            f"{there} is there already / đã có sẵn",
            "Name another folder. / Chọn thư mục khác.",
            as_json,
        )
    text = (
        "\n".join(f"{file}" for file in files)
        + "\nPut the identity folder beside them, then: lgsp agent check / Đặt thư mục danh tính vào đó."
    )
    emit({"ok": True, "files": [str(file) for file in files]}, as_json, text)


@commands.command("run")
def agent_run(config: Config, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """Run the agent until it is told to stop."""
    import asyncio

    from gateway import hardening
    from gateway.agent.app import serve
    from gateway.agent.config import load
    from gateway.agent.store import Taken
    from gateway.processes import child
    from gateway.signals import lines

    loaded = load(config)
    hardening.leave_no_cores()
    lines.set_up("agent", lines.TEXT)

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def told() -> None:
            loop.call_soon_threadsafe(stop.set)

        child.stop_when_told(told, lifeline)
        await serve(loaded, stop, lambda: child.say_ready(ready))

    try:
        with hardening.private_files():
            asyncio.run(main())
    except Taken as there:
        what = f"another agent works on {there} / một tác tử khác đang dùng {there}"
        fail(Exit.OURS, "not-started", what, "Stop it first. / Hãy dừng nó trước.", False)
    except OSError as trouble:
        what = f"cannot start: {trouble.strerror or trouble} / không khởi động được"
        fail(
            Exit.OURS,
            "not-started",
            what,
            "See `listen` and `state` in the configuration. / Xem `listen` và `state` trong tệp cấu hình.",
            False,
        )


@commands.command("check")
def agent_check(config: Config, as_json: AsJson = False) -> None:
    """Look at configuration, keys, clock, gateway and system; say what is wrong and what to do."""
    from gateway.agent import check as checks
    from gateway.agent.config import load

    results = checks.run(load(config))
    lines = [
        f"{'ok ' if each.ok else 'NO '} {each.name}: {each.what}" + (f"\n      {each.next}" if not each.ok else "")
        for each in results
    ]
    result = {
        "ok": all(each.ok for each in results),
        "checks": [{"name": each.name, "ok": each.ok, "what": each.what, "next": each.next} for each in results],
    }
    emit(result, as_json, "\n".join(lines))


@commands.command("status")
def agent_status(config: Config, as_json: AsJson = False) -> None:
    """How many messages wait, were delivered, are dead or in doubt. Exit 1 if any is dead or in doubt."""
    with _store(config) as store:
        counts = store.counts()
    ok = not counts["dead"] and not counts["in_doubt"]
    emit({"ok": ok, **counts}, as_json, ", ".join(f"{count} {state}" for state, count in counts.items()))


@commands.command("queue")
def agent_queue(
    config: Config,
    delivered: Annotated[bool, typer.Option("--delivered", help="Those that were delivered, too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Messages that wait and dead letters, each with its reason; calls of the gateway in doubt. Never their
    contents."""
    from security.grants.windows import civil

    with _store(config) as store:
        listed = store.listed(("queued", "dead", "sent") if delivered else ("queued", "dead"), limit)
        doubts = store.doubts()
    messages = [
        each | {"taken": rfc3339(each["taken"]), "next": rfc3339(each["next"]) if each["next"] else None}
        for each in listed
    ]
    in_doubt = [{"id": each["id"], "since": rfc3339(each["at"])} for each in doubts]
    lines = [
        f"{each['state']:<7} {each['id']}  {each['lane']}  {civil(each['taken'])}  tries {each['tries']}  {each['why']}"
        for each in messages
    ]
    lines += [f"doubt   {each['id']}  {civil(each['since'])}" for each in in_doubt]
    emit(
        {"ok": True, "messages": messages, "in_doubt": in_doubt},
        as_json,
        "\n".join(lines) or "nothing waits / không có gì chờ",
    )


@commands.command("retry")
def agent_retry(
    config: Config,
    ids: Ids = None,
    all_: Annotated[bool, typer.Option("--all", help="Every one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let dead letters wait again, and try what waits at once."""
    if all_ == bool(ids):
        fail(
            Exit.USAGE,
            "which",
            "name messages, or --all / nêu mã thông điệp, hoặc --all",
            "`lgsp agent queue` lists them. / Xem danh sách bằng `lgsp agent queue`.",
            as_json,
        )
    named = tuple(ids or ())
    with _store(config) as store:
        count = store.retry(None if all_ else named, time.time())
    emit({"ok": all_ or count == len(named), "retried": count}, as_json, f"{count}")


@commands.command("discard")
def agent_discard(
    config: Config, ids: Annotated[list[str], typer.Argument(help="Message ids.")], as_json: AsJson = False
) -> None:
    """Forget dead letters."""
    with _store(config) as store:
        count = store.discard(tuple(ids))
    emit({"ok": count == len(ids), "discarded": count}, as_json, f"{count}")


@commands.command("settle")
def agent_settle(
    config: Config, id: Annotated[str, typer.Argument(help="The message's id.")], as_json: AsJson = False
) -> None:
    """Say that the component system did not act on a call in doubt: its next repeat is handed over."""
    with _store(config) as store:
        settled = store.settle(id)
    emit({"ok": settled, "settled": id if settled else None}, as_json, id if settled else "–")


@contextmanager
def _store(file: Path) -> Iterator[Store]:
    from gateway.agent.config import load
    from gateway.agent.store import Store, seal_key

    config = load(file)
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store(config.database, seal_key(config.seal_key))
    try:
        yield store
    finally:
        store.close()
