"""A relay that lies: it stands between the client kit and a running gateway and changes answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from gateway.client.transport import HttpTransport, OpenAnswer, RawAnswer

Lie = Callable[[RawAnswer], RawAnswer]


class Relay:
    """Passes everything on; `lies` (by a part of the address) are told about answers, `heard` holds what was asked and
    truly answered."""

    def __init__(self, true: HttpTransport) -> None:
        self.true = true
        self.lies: dict[str, Callable[[RawAnswer, Mapping[str, str]], RawAnswer]] = {}
        self.before: Callable[[str, str], RawAnswer | None] = lambda method, url: None
        self.heard: list[tuple[str, Mapping[str, str], RawAnswer]] = []

    async def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> RawAnswer:
        instead = self.before(method, url)
        if instead is not None:
            return instead
        answer = await self.true.send(method, url, headers, body)
        self.heard.append((url, headers, answer))
        for part, lie in self.lies.items():
            if part in url:
                answer = lie(answer, headers)
        return answer

    def lie(self, part: str, lie: Lie) -> None:
        self.lies[part] = lambda answer, _: lie(answer)

    def stream(self, method: str, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[OpenAnswer]:
        return self.true.stream(method, url, headers)

    async def close(self) -> None:
        await self.true.close()


def other(answer: RawAnswer, **headers: str | None) -> RawAnswer:
    """The same answer with other headers; None leaves one out."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    merged = {**answer.headers, **named}
    return answer._replace(headers={name: value for name, value in merged.items() if value is not None})


def byte_changed(answer: RawAnswer, old: bytes, new: bytes) -> RawAnswer:
    assert old in answer.body
    return answer._replace(body=answer.body.replace(old, new, 1))
