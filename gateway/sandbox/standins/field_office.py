"""The office of the commune Trường Hà (truong-ha): an old system that takes field reports by plain HTTP.

It never signs. It listens on the loopback address only. An agent calls it, with the local secret in each call
(docs/agent.md). `POST …/requests` takes a ServiceRequest (names of Open311 GeoReport v2); `GET /_seen` lists the
calls. It takes faults by the header of a call that concern no signature (`FAULTS`), and refuses others with 400.
Invariants: every accepted report has a number and a due day; a message id (`Idempotency-Key`) is carried
out once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.sandbox.simulation.faults import HEADER, Fault
from gateway.sandbox.standins.base import GIVEN_UP, MAX_BODY, SLOW, Conflict, Records, dropped, gone
from gateway.sandbox.standins.spoiling import cut, json_of_wrong_type

_HERE: Final = timezone(timedelta(hours=7))
AREA: Final = "01392"
SECRET: Final = "Lgsp-Agent-Secret"
FAULTS: Final = frozenset(
    {"none", "slow", "silent", "down", "close", "late", "wrong-status", "malformed", "wrong-type", "wrong-code"}
)


class Refused(Exception):
    """A report that is not accepted."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(slots=True)
class FieldOffice:
    """truong-ha."""

    secret: str
    file: Path | None = None
    clock: Callable[[], float] = time.time
    records: Records = field(init=False)
    _runner: web.AppRunner | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.records = Records(self.file)

    def take_in(self, path: str, content: Any, number: int) -> dict[str, Any]:
        if not path.endswith("/requests"):
            raise Refused(404, "not-found", f"Không có dịch vụ {path}; gọi POST /requests.")
        if not isinstance(content, dict):
            raise Refused(400, "not-an-object", "Phản ánh phải là một đối tượng JSON.")
        missing = [name for name in ("service_code", "area", "description") if not content.get(name)]
        if missing:
            raise Refused(400, "missing", "Phản ánh thiếu " + ", ".join(missing) + ".")
        if content["area"] != AREA:
            raise Refused(422, "wrong-area", f"Xã Trường Hà (mã {AREA}) không tiếp nhận phản ánh của địa bàn khác.")
        now = datetime.fromtimestamp(self.clock(), UTC).astimezone(_HERE)
        due = (now + timedelta(days=2)).replace(hour=17, minute=0, second=0, microsecond=0)
        return {
            "service_request_id": f"TH-{now:%Y}-{number:04d}",
            "status": "open",
            "service_notice": "Đã tiếp nhận, cán bộ địa bàn sẽ kiểm tra thực tế trong hai ngày.",
            "expected_datetime": due.isoformat(),
            "agency_responsible": "UBND xã Trường Hà",
        }

    async def start(self, port: int) -> int:
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_get("/_seen", self._show_seen)
        application.router.add_post("/{path:.*}", self._post)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self.records.close()

    async def _post(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.headers.get(SECRET, "").encode(), self.secret.encode()):
            return web.json_response({"error": "secret", "message": "Chỉ tác tử được gọi."}, status=401)
        try:
            fault = Fault.of_header(request.headers.get(HEADER, "none"))
            if fault.kind not in FAULTS:
                raise ValueError(f"{fault.kind}: this system signs nothing; its agent does")
        except ValueError as wrong:
            return web.json_response({"error": "fault", "message": str(wrong)}, status=400)
        if fault.kind == "wrong-status":
            return web.Response(status=500, text="java.lang.NullPointerException")
        if fault.kind == "silent":
            await gone(request, fault.seconds or GIVEN_UP)
        if fault.kind in ("silent", "down"):
            return dropped(request)
        answer = await self._taken(request)
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds or SLOW)
        elif fault.kind == "late":
            await gone(request, fault.seconds or GIVEN_UP)
        elif fault.kind == "close":
            return dropped(request)
        if answer.status == 200 and isinstance(answer.body, bytes):
            if fault.kind == "malformed":
                answer.body = cut(answer.body)
            elif fault.kind in ("wrong-type", "wrong-code"):
                answer.body = json_of_wrong_type(answer.body)
        return answer

    async def _taken(self, request: web.Request) -> web.Response:
        body, message = await request.read(), request.headers.get("Idempotency-Key", "").strip('"')
        transfer = request.headers.get("Lgsp-Transfer", "")
        try:
            content = self.records.once(
                message,
                body,
                lambda number: json.dumps(
                    self.take_in(request.path, json.loads(body), number), ensure_ascii=False
                ).encode(),
            )
        except (Refused, Conflict, ValueError) as no:
            self.records.saw(transfer, refused=True)
            status, code, text = (
                (no.status, no.code, no.text)
                if isinstance(no, Refused)
                else (409 if isinstance(no, Conflict) else 400, "bad", str(no))
            )
            return web.json_response({"error": code, "message": text}, status=status)
        self.records.saw(transfer, refused=False)
        return web.Response(body=content, content_type="application/json", charset="utf-8")

    async def _show_seen(self, _: web.Request) -> web.Response:
        return web.json_response({"system": "truong-ha"} | self.records.seen())


async def _serve(office: FieldOffice, port: int, ready: Path | None) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its event loop
            loop.add_signal_handler(number, stopping.set)
    bound = await office.start(port)
    if ready is not None:
        part = ready.with_name(ready.name + ".part")
        part.write_text(
            json.dumps({"system": "truong-ha", "url": f"http://127.0.0.1:{bound}", "port": bound, "pid": os.getpid()}),
            "utf-8",
        )
        part.replace(ready)
    else:
        print(f"truong-ha: http://127.0.0.1:{bound}", flush=True)
    await stopping.wait()
    await office.stop()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.sandbox.standins.field_office", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--secret", required=True, type=Path, metavar="F", help="file with the local secret that the agent shows"
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port on 127.0.0.1; 0 takes a free one (see --ready-file)"
    )
    parser.add_argument(
        "--ready-file", type=Path, metavar="F", help="written once it listens: JSON with url, port and pid"
    )
    parser.add_argument("--records", type=Path, metavar="F", help="keep what was taken in in this file")
    options = parser.parse_args(arguments)
    try:
        office = FieldOffice(options.secret.read_text("utf-8").strip(), options.records)
        asyncio.run(_serve(office, options.port, options.ready_file))
    except OSError as wrong:
        print(f"{type(wrong).__name__}: {wrong}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
