"""Reads the agent's configuration file (YAML) into frozen values (docs/agent.md).

Paths are relative to the file.
Invariant: an unknown name, a wrong type or a forbidden listen address stops the start and is reported with its place.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn
from urllib.parse import urlsplit

import yaml

from contracts.base import safeyaml
from contracts.base.words import Language
from gateway.agent.errors import AGENT_CONFIGURATION

Kind = Literal["rest", "soap"]
DAY: Final = 86_400.0
_PORT: Final = re.compile(r".*:[0-9]{1,5}")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """Limits of the queue: messages, bytes of contents, days until a message is given up."""

    messages: int = 10_000
    bytes: int = 500_000_000
    days: float = 7.0


@dataclass(frozen=True, slots=True)
class CallerSide:
    """The local listener for the old system as caller. `open311`: it serves GeoReport v2 for field-report/v1. `files`:
    the most bytes of files that pass at the same time. `hosts`: more names by which it may be called."""

    listen: Address
    contracts: tuple[str, ...]
    seconds: float
    queue: QueueBounds
    open311: bool = False
    files: int = 2_147_483_648
    hosts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return ("localhost", self.listen.host.lower(), *self.hosts)

    def answers_to(self, host: str) -> bool:
        """Whether a call may name this host. A page of a stranger can have its own name resolve to this machine, but
        cannot make a browser send an address, or a name of ours (DNS rebinding)."""
        name, _, port = host.rpartition(":") if _PORT.fullmatch(host) else (host, "", "")
        name = name.lower()
        try:
            address = ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
        except ValueError:
            return name in self.names
        return address.is_loopback or not self.listen.loopback


@dataclass(frozen=True, slots=True)
class ProviderSide:
    """The listener for the gateway, and the old system's address. `knows_ids`: the system itself removes repeats."""

    listen: Address
    system: str
    kind: Kind
    base: str
    seconds: float
    knows_ids: bool


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `connect` overrides the gateway's network address where its name does not resolve to
    it."""

    file: Path
    identity: Path
    state: Path
    secret: Path
    language: Language
    connect: Address | None
    body_limit: int
    body_seconds: float
    calls: int
    caller: CallerSide | None
    provider: ProviderSide | None

    @property
    def database(self) -> Path:
        return self.state / "agent.db"

    @property
    def seal_key(self) -> Path:
        return self.state / "agent.key"

    @property
    def files(self) -> Path:
        return self.state / "files"

    @property
    def documents(self) -> Path:
        return self.state / "documents"


def load(file: Path) -> Config:
    """Read the configuration. Raises AGENT_CONFIGURATION with the place of the fault."""
    file = file.absolute()
    try:
        document = safeyaml.load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as trouble:
        _wrong(str(file), getattr(trouble, "strerror", None) or "UTF-8")
    except (yaml.YAMLError, ValueError, RecursionError) as trouble:  # such as 2026-02-30, or deep nesting
        _wrong(str(file), safeyaml.why(trouble))
    top = _Section(str(file), document, file.parent)
    caller, provider = top.section("caller"), top.section("provider")
    config = Config(
        file=file,
        identity=top.path("identity"),
        state=top.path("state", "state"),
        secret=top.path("secret"),
        language=top.one_of("language", ("vi", "en"), "vi"),
        connect=top.address("connect", required=False),
        body_limit=top.number("body_limit", 5_000_000),
        body_seconds=top.seconds("body_seconds", 20.0),
        calls=top.number("calls", 64),
        caller=_caller(caller) if caller is not None else None,
        provider=_provider(provider) if provider is not None else None,
    )
    top.end()
    if config.caller is None and config.provider is None:
        _wrong(str(file), "caller: … / provider: …")
    return config


def _caller(section: _Section) -> CallerSide:
    listen = section.address("listen")
    assert listen is not None
    if not section.flag("beyond_loopback", False) and not listen.loopback:
        # the secret and all contents would cross the network in clear
        _wrong(section.at("listen"), f"{listen}: 127.0.0.1, ::1, localhost (beyond_loopback: true)")
    bounds = section.section("queue")
    side = CallerSide(
        listen,
        section.names("contracts"),
        section.seconds("seconds", 20.0),
        _bounds(bounds) if bounds else QueueBounds(),
        section.flag("open311", False),
        section.number("files", 2_147_483_648),
        section.hosts("hosts"),
    )
    if side.open311 and "field-report/v1" not in side.contracts:
        _wrong(section.at("open311"), "contracts: [field-report/v1, …]")
    section.end()
    return side


def _bounds(section: _Section) -> QueueBounds:
    plain = QueueBounds()
    bounds = QueueBounds(
        section.number("messages", plain.messages),
        section.number("bytes", plain.bytes),
        section.seconds("days", plain.days),
    )
    section.end()
    return bounds


def _provider(section: _Section) -> ProviderSide:
    listen = section.address("listen")
    assert listen is not None
    system = section.url("system")
    base = section.text("base", f"https://localhost:{listen.port}").rstrip("/")
    if urlsplit(base).path or not base.startswith("https://"):  # the paths come from the calls
        _wrong(section.at("base"), f"{base!r}: https://host:port")
    side = ProviderSide(
        listen=listen,
        system=system.rstrip("/"),
        kind=section.one_of("kind", ("rest", "soap"), None),
        base=base,
        seconds=section.seconds("seconds", 10.0),
        knows_ids=section.flag("knows_ids", False),
    )
    section.end()
    return side


class _Section:
    """A mapping of the file. Known names are removed as they are read; names left at the end are unknown."""

    def __init__(self, where: str, value: object, folder: Path) -> None:
        if not isinstance(value, Mapping):
            _wrong(where, "name: value")
        self._where, self._left, self._folder = where, dict(value), folder

    def at(self, name: str) -> str:
        return f"{self._where}: {name}"

    def end(self) -> None:
        if self._left:
            _wrong(self.at(str(next(iter(self._left)))), "không có từ này / there is no such word (docs/agent.md)")

    def _take(self, name: str, default: Any) -> Any:
        value = self._left.pop(name, default)
        if value is None:
            _wrong(self.at(name), "…")
        return value

    def section(self, name: str) -> _Section | None:
        value = self._left.pop(name, None)
        return None if value is None else _Section(self.at(name), value, self._folder)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._take(name, default)
        if not isinstance(value, str):
            _wrong(self.at(name), f"{value!r}: text")
        return value

    def path(self, name: str, default: str | None = None) -> Path:
        return self._folder / self.text(name, default)

    def url(self, name: str) -> str:
        value = self.text(name)
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            _wrong(self.at(name), f"{value!r}: http://host:port/path")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._take(name, default)
        if not isinstance(value, bool):
            _wrong(self.at(name), f"{value!r}: true, false")
        return value

    def number(self, name: str, default: int) -> int:
        value = self._take(name, default)
        if type(value) is not int or value < 1:
            _wrong(self.at(name), f"{value!r}: 1, 2, 3 …")
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self._take(name, default)
        if type(value) not in (int, float) or not value > 0:
            _wrong(self.at(name), f"{value!r}: > 0")
        return float(value)

    def one_of(self, name: str, known: tuple[Any, ...], default: Any) -> Any:
        value = self._take(name, default)
        if value not in known:
            _wrong(self.at(name), f"{value!r}: {', '.join(known)}")
        return value

    def names(self, name: str) -> tuple[str, ...]:
        value = self._take(name, None)
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(each, str) and _is_contract(each) for each in value)
        ):
            _wrong(self.at(name), "[incident-alert/v1, …]")
        return tuple(dict.fromkeys(value))

    def hosts(self, name: str) -> tuple[str, ...]:
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(each, str) and _NAME.fullmatch(each) for each in value):
            _wrong(self.at(name), "[agent.example, …]")
        return tuple(each.lower() for each in value)

    def address(self, name: str, *, required: bool = True) -> Address | None:
        value = self._left.pop(name, None)
        if value is None and not required:
            return None
        host, _, port = str(value or "").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            _wrong(self.at(name), f"{value!r}: 127.0.0.1:8181")
        return Address(host.strip("[]"), int(port))


def _is_contract(name: str) -> bool:
    contract, _, version = name.partition("/")
    return contract.replace("-", "").isalnum() and version[:1] == "v" and version[1:].isdecimal()


def _wrong(where: str, rule: str) -> NoReturn:
    raise AGENT_CONFIGURATION(where=where, rule=rule)
