"""Persons who work at the shared instance over the management API."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

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


def person(world: World, instance: Settings, role: str, agency: str = "H14.0") -> Person:
    name, data = f"nv-{uuid.uuid4().hex[:8]}", ("--data", str(world.data))
    user = ("console", "user", "add", name, "--role", role, "--agency", agency, "--name", f"Người thử {role}")
    assert world.lgsp(*user, *data)["ok"]
    made = world.lgsp("console", "token", "add", name, "--label", "obligations", *data)
    return Person(instance.desk, made["token"])
