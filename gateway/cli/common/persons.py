"""Puts a person in front of every command that somebody has to answer for (`gateway.cli.duties`).

Such a command takes `--as PERSON` and `--key FILE`. It signs a fresh statement with the key, which is proved against
the registry before the command does anything; each entry that the command logs has the statement.
Invariant: in production no such command runs without a proved person, but for the founding of an instance and
`--break-glass`, which is logged first. In a sandbox its stand-in operator acts by default.
Invariant: a command that writes runs as the user who owns the instance: files of another could not be read later.
"""

from __future__ import annotations

import inspect
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, get_type_hints

import typer

from contracts.base.errors import Failure
from gateway.cli.common.actor import acting_as, user
from gateway.cli.common.options import load_settings
from gateway.cli.common.output import Exit, exit_of, fail, failed, failures_as_exits, warn
from gateway.cli.common.private_keys import private_key, reading_once
from gateway.cli.duties import ROLES, Duty, duty_of, takes_person
from gateway.journal.read_only import read_only

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.settings import Settings

_KEY: Final = "LGSP_KEY"
As = Annotated[
    str | None,
    typer.Option("--as", envvar="LGSP_AS", show_envvar=False, help="Who acts: a registered person or officer."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key", envvar=_KEY, show_envvar=False, help="That person's private key (PEM); - is standard input."),
]
BreakGlass = Annotated[
    str | None,
    typer.Option(
        "--break-glass", help="Emergency: act without a proved person, for this reason. Logged; the doctor names it."
    ),
]
_OPTIONS: Final = {"as_": As, "key_file": KeyFile, "break_glass": BreakGlass}
_SIGNS: Final = "officer"  # a command with this parameter has a `--key` of its own: the officer's
_UNNAMED: Final = "nobody named, "  # the sandbox's stand-in acts, and not a person who gave his key
LEAST_REASON: Final = 10
_WITHOUT_STANDBY: Final = "machine alone"  # must be possible while nothing else can be written
_ON_ANY_TABLES: Final = frozenset({"backup make", "schema back"})  # before an upgrade, and after it
# The doctor names it among its findings. The other must be possible while the database may be away.
_LOOK_THEMSELVES: Final = frozenset({"doctor", _WITHOUT_STANDBY})


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was given, with who says to give it."""

    command: str
    given: dict[str, Any]
    person: str | None
    key: Path | None
    break_glass: str | None

    @property
    def as_json(self) -> bool:
        return bool(self.given.get("as_json"))

    @property
    def duty(self) -> Duty:
        return duty_of(self.command, self.given)


def guard(app: typer.Typer, above: str = "") -> None:
    """Wrap every command of the application, once."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        command.callback = _guarded(f"{above} {name}".strip(), command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            guard(group.typer_instance, f"{above} {group.name or ''}".strip())


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    signature = inspect.signature(function)
    own = signature.parameters
    added = {
        each: kind
        for each, kind in _OPTIONS.items()
        if takes_person(name) and not (each == "key_file" and _SIGNS in own)
    }

    @wraps(function)
    def command(**values: Any) -> None:
        person, break_glass = values.pop("as_", None), values.pop("break_glass", None)
        key = values.get("key") if _SIGNS in own else values.pop("key_file", None)
        if _SIGNS in own and key is not None and not values.get("signature"):
            person = values[_SIGNS]  # whoever signs as an officer acts as one
        elif _SIGNS in own and key is None and os.environ.get(_KEY):  # of the person; no officer signs by it
            key = Path(os.environ[_KEY])
        with _acting(Asked(name, values, person, key, break_glass)):
            function(**values)

    hints = get_type_hints(function, include_extras=True)
    parameters = [
        each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY) for each in own.values()
    ]
    parameters += [
        inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for each, kind in added.items()
    ]
    command.__dict__.pop("__wrapped__")
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return command


@contextmanager
def _acting(asked: Asked) -> Iterator[None]:
    if asked.duty is Duty.NONE:
        yield
        return
    if asked.duty is Duty.READS:
        with read_only():
            if "data" in asked.given:
                _check_instance(load_settings(asked.given["data"], asked.as_json), asked)
            yield
        return
    settings = load_settings(asked.given.get("data"), asked.as_json)
    if asked.given.get("new_secret") is not None:
        from gateway.keys.protecting import cut_short

        settings = cut_short(settings, asked.given["new_secret"])
    with reading_once(), ExitStack() as stack:
        if settings.is_made:  # else the command says that there is none
            _check_user(settings, asked.as_json)
            if asked.duty is not Duty.RUNS:
                _check_instance(settings, asked)
                stack.enter_context(acting_as(_naming(settings, asked), asked.person))
        yield


def _check_instance(settings: Settings, asked: Asked) -> None:
    """End a command that writes if folder and settings are not those of the database's instance: what it seals, nobody
    could verify again. One that reads goes on, after a warning: it may be what finds out why."""
    if asked.command in _LOOK_THEMSELVES or not settings.is_made:
        return
    from gateway.registry.identity import check_for_command

    try:
        check_for_command(settings, writes=asked.duty is not Duty.READS and asked.command not in _ON_ANY_TABLES)
    except Failure as failure:
        if asked.duty is not Duty.READS:
            failed(exit_of(failure.code, failure.branch), failure, asked.as_json)
        warn(failure)


