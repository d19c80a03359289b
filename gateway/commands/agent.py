"""What `lgsp agent …` does (`gateway.agent`). Nothing here needs a database server, and nothing a Unix."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contracts.base.times import rfc3339
from gateway import hardening
from gateway.agent import check as checks
from gateway.agent import setup
from gateway.agent.app import serve
from gateway.agent.config import load
from gateway.agent.store import Store, Taken, seal_key
from gateway.commands.output import Exit, emit, fail
from gateway.processes import child
from security.grants.windows import civil


def init(folder: Path, contracts: tuple[str, ...], as_json: bool) -> None:
    try:
        made = setup.make(folder, contracts)
    except FileExistsError as there:
        fail(
            Exit.USAGE,
            "there-already",
            f"{there} is there already / đã có sẵn",
            "Name another folder. / Chọn thư mục khác.",
            as_json,
        )
    text = (
        "\n".join(f"{file}" for file in made)
        + "\nPut the identity folder beside them, then: lgsp agent check / Đặt thư mục danh tính vào đó."
    )
    emit({"ok": True, "files": [str(file) for file in made]}, as_json, text)


def run(file: Path, lifeline: int | None, ready: int | None) -> None:
    config = load(file)
    hardening.leave_no_cores()
    child.set_up_logging()

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def told() -> None:
            loop.call_soon_threadsafe(stop.set)

        child.stop_when_told(told, lifeline)
        await serve(config, stop, lambda: child.say_ready(ready))

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


def check(file: Path, as_json: bool) -> None:
    found = checks.run(load(file))
    lines = [
        f"{'ok ' if each.ok else 'NO '} {each.name}: {each.what}" + (f"\n      {each.next}" if not each.ok else "")
        for each in found
    ]
    result = {
        "ok": all(each.ok for each in found),
        "checks": [{"name": each.name, "ok": each.ok, "what": each.what, "next": each.next} for each in found],
    }
    emit(result, as_json, "\n".join(lines))


def status(file: Path, as_json: bool) -> None:
    with _store(file) as store:
        counts = store.counts()
    ok = not counts["dead"] and not counts["in_doubt"]
    emit({"ok": ok, **counts}, as_json, ", ".join(f"{count} {state}" for state, count in counts.items()))


def queue(file: Path, delivered: bool, limit: int, as_json: bool) -> None:
    with _store(file) as store:
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


def retry(file: Path, ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    if everything == bool(ids):
        fail(
            Exit.USAGE,
            "which",
            "name messages, or --all / nêu mã thông điệp, hoặc --all",
            "`lgsp agent queue` lists them. / Xem danh sách bằng `lgsp agent queue`.",
            as_json,
        )
    with _store(file) as store:
        count = store.retry(None if everything else ids, time.time())
    emit({"ok": everything or count == len(ids), "retried": count}, as_json, f"{count}")


def discard(file: Path, ids: tuple[str, ...], as_json: bool) -> None:
    with _store(file) as store:
        count = store.discard(ids)
    emit({"ok": count == len(ids), "discarded": count}, as_json, f"{count}")


def settle(file: Path, message_id: str, as_json: bool) -> None:
    with _store(file) as store:
        settled = store.settle(message_id)
    emit({"ok": settled, "settled": message_id if settled else None}, as_json, message_id if settled else "–")


@contextmanager
def _store(file: Path) -> Iterator[Store]:
    config = load(file)
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store(config.database, seal_key(config.seal_key))
    try:
        yield store
    finally:
        store.close()
