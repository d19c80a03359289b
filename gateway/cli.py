"""The command line: reads arguments, loads what a command needs when it needs it, and ends with a documented exit code.

0 all well, 1 the answer is no, 2 wrong usage, 3 ours (`docs/commands.md`).
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from gateway import settings as settings_module
from gateway.commands.output import Exit, fail, failures_told
from gateway.settings import Settings

app = typer.Typer(
    name="lgsp",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="LGSP gateway: signed, granted, translated, logged data exchange.",
)
audit = typer.Typer(no_args_is_help=True, help="The audit log: verify, show, export.")
contract = typer.Typer(no_args_is_help=True, help="Contracts: begin, import, try, check, compare, publish, show.")
registry = typer.Typer(no_args_is_help=True, help="Agencies, systems, routes and grants.")
access = typer.Typer(no_args_is_help=True, help="Who may what.")
queue = typer.Typer(no_args_is_help=True, help="Messages that wait for their provider.")
feed = typer.Typer(no_args_is_help=True, help="The centre's feeds.")
for name, group in (("audit", audit), ("contract", contract), ("registry", registry), ("access", access), ("queue", queue), ("feed", feed)):
    app.add_typer(group, name=name)

Data = Annotated[Path | None, typer.Option("--data", help="Folder of the instance (default: $LGSP_DATA, else ./lgsp-data).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
Fd = Annotated[int, typer.Option("--fd")]
Pipe = Annotated[int | None, typer.Option()]


def _settings(data: Path | None, as_json: bool = False) -> Settings:
    try:
        return settings_module.load(data)
    except settings_module.BadSetting as trouble:
        fail(Exit.USAGE, "bad-setting", str(trouble), "See docs/settings.md for all settings.", as_json)


def _instance(data: Path | None, as_json: bool) -> Settings:
    settings = _settings(data, as_json)
    if not (settings.data / settings_module.FILE).exists():
        fail(
            Exit.USAGE,
            "no-instance",
            f"there is no instance in {settings.data} / không có phiên bản nào tại {settings.data}",
            "Make one with `lgsp up`, or name its folder with --data. / Tạo bằng `lgsp up`, hoặc chỉ thư mục bằng --data.",
            as_json,
        )
    return settings


# --- running ----------------------------------------------------------------------------------------------------------


@app.command()
def up(
    data: Data = None,
    json: Json = False,
    without: Annotated[list[str] | None, typer.Option("--without", help="Sandbox: leave out a stand-in system, or `traffic`.")] = None,
) -> None:
    """Run an instance; make a sandbox with a whole province first, if there is none."""
    from gateway.commands import run

    with failures_told(json):
        run.up(_settings(data, json), json, frozenset(without or ()))


@app.command()
def demo(
    json: Json = False,
    keep: Annotated[Path | None, typer.Option("--keep", help="Keep the demo's instance in this (empty or missing) folder.")] = None,
) -> None:
    """Run the story end to end against an instance of its own; exit 0 only if every step held."""
    from gateway.commands import demo as command

    with failures_told(json):
        command.demo(json, keep)


@app.command()
def bench(
    json: Json = False, quick: Annotated[bool, typer.Option("--quick", help="Short rounds: a minute instead of several.")] = False
) -> None:
    """Measure the secured exchange against the plain stack of the same packages, in one run."""
    from gateway.commands import bench as command

    command.bench(json, quick)


@app.command()
def doctor(data: Data = None, json: Json = False) -> None:
    """Look at an instance: files and their modes, certificates, database, log; say what is wrong and what to do."""
    from gateway.commands import doctor as command

    with failures_told(json):
        command.doctor(_instance(data, json), json)


@app.command(hidden=True)
def door(fd: Fd, data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """One door process, on an inherited socket."""
    from gateway.app import run_door

    run_door(_settings(data), fd, lifeline, ready)


@app.command(hidden=True)
def desk(fd: Fd, data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """The people's listener, on an inherited socket."""
    from gateway.desk import run_desk

    run_desk(_settings(data), fd, lifeline, ready)