def _check_user(settings: Settings, as_json: bool) -> None:
    if os.geteuid() == settings.owner:
        return
    name = settings.owner_name
    fail(
        Exit.USAGE,
        "other-user",
        f"the instance in {settings.data} belongs to {name}: what you write there, its processes could not read"
        f" / phiên bản thuộc về {name}: tệp do tài khoản khác ghi thì các tiến trình không đọc được",
        f"Run it as that user: / Chạy bằng tài khoản đó: sudo -u {shlex.quote(name)} lgsp …",
        as_json,
    )


def check_files(settings: Settings, as_json: bool) -> None:
    """End the command if files of the instance belong to another user: its processes could not read them."""
    from gateway.doctor.modes import foreign, mend

    strange = foreign(settings)
    if strange:
        more = ", …" if len(strange) > 3 else ""
        fail(
            Exit.USAGE,
            "foreign-files",
            f"files of the instance do not belong to {settings.owner_name}: {', '.join(map(str, strange[:3]))}{more}"
            " / có tệp của phiên bản thuộc về tài khoản khác",
            f"Run as root: / Chạy bằng root: {mend(settings)}",
            as_json,
        )


def _naming(settings: Settings, asked: Asked) -> Callable[[str], str]:
    """How the log names who acts. Ends the command where nobody may."""
    from sqlalchemy.exc import DBAPIError

    from gateway.journal.database import fits, newest_revision, open_engine, revision
    from gateway.journal.errors import JOURNAL_SCHEMA

    if asked.break_glass is not None:
        return _broken_glass(settings, asked)
    with failures_as_exits(asked.as_json), read_only():
        engine = open_engine(settings.database_url)
        try:
            return _proved(settings, engine, asked)
        except DBAPIError:
            with engine.connect() as connection:
                found, fitting = revision(connection), fits(connection)
            if fitting:
                raise
            raise JOURNAL_SCHEMA(found=found, expected=newest_revision()) from None
        finally:
            engine.dispose()


def _proved(settings: Settings, engine: Engine, asked: Asked) -> Callable[[str], str]:
    from gateway.journal.database import snapshot
    from gateway.registry import acting
    from gateway.registry.errors import ACT_NO_PERSON

    if asked.person is not None:
        return _signed(settings, engine, asked, asked.person, asked.key)
    if settings.kind == "sandbox":
        from gateway.sandbox import people

        key = people.key_of(settings, people.OPERATOR)
        try:
            return _signed(settings, engine, asked, people.OPERATOR, key, _UNNAMED) if key.exists() else str
        except Failure:  # retired meanwhile, or the registry was altered, which the command itself may be about
            return str
    with snapshot(engine) as connection:
        if asked.duty is Duty.ROUTINE or acting.being_founded(connection):
            return str
    raise ACT_NO_PERSON(command=asked.command)


def _signed(
    settings: Settings, engine: Engine, asked: Asked, person: str, file: Path | None, how: str = ""
) -> Callable[[str], str]:
    """`how` stands before the user of the operating system."""
    from gateway.journal.database import snapshot
    from gateway.registry import acting
    from gateway.registry.seals.sealing import Seal
    from security.grants import statements
    from security.transparency.entry import Actor

    if file is None:
        _no_key(person, asked.as_json)
    command = statements.Command.of(asked.command, _plain(asked.given), settings.origin)
    then = f"Name the private key of {person}. / Nêu tệp khóa bí mật của {person}."
    private = private_key(file, then, asked.as_json)
    now = time.time()
    statement = statements.state(command, person, private.pem, private.password, now)
    with snapshot(engine) as connection:
        known = acting.prove(connection, Seal.of(settings), person, statement, (command, ROLES[asked.duty]), now)
    prefix = f"{known.agency}/{known.id}: {how}"
    return lambda user: Actor.proved(prefix + user, known.id, statement.text, statement.signature)


def _no_key(person: str, as_json: bool) -> NoReturn:
    fail(
        Exit.USAGE,
        "no-key",
        f"--as {person} needs the person's key / --as cần khóa của người đó",
        "Give --key FILE, or set LGSP_KEY. / Thêm --key TỆP, hoặc đặt LGSP_KEY.",
        as_json,
    )


def _broken_glass(settings: Settings, asked: Asked) -> Callable[[str], str]:
    """In the log before the command does anything."""
    from gateway.journal.alone import writing_locally
    from gateway.journal.append import append
    from gateway.journal.database import open_engine, writing
    from gateway.registry.acting import BREAK_GLASS
    from gateway.transfer import entries

    reason = (asked.break_glass or "").strip()
    if len(reason) < LEAST_REASON:
        fail(
            Exit.USAGE,
            "no-reason",
            f"the reason has fewer than {LEAST_REASON} characters / lý do quá ngắn",
            "Say what the emergency is: the log keeps it. / Nêu rõ tình huống: nhật ký lưu lại.",
            asked.as_json,
        )
    naming = partial("{}: {}".format, BREAK_GLASS)
    engine = open_engine(settings.database_url)
    alone = asked.command == _WITHOUT_STANDBY and settings.standby == "required"
    with writing_locally(settings.database_url) if alone else writing(engine) as connection:
        facts = {"command": asked.command, "reason": reason[:1000]}
        append(connection, [entries.note(BREAK_GLASS, facts, time.time(), actor=naming(user()))])
    engine.dispose()
    return naming


def _plain(given: dict[str, Any]) -> dict[str, object]:
    """The arguments as they were given, without a file of a key and what only changes the printing."""
    left_out = {"as_json", *(("key",) if _SIGNS in given else ())}
    return {name: value for name, value in given.items() if name not in left_out and value not in (None, False)}
