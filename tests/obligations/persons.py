"""Persons who work at the shared instance: over the management API, or by the pages of the console."""

from __future__ import annotations

import html
import re
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

from examples.story.world import World
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a role, and a token for programs."""

    base: str
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"authorization": f"Bearer {self.token}", "accept-language": "en"}
        return requests.request(method, self.base + path, json=body, headers=headers, timeout=60)

    def read(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text[:300]
        return answer.json()

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.status_code == status, answer.text[:300]
        return answer.json()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who works by the pages alone."""

    base: str
    session: requests.Session

    def page(self, path: str) -> str:
        answer = self.session.get(self.base + path, timeout=60)
        assert answer.status_code == 200, answer.text[:300]
        return answer.text

    def finds(self, path: str, text: str) -> bool:
        """Whether any page of a list has this text. What tests before have left on a shared instance fills pages."""
        next_page: str | None = path
        while next_page is not None:
            shown = self.page(next_page)
            if text in shown:
                return True
            following = re.search(r'href="([^"]+)" rel="next"', shown)
            next_page = urljoin(next_page, html.unescape(following[1])) if following else None
        return False

    def send(self, page: str, path: str, **form: str) -> str:
        """Sends a form of a page. Gives the page that follows."""
        shown = self.page(page)
        assert f'action="{path}"' in shown
        (token,) = set(re.findall(r'name="csrf" value="([^"]+)"', shown))
        answer = self.session.post(self.base + path, data={**form, "csrf": token}, timeout=60)
        assert answer.status_code == 200, answer.text[:300]
        return answer.text


def person(world: World, instance: Settings, role: str, agency: str = "H14.0") -> Person:
    name = _added(world, role, agency)["account"]
    words = ("console", "token", "add", name, "--label", "obligations", "--data", str(world.data))
    return Person(instance.desk, world.lgsp(*words)["token"])


def visitor(world: World, instance: Settings, role: str, agency: str) -> Visitor:
    """Signed in by the link that whoever added the account got."""
    link, session = _added(world, role, agency)["link"], requests.Session()
    session.trust_env = False
    session.headers.update({"origin": instance.desk, "accept-language": "en"})
    entered = session.post(link.replace(instance.desk_named, instance.desk), timeout=60)
    assert entered.status_code == 200, entered.text[:300]
    return Visitor(instance.desk, session)


def _added(world: World, role: str, agency: str) -> dict[str, Any]:
    words = ("console", "user", "add", f"nv-{uuid.uuid4().hex[:8]}", "--role", role, "--agency", agency)
    made: dict[str, Any] = world.lgsp(*words, "--name", f"Người thử {role}", "--data", str(world.data))
    assert made["ok"]
    return made
