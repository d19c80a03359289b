"""Declares the settings of an instance: defaults, then `settings.yaml` in its data folder, then `LGSP_…` variables.

Invariant: a setting is declared once, as a field of `Settings` with type, default, bounds and words. `docs/settings.md`
    and the reader (`gateway.settings.sources`) use these fields.
Invariant: no other module reads settings from the environment. Paths inside the data folder are derived, never set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from contracts.base.words import Words
from gateway.settings.address import DatabaseAddress
from gateway.settings.places import DRAFT as DRAFT
from gateway.settings.places import FILE as FILE
from gateway.settings.places import NO_INSTANCE as NO_INSTANCE
from gateway.settings.places import SEEN as SEEN
from gateway.settings.places import WHOLE as WHOLE
from gateway.settings.places import Places
from gateway.settings.variables import NOT_SETTINGS as NOT_SETTINGS

PREFIX: Final = "LGSP_"
ALL_CORES: Final = 0
CREDENTIAL: Final = "credential:"
Policy = Literal["off", "flagged", "closed"]
Dialect = Literal["rfc9440", "nginx"]
DeskTls = Literal["off", "embedded", "files"]
Join = Literal["off", "invited", "open"]
Standby = Literal["off", "required"]
LogFormat = Literal["text", "json"]
ROLES: Final = ("door", "desk", "files", "keeper")
_PORT: Final = {"ge": 1, "le": 65_535}
_COUNT: Final = {"ge": 1}
_SOME: Final = {"gt": 0}
_ANY: Final = {"ge": 0}


def _setting(default: Any, help_en: str, bounds: Mapping[str, float] | None = None) -> Any:
    """`bounds` are those of `pydantic.Field`: ge, gt, le."""
    return field(default=default, metadata={"help": help_en, "bounds": bounds or {}})


@dataclass(frozen=True, slots=True)
class Settings(Places):
    """One instance. `data` is its folder, with everything that must outlive a restart."""

    kind: Literal["sandbox", "production"] = _setting("sandbox", "what the instance is: `sandbox` or `production`")
    name: str = _setting("LGSP sandbox", "name of the instance, shown on its pages")
    machine: str = _setting("", "name of this machine among those of the instance; empty: the host's name")
    host: str = _setting("127.0.0.1", "address that the exchange listener and the one of `edge_port` bind")
    desk_host: str = _setting("127.0.0.1", "address that the people's listener binds")
    exchange_port: int = _setting(8443, "port of the exchange listener (component systems, TLS)", _PORT)
    desk_port: int = _setting(8080, "port of the people's listener (status page, documentation)", _PORT)
    desk_tls: DeskTls = _setting(
        "off",
        "TLS of the people's listener: `off` (for the loopback, or behind `desk_edge`), `embedded` (a certificate of "
        "the embedded authority), `files` (`desk_certificate` and `desk_key`)",
    )
    desk_certificate: str = _setting("", "file with the people's listener's certificate and its chain (PEM)")
    desk_key: str = _setting("", "file with the key of `desk_certificate` (PEM, without a password), mode 0600")
    desk_base: str = _setting(
        "", "address of the people's listener, as browsers see it; empty: by `desk_tls`, `desk_host` and `desk_port`"
    )
    desk_edge: str = _setting(
        "",
        "addresses of the proxies that speak for browsers to the people's listener, with spaces between: their "
        "`X-Forwarded-Proto` and `X-Forwarded-For` are believed; empty: none",
    )
    oidc_issuer: str = _setting(
        "", "issuer of the organisation's OpenID provider, by which people sign in to the pages; empty: none"
    )
    oidc_client: str = _setting("", "client id of the pages at the OpenID provider")
    oidc_secret_file: str = _setting(
        "", "file with the client's secret, mode 0600, outside the data folder; empty: a public client"
    )
    oidc_claim: str = _setting(
        "preferred_username", "claim of the ID token that is the account's id; people must not be able to change it"
    )
    oidc_scope: str = _setting("openid profile", "scopes that the provider is asked for, with `openid` among them")
    oidc_anchors: str = _setting(
        "", "file of the authorities (PEM) of the provider's TLS certificate; empty: those of the system"
    )
    metrics_host: str = _setting("127.0.0.1", "address that the listener of `metrics_port` binds")
    metrics_port: int = _setting(
        0,
        "port of a listener for `/metrics` alone, without TLS; 0: the people's listener serves it",
        {"ge": 0, "le": 65_535},
    )
    public_base: str = _setting(
        "",
        "public base address of the exchange listener, as signatures cover it; empty: "
        "`https://localhost:<exchange_port>`",
    )
    edge_port: int = _setting(
        0, "port of the listener for proxies that prove themselves by mutual TLS; 0: none", {"ge": 0, "le": 65_535}
    )
    edge_proxies: str = _setting(
        "",
        "proxies trusted on `edge_port`: SHA-256 thumbprints of their certificates, or `name:<DNS name>`, "
        "with spaces between",
    )
    edge_anchors: str = _setting(
        "", "file of authorities (PEM) that issue for proxies alone; empty: the exchange's own anchors"
    )
    edge_dialect: Dialect = _setting(
        "rfc9440", "how proxies on `edge_port` tell the client's certificate: `rfc9440` or `nginx` (operating.md)"
    )
    edge_socket: str = _setting("", "path of a Unix socket for a proxy on this machine; empty: none")
    edge_socket_group: str = _setting("", "group whose members may open `edge_socket`; empty: the gateway's user alone")
    edge_socket_dialect: Dialect = _setting("rfc9440", "as `edge_dialect`, for the proxy on `edge_socket`")
    origin: str = _setting(
        "localhost/lgsp-sandbox",
        "origin line of the audit log's checkpoints (C2SP tlog-checkpoint); fixed for the life of the log",
    )
    secret_file: str = _setting(
        "",
        "file with the secret that protects keys at rest, outside the data folder; `credential:<name>` "
        "for a credential of systemd; "
        "empty: keys lie in the clear",
    )
    pkcs11_module: str = _setting(
        "", "PKCS#11 module (`.so`) of the token that holds the signing key; empty: keys lie in files"
    )
    pkcs11_token: str = _setting("lgsp", "label of the token, where a key is made in it")
    pkcs11_pin_file: str = _setting("", "file with the PIN of the token, mode 0600, outside the data folder")
    database: str = _setting("", "SQLAlchemy address of the database; empty: SQLite in the data folder")
    database_seconds: float = _setting(2.0, "seconds within which callers get 503 if PostgreSQL does not answer", _SOME)
    standby: Standby = _setting(
        "off",
        "whether PostgreSQL's synchronous standby must have what is acknowledged: `required` or `off`; without one, "
        "`required` takes nothing (503)",
    )
    roles: str = _setting(
        " ".join(ROLES),
        "what this machine does, of several on one PostgreSQL: `door`, `desk`, `files`, `keeper` (may lead), with "
        "spaces between",
    )
    doors: int = _setting(ALL_CORES, "number of door processes; 0: one a core", {"ge": 0, "le": 1024})
    body_limit: int = _setting(5_000_000, "largest body of a request, in bytes", _COUNT)
    large_body_limit: int = _setting(
        100_000_000, "largest body of a request with attached files, in bytes; it goes to disk, sealed", _COUNT
    )
    large_bodies: int = _setting(
        1_000_000_000, "disk that large bodies under way may use in one door process, in bytes", _COUNT
    )
    opaque_body_limit: int = _setting(1_073_741_824, "largest file beside a document, in bytes", _COUNT)
    opaque_bodies: int = _setting(
        4_294_967_296, "bytes of such files of one agency that may wait for their documents; more get 429", _COUNT
    )
    opaque_body_hours: float = _setting(24.0, "hours that such a file waits for its document", _SOME)
    body_seconds: float = _setting(20.0, "time in which a request's body must have arrived, in seconds", _SOME)
    agency_calls: int = _setting(
        48, "calls that one agency may have under way at once in one door process; more get 429", _COUNT
    )
    source_calls: int = _setting(
        32,
        "requests without a registered client certificate that one address may have under way at once in "
        "one door process; more get 429",
        _COUNT,
    )
    source_connections: int = _setting(
        64,
        "connections without a registered client certificate that one address may hold open to one door "
        "process; more are closed with 429",
        _COUNT,
    )
    certificate_connections: int = _setting(
        128,
        "connections that one client certificate may hold open to one door process; more are closed with 429",
        _COUNT,
    )
    agency_connections: int = _setting(
        256,
        "connections that all certificates of one agency together may hold open to one door process; more "
        "are closed with 429",
        _COUNT,
    )
    agency_streams: int = _setting(
        64, "streams of feeds that one agency may have open at one door process; more get 429", _COUNT
    )
    door_streams: int = _setting(1024, "streams of feeds that one door process may have open; more get 503", _COUNT)
    stream_seconds: float = _setting(
        300.0, "how long a stream of a feed stays open before its reader has to connect again, in seconds", _SOME
    )
    agency_processor: float = _setting(
        0.25,
        "processor seconds a second that the large bodies of one agency may cost one door process, saved "
        "up for 8 seconds at most; more get 429",
        _SOME,
    )
    provider_seconds: float = _setting(
        15.0, "time that a provider has to answer a call that somebody waits for, in seconds", _SOME
    )
    push_seconds: float = _setting(15.0, "seconds that a receiver of feeds has to answer a webhook", _SOME)
    push_dead_seconds: float = _setting(86_400.0, "seconds that a receiver may fail before it is paused", _SOME)
    behind_events: int = _setting(1000, "events that a reader of a feed may be behind, before home says so", _COUNT)
    behind_seconds: float = _setting(3600.0, "the same in seconds that the oldest of them waits for the reader", _SOME)
    push_networks: str = _setting("", "networks besides public addresses for webhooks and vendors' providers")
    push_anchors: str = _setting(
        "", "authorities of receivers besides the exchange's: a file (PEM), or `system` for the system's; empty: none"
    )
    mail_server: str = _setting(
        "",
        "server that mails to contacts are handed to: `smtps://host`, `smtp://host` (with STARTTLS), or "
        "`smtp+clear://127.0.0.1`; empty: nobody is told by mail",
    )
    mail_from: str = _setting("", "address that the mails come from")
    mail_user: str = _setting("", "name that `mail_server` asks for; empty: it asks for none")
    mail_password_file: str = _setting(
        "", "file with the password of `mail_user`, mode 0600, outside the data folder; empty: none"
    )
    mail_anchors: str = _setting(
        "", "file of the authorities (PEM) of the mail server's TLS certificate; empty: those of the system"
    )
    token_seconds: int = _setting(600, "life of an access token, in seconds", _COUNT)
    status_seconds: float = _setting(
        300.0, "how often outside authorities are asked what they have revoked, in seconds", _SOME
    )
    probe_seconds: float = _setting(
        60.0, "how often it is looked whether each system takes connections, in seconds", _SOME
    )
    alarm_seconds: float = _setting(
        120.0, "how long a system must take no connections before an alarm is raised, in seconds", _ANY
    )
    alarm_queue_seconds: float = _setting(
        600.0, "how long a message may wait for a system before an alarm is raised, in seconds", _SOME
    )
    alarm_mail: str = _setting("", "e-mail addresses of operators to tell of alarms, with blanks between; empty: none")
    alarm_url: str = _setting("", "addresses (https) that alarms are posted to, with blanks between; empty: none")
    alarm_hold_seconds: float = _setting(
        300.0,
        "how long a finding must stand before operators are told, and be gone to be over, in seconds",
        _ANY,
    )
    alarm_again_hours: float = _setting(24.0, "hours after which operators are told again of what still stands", _SOME)
    log_format: LogFormat = _setting("text", "lines of the process log: `text`, or `json`: one object a line")
    otlp_url: str = _setting(
        "",
        "address of an OpenTelemetry collector (OTLP over HTTP, `http://localhost:4318/v1/traces`) that gets a span of "
        "each call; empty: none",
    )
    drain_seconds: float = _setting(2.0, "how long a stopping door goes on answering, in seconds", _ANY)
    ready_seconds: float = _setting(
        120.0, "seconds that the processes have to get ready when they are started or replaced", _SOME
    )
    silent_seconds: float = _setting(
        30.0,
        "seconds after which a door, desk or keeper whose event loop is silent is ended, with a trace in "
        "the log; 0: never",
        _ANY,
    )
    drops: str = _setting(
        "", "folder below which systems that hand in files have their folders; empty: `drops` in the data folder"
    )
    file_limit: int = _setting(20_000_000, "largest file that is taken from a drop folder, in bytes", _COUNT)
    file_seconds: float = _setting(
        2.0, "how long a dropped file must have stayed as it is before it is taken up, in seconds", _ANY
    )
    vault_database: str = _setting(
        "", "a second PostgreSQL for the vault's keys and the newest checkpoint; empty: folders of this machine"
    )
    vault_backup: str = _setting(
        "", "folder of short-lived copies of the vault's keys, outside of data and of any backup; empty: none"
    )
    vault_backup_days: int = _setting(7, "how long a copy of the vault's keys is kept, in days", _COUNT)
    retention_seconds: float = _setting(
        3600.0, "how often the keeper looks which keys of the vault are past their retention, in seconds", _SOME
    )
    witnesses: str = _setting(
        "",
        "witnesses of the log: a file, or the lines themselves, each `address vkey` (`;` between them); "
        "the address as C2SP tlog-witness names it",
    )
    witness_policy: Policy = _setting(
        "off",
        "what a lack of cosignatures does: `off` (nobody is asked), `flagged` (it is shown and logged), "
        "`closed` (new transfers are refused)",
    )
    witness_quorum: int = _setting(1, "number of witnesses that must cosign a checkpoint", _COUNT)
    witness_seconds: float = _setting(
        60.0, "how long entries of the log may lack a quorum of cosignatures, in seconds", _SOME
    )
    stamp_url: str = _setting("", "address of a time-stamp authority (RFC 3161, `http` or `https`); empty: none")
    stamp_anchors: str = _setting(
        "", "file of the authorities (PEM, roots and issuers) that the time-stamp authority's certificate leads up to"
    )
    stamp_policy: Policy = _setting(
        "off", "as `witness_policy`, for time-stamps; they are overdue when entries have waited for two rounds"
    )
    stamp_seconds: float = _setting(3600.0, "how often the newest checkpoint is stamped, in seconds", _SOME)
    backup_days: int = _setting(
        7, "days after which the doctor names the last backup as too old; 0: it does not matter", _ANY
    )
    drill_days: int = _setting(92, "days after which the doctor names a restore drill as due; 0: never", _ANY)
    report_superior: str = _setting(
        "", "name of the body above the one that issues reports, in their head; empty: none"
    )
    report_place: str = _setting("", "place in the date of reports, such as `Cao Bằng`; empty: left to be filled in")
    report_symbol: str = _setting("BC", "symbol of reports behind their number, such as `BC-TTGS`")
    report_signer: str = _setting("", "office of whoever signs reports, such as `Giám đốc`; empty: head of the agency")
    sandbox_join: Join = _setting("invited", "sandbox only: vendors who enrol: `off`: none, by invitation, or all")
    sandbox_vendors: int = _setting(200, "sandbox only: vendors that may be enrolled", _COUNT)
    sandbox_vendor_systems: int = _setting(5, "sandbox only: systems of one vendor", _COUNT)
    sandbox_vendor_certificates: int = _setting(60, "sandbox only: certificates issued to one vendor, ever", _COUNT)
    sandbox_vendor_minute: int = _setting(120, "sandbox only: calls of one vendor a minute; more get 429", _COUNT)
    sandbox_vendor_day: int = _setting(10_000, "sandbox only: calls of one vendor a day; more get 429", _COUNT)
    sandbox_vendor_bytes: int = _setting(
        2_147_483_648, "sandbox only: bytes of files of one vendor that are kept a day; more get 429", _COUNT
    )
    live: bool = _setting(True, "sandbox only: start the stand-in systems and keep a little traffic going")

    @property
    def base(self) -> str:
        return self.public_base.rstrip("/") or f"https://localhost:{self.exchange_port}"

    @property
    def desk(self) -> str:
        """The address of the people's listener, as browsers see it."""
        scheme = "http" if self.desk_tls == "off" else "https"
        host = f"[{self.desk_host}]" if ":" in self.desk_host else self.desk_host
        return self.desk_base.rstrip("/") or f"{scheme}://{host}:{self.desk_port}"

    @property
    def desk_named(self) -> str:
        """The same as people should open it: browsers offer passkeys to `localhost`, and not to 127.0.0.1."""
        return self.desk_base.rstrip("/") or self.desk.replace("//127.0.0.1:", "//localhost:")

    @property
    def database_url(self) -> DatabaseAddress:
        address = self.database or f"sqlite:///{self.data / 'lgsp.db'}"
        return DatabaseAddress(address, self.standby == "required", self.data)

    @property
    def secret_path(self) -> Path | None:
        if not self.secret_file:
            return None
        if self.secret_file.startswith(CREDENTIAL):
            folder = os.environ.get("CREDENTIALS_DIRECTORY")  # set by systemd; else a path that does not exist
            return Path(folder, self.secret_file.removeprefix(CREDENTIAL)) if folder else Path("/", self.secret_file)
        return Path(self.secret_file)

    @property
    def vault_copies(self) -> Path | None:
        return Path(self.vault_backup) if self.vault_backup else None

    def holds(self, path: Path) -> bool:
        """Whether `path` lies in the data folder, also by `..` or a link: it would be copied and lost with it."""
        return path.resolve().is_relative_to(self.data.resolve())

    @property
    def drop_root(self) -> Path:
        return Path(self.drops) if self.drops else self.data / "drops"

    @property
    def token_endpoint(self) -> str:
        return f"{self.base}/oauth/token"

    def has(self, role: str) -> bool:
        """Whether this machine does that."""
        return role in self.roles.split()

    @property
    def door_count(self) -> int:
        return self.doors if self.doors > 0 else os.cpu_count() or 1


class BadSetting(ValueError):
    """An invalid setting; `words` name it, its place and the valid values."""

    def __init__(self, words: Words) -> None:
        self.words: Final = words
        super().__init__(words.en)


def default_data() -> Path:
    """The default data folder: `$LGSP_DATA`, else `lgsp-data` in the current folder."""
    return Path(os.environ.get("LGSP_DATA") or "lgsp-data").absolute()


def load(data: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of the instance in `data`. Raises `BadSetting`."""
    from gateway.settings.sources import read

    return read((data or default_data()).absolute(), os.environ if environment is None else environment)