@app.command(hidden=True)
def keeper(data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """The keeper: sequencer, delivery, recovery."""
    from gateway.commands.keep import run_keeper

    run_keeper(_settings(data), lifeline, ready)


@app.command(hidden=True)
def files(data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """Takes up what systems drop into their folders."""
    from gateway.files.worker import run_files

    run_files(_settings(data), lifeline, ready)


@app.command(hidden=True)
def standin(name: str, data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """One stand-in system of the sandbox."""
    from gateway.sandbox import live

    raise SystemExit(live.run_standin(_settings(data), name, lifeline, ready))


@app.command(hidden=True)
def traffic(data: Data = None, lifeline: Pipe = None, ready: Pipe = None, every: float = 3.0) -> None:
    """A little traffic of the sandbox's systems."""
    from gateway.sandbox import live

    raise SystemExit(live.run_traffic(_settings(data), lifeline, ready, every))


# --- the log ----------------------------------------------------------------------------------------------------------

Vkey = Annotated[str | None, typer.Option("--vkey", help="Trusted verifier key, or a file that holds it, from outside the instance.")]
Origin = Annotated[str | None, typer.Option("--origin", help="Expected origin of the log.")]


@audit.command("verify")
def audit_verify(
    data: Data = None,
    json: Json = False,
    vkey: Vkey = None,
    origin: Origin = None,
    checkpoint: Annotated[Path | None, typer.Option("--checkpoint", help="A checkpoint kept outside, which the log must contain.")] = None,
) -> None:
    """Derive the whole tree anew from the raw entries and compare it with the signed checkpoint."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.verify(_instance(data, json), vkey, origin, checkpoint, json)


@audit.command("show")
def audit_show(transfers: list[str], data: Data = None, json: Json = False) -> None:
    """All entries of the transfers named, in the order of the log."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.show(_instance(data, json), transfers, json)


@audit.command("export")
def audit_export(folder: Path, data: Data = None, json: Json = False) -> None:
    """Write entries, tiles and checkpoint as plain files, in the layout of tlog-tiles."""
    from gateway.commands import audit as command

    with failures_told(json):
        command.export(_instance(data, json), folder, json)


# --- contracts, registry, access --------------------------------------------------------------------------------------


Operations = Annotated[list[str] | None, typer.Option("--operation", help="Only this operation; may be given several times.")]
Beside = Annotated[Path | None, typer.Option("--with", help="Folder with files that imports name by address; nothing is fetched.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the contract; its files go to the folder v1 in it.")]
Named = Annotated[str | None, typer.Option("--id", help="Id of the contract (default: made of the service's name).")]


@contract.command("import-wsdl")
def contract_import_wsdl(
    file: Path, out: Out, operation: Operations = None, beside: Beside = None, name: Named = None, json: Json = False
) -> None:
    """Draft a contract from a foreign WSDL 1.1 file; only the meaning is left to fill in."""
    from gateway.commands import contract_import as command

    with failures_told(json):
        command.from_wsdl(file, operation or (), beside, out, name, json)


@contract.command("import-openapi")
def contract_import_openapi(
    file: Path, out: Out, operation: Operations = None, beside: Beside = None, name: Named = None, json: Json = False
) -> None:
    """Draft a contract from a foreign OpenAPI 3.0 or 3.1 file; only the meaning is left to fill in."""
    from gateway.commands import contract_import as command

    with failures_told(json):
        command.from_openapi(file, operation or (), beside, out, name, json)


@contract.command("new")
def contract_new(
    name: Annotated[str, typer.Argument(help="Id of the contract, such as dossier-status.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the contract (default: its id).")] = None,
    json: Json = False,
) -> None:
    """Begin a contract: a folder with one operation and one format, to be filled in."""
    from gateway.commands import contract_import as command

    with failures_told(json):
        command.new(name, out, json)


@contract.command("try")
def contract_try(
    folder: Path,
    file: Annotated[Path, typer.Argument(help="The message; - reads standard input.")],
    format_name: Annotated[str, typer.Option("--format", help="The format it is in: a file of systems/, or canonical.")],
    message: Annotated[str | None, typer.Option("--message", help="Which message it is, where neither root nor file name says so.")] = None,
    json: Json = False,
) -> None:
    """Take one message through a contract's folder and print each stage: parsed, canonical, each other format, back."""
    from gateway.commands import contract_try as command

    with failures_told(json):
        command.run(folder, format_name, file, message, json)


@contract.command("check")
def contract_check(
    folder: Annotated[Path | None, typer.Argument(help="A contract's folder, or one that holds several (default: the catalogue).")] = None,
    json: Json = False,
) -> None:
    """Prove every contract in a folder; print each finding with file and line."""
    from gateway.commands import contracts as command

    with failures_told(json):
        command.check(folder, json)


@contract.command("diff")
def contract_diff(
    old: Annotated[str, typer.Argument(help="A contract's folder, or the name of one in force, such as `indicator/v1`.")],
    new: Annotated[str, typer.Argument(help="The same.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Name each change between two versions, with file and line; exit 1 if one breaks what runs."""
    from gateway.commands import contracts as command

    with failures_told(json):
        command.diff(lambda: _instance(data, json), old, new, json)


@contract.command("publish")
def contract_publish(
    folder: Annotated[str, typer.Argument(help="A contract's folder; with --rollback, the name of one in force.")],
    data: Data = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Put the version before the one in force in force again.")] = False,
    json: Json = False,
) -> None:
    """Prove a contract, compare it with the version in force, and put it in force; all doors move to it, no call is lost."""
    from gateway.commands import contracts as command

    with failures_told(json):
        if rollback:
            command.roll_back(_instance(data, json), folder, json)
        else:
            command.publish(_instance(data, json), Path(folder), json)


@contract.command("show")
def contract_show(
    name: Annotated[str | None, typer.Argument(help="Such as `indicator/v1` (default: all, with their versions).")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Contracts in force: versions stored, who is pinned to which; of one also its operations, formats, addresses."""
    from gateway.commands import contracts as command

    with failures_told(json):
        command.show(_instance(data, json), name, json)


@registry.command("apply")
def registry_apply(file: Path, data: Data = None, json: Json = False) -> None:
    """Bring the registry to what a document declares; each change is logged."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.apply(_instance(data, json), file, json)


@registry.command("show")
def registry_show(data: Data = None, json: Json = False) -> None:
    """Agencies and systems with their state."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.show(_instance(data, json), json)


@access.command("explain")
def access_explain(agency: str, contract: str, operation: str, data: Data = None, json: Json = False) -> None:
    """Why an agency may, or may not, call an operation, and which fields it sees."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.explain(_instance(data, json), agency, contract, operation, json)


@access.command("matrix")
def access_matrix(data: Data = None, json: Json = False) -> None:
    """Agency × contract × operation: who may what."""
    from gateway.commands import registry as command

    with failures_told(json):
        command.matrix(_instance(data, json), json)


@queue.command("list")
def queue_list(data: Data = None, json: Json = False) -> None:
    """Messages that wait, with their last failure; and transfers in doubt."""
    from gateway.commands import flows as command

    with failures_told(json):
        command.queue(_instance(data, json), json)


@feed.command("read")
def feed_read(
    contract: Annotated[str, typer.Argument(help="Such as incident-alert/v1.")],
    data: Data = None,
    after: Annotated[str | None, typer.Option("--after", help="Cursor of the last event read.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many events.")] = 20,
    json: Json = False,
) -> None:
    """Events of a feed, oldest first. Reading bodies is logged."""
    from gateway.commands import flows as command

    with failures_told(json):
        command.feed(_instance(data, json), contract, after, limit, json)


def main() -> None:
    """Run the command line. What nobody foresaw is ours: a trace for whoever mends it, exit code 3."""
    as_json = "--json" in sys.argv[1:]
    try:
        app(prog_name="lgsp")
    except SystemExit as end:  # wrong usage: the command line's own parser has told people; programs get their object
        told = getattr(end.__context__, "format_message", None)
        if as_json and told is not None:
            fail(Exit.USAGE, "usage", told(), "See --help of this command. / Xem --help của lệnh này.", as_json)
        raise
    except Exception:
        traceback.print_exc()
        what = "this is a mistake of ours / lỗi của phần mềm"
        fail(Exit.OURS, "unforeseen", what, "Report it with the lines above. / Hãy báo kèm các dòng trên.", as_json)
