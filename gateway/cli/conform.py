"""`lgsp conform`: whether a system keeps a contract and the wire profile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail, failures_as_exits

if TYPE_CHECKING:
    from contracts.compiled.contract import CompiledContract
    from gateway.sandbox.conformance.exchange import Target
    from gateway.sandbox.conformance.results import Result, Run
    from gateway.sandbox.conformance.suite import Known, Wanted
    from gateway.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Conformance: suites made from a contract, and runs of them.")
Contract = Annotated[str, typer.Argument(help="A contract in force, such as field-report/v1.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of the contract."""

    protocol: Annotated[Literal["rest", "soap"] | None, typer.Option("--protocol", help="One protocol alone.")] = None
    format_name: Annotated[str, typer.Option("--format", help="The format that the system is registered with.")] = (
        "canonical"
    )
    operation: Annotated[str | None, typer.Option("--operation", help="One operation alone.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The system."""

    url: Annotated[str, typer.Option("--url", help="Its address, as the registry would have it.")]
    identity: Annotated[
        Path, typer.Option("--identity", help="Its identity folder; only the certificates in it are read.")
    ]
    soap: Annotated[Literal["1.1", "1.2"], typer.Option("--soap", help="The version of SOAP.")] = "1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The report."""

    software: Annotated[str, typer.Option("--software", help="Name of the software, for the report.")] = ""
    version: Annotated[str, typer.Option("--version", help="Its version.")] = ""
    certify: Annotated[
        bool, typer.Option("--certify", help="Enter a certificate into the log, if the whole suite passes.")
    ] = False
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the report as JUnit XML too.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What is tried."""

    case: Annotated[str, typer.Option("--case", help="One case alone, or those whose id begins so.")] = ""
    known: Annotated[
        Path | None, typer.Option("--known", help="A JSON list of questions, each with the answer that is right.")
    ] = None
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Calls at a time.")] = 8
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, max=60, help="For each answer.")] = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long each step waits."""

    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600, help="For the first call of a step.")] = (
        120.0
    )
    quiet: Annotated[float, typer.Option("--quiet", min=0.1, max=600, help="For another call.")] = 5.0


@commands.command("suite")
@grouped
def suite(
    contract: Contract,
    part: Part,
    role: Annotated[Literal["provider", "caller"], typer.Option("--role", help="Who is tried.")] = "provider",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print the suite of a contract as YAML: what is sent, what is expected, by which rule."""
    compiled = _contract(load_instance(data, as_json), contract, as_json)
    from gateway.sandbox.conformance.caller_suite import caller_suite
    from gateway.sandbox.conformance.suite import provider_suite

    make = provider_suite if role == "provider" else caller_suite
    made = make(compiled, _wanted(part, compiled, role, as_json))
    emit({"ok": True} | made.to_json(), as_json, made.to_yaml().rstrip("\n"))


@commands.command("provider")
@grouped
def provider(
    contract: Contract, part: Part, place: Place, told: Told, tried: Tried, data: Data = None, as_json: AsJson = False
) -> None:
    """Call a system as the gateway would, case by case. Exit code 1 if a case did not pass."""
    from gateway.cli.common.progress import progress
    from gateway.keys.keyring import Keyring
    from gateway.push.peers import peers_of
    from gateway.sandbox.conformance.exchange import GatewayKeys
    from gateway.sandbox.conformance.provider import Bounds, ProviderRun
    from gateway.sandbox.conformance.results import Run, Software
    from gateway.sandbox.conformance.suite import provider_suite

    settings = load_instance(data, as_json)
    _check_named(told, as_json, whole=not tried.case)
    compiled = _contract(settings, contract, as_json)
    wanted = _wanted(part, compiled, "provider", as_json)
    made = provider_suite(compiled, wanted, _known(tried.known, compiled, as_json))
    chosen = list(made.chosen(tried.case))
    if not chosen:
        what = "no case has this id / không có trường hợp nào mang mã này"
        fail(Exit.USAGE, "no-case", what, "`lgsp conform suite` lists them. / `lgsp conform suite` liệt kê.", as_json)
    target = _target(place, as_json)
    keyring, bounds = Keyring(settings), Bounds(tried.parallel, tried.seconds)
    running = ProviderRun(compiled, target, GatewayKeys.of(keyring), peers_of(keyring, settings), bounds)
    started, clock = time.time(), time.perf_counter()
    with progress(as_json) as bar:
        task = bar.add_task(contract, len(chosen))

        def tick(done: int, of: int, newest: Result) -> None:
            bar.update(task, completed=done)

        results = asyncio.run(running.run(chosen, tick))
    agency = target.caller.partition("/")[0]
    software = Software(told.software or target.endpoint.system, told.version, target.endpoint.system, agency)
    _tell(settings, Run(made, software, started, time.perf_counter() - clock, tuple(results)), told, as_json)


@commands.command("caller")
@grouped
def caller(
    contract: Contract,
    part: Part,
    system: Annotated[str, typer.Option("--system", help="The system whose calls are judged.")],
    told: Told,
    waits: Waits,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Judge the calls that a system makes to this sandbox, step by step. Exit code 1 if a case did not pass."""
    from contracts.base.ids import new_id
    from gateway.cli.common.name_checks import refuse
    from gateway.journal.database import open_engine, snapshot
    from gateway.registry.snapshot import load_snapshot
    from gateway.sandbox.conformance import caller_run, trial
    from gateway.sandbox.conformance.caller_suite import caller_suite
    from gateway.sandbox.conformance.results import Software

    settings = load_instance(data, as_json)
    _check_named(told, as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        systems = load_snapshot(connection).systems
    if system not in systems:
        refuse("system", system, systems, as_json)
    compiled = _contract(settings, contract, as_json)
    wanted = _wanted(part, compiled, "caller", as_json)
    suite = caller_suite(compiled, replace(wanted, kinds=wanted.kinds or ("rest",)))
    place, started = settings.run / trial.FOLDER / system, time.time()
    run = caller_run.begin(
        place, suite, new_id(int(started * 1000)), started, caller_run.Pace(waits.seconds, waits.quiet)
    )
    shown = -1
    while (step := caller_run.asked(suite, run)) is not None:
        if run.number != shown:
            shown = run.number
            typer.echo(f"{step[0]}: {step[1].vi}\n{' ' * len(step[0])}  {step[1].en}", err=True)
        time.sleep(0.2)
        run = caller_run.look(place, suite, run, time.time())
    software = Software(told.software or system, told.version, system, systems[system].agency)
    _tell(settings, caller_run.report(place, suite, run, software), told, as_json)


@commands.command("certificate")
def certificate(
    certificate: Annotated[str, typer.Argument(help="Id of a certificate, as `conform provider --certify` prints it.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file, as JSON.")] = None,
    picture: Annotated[Path | None, typer.Option("--qr", help="Write a QR code that proves it, as SVG.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """A certificate of conformance with its proof, for whoever checks it without the gateway."""
    import json

    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring
    from gateway.sandbox.conformance import certificate as certificates

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    with failures_as_exits(as_json):
        made = certificates.document(engine, Keyring(settings), certificate)
        code = certificates.picture(engine, certificate) if picture is not None else None
    text = json.dumps(made, ensure_ascii=False, indent=1)
    if out is not None:
        out.write_text(f"{text}\n", "utf-8")
    if picture is not None and code is None:
        what = "the proof is too long for a QR code / bằng chứng quá dài cho mã QR"
        fail(Exit.NO, "too-long", what, "Hand the file over. / Hãy giao tệp.", as_json)
    if picture is not None and code is not None:
        picture.write_text(code, "utf-8")
    emit({"ok": True} | made, as_json, text)


def _check_named(told: Told, as_json: bool, *, whole: bool = True) -> None:
    """A certificate is for a whole suite, and names the software."""
    if told.certify and not (whole and told.software and told.version):
        what = "a certificate is for a whole suite, and names the software / chứng nhận dành cho cả bộ kiểm và phần mềm"
        then = "Give --software and --version, without --case. / Nêu --software và --version, không dùng --case."
        fail(Exit.USAGE, "no-software", what, then, as_json)


def _tell(settings: Settings, run: Run, told: Told, as_json: bool) -> None:
    if told.junit is not None:
        told.junit.write_text(run.to_junit(), "utf-8")
    text, certified = _text(run), None
    if told.certify and run.passed:
        certified = _certified(settings, run)
        text += f"\ncertificate / chứng nhận: {certified}"
    emit({"ok": not run.failed, "certificate": certified} | run.to_json(), as_json, text)


def _certified(settings: Settings, run: Run) -> str:
    from gateway.cli.common.actor import actor
    from gateway.journal.database import open_engine
    from gateway.sandbox.conformance import certificate as certificates

    return certificates.enter(open_engine(settings.database_url), run, time.time(), actor())


def _contract(settings: Settings, name: str, as_json: bool) -> CompiledContract:
    from gateway.cli.common.name_checks import refuse
    from gateway.journal.database import open_engine
    from gateway.sandbox.simulation.published import Published

    known = Published(open_engine(settings.database_url))()
    if name not in known:
        refuse("contract", name, known, as_json)
    return known[name]


def _wanted(part: Part, compiled: CompiledContract, role: str, as_json: bool) -> Wanted:
    """A provider is tried for the operations by which the gateway calls one: it takes in the others itself."""
    from gateway.cli.common.name_checks import refuse
    from gateway.sandbox.conformance.suite import Wanted
    from gateway.sandbox.vendors.application import called

    if part.format_name not in compiled.formats:
        refuse("format", part.format_name, compiled.formats, as_json)
    if part.operation is not None and part.operation not in compiled.contract.operations:
        refuse("operation", part.operation, compiled.contract.operations, as_json)
    operations = called(compiled) if role == "provider" else tuple(compiled.contract.operations)
    if not operations or part.operation is not None and part.operation not in operations:
        asked = part.operation or compiled.contract.name
        what = f"no provider is called by {asked} / không bên cung cấp nào được gọi theo {asked}"
        then = f"Operations that call one / Thao tác gọi bên cung cấp: {', '.join(operations) or '–'}"
        fail(Exit.USAGE, "not-called", what, then, as_json)
    kinds = () if part.protocol is None else (part.protocol,)
    return Wanted(kinds, (part.format_name,), operations if part.operation is None else (part.operation,))


def _known(file: Path | None, compiled: CompiledContract, as_json: bool) -> tuple[Known, ...]:
    from contracts.base.errors import Failure
    from gateway.sandbox.conformance.suite import read_known

    if file is None:
        return ()
    try:
        return read_known(compiled, file.read_bytes())
    except (OSError, KeyError, TypeError, ValueError, Failure) as wrong:
        what = f"{file} has no valid questions and answers / không có câu hỏi và câu trả lời hợp lệ ({wrong})"
        then = 'A list of {"operation", "ask", "answer"}. / Một danh sách {"operation", "ask", "answer"}.'
        fail(Exit.USAGE, "no-known", what, then, as_json)


def _target(place: Place, as_json: bool) -> Target:
    from contracts.base.errors import Failure
    from gateway.sandbox.conformance.exchange import target_of

    try:
        return target_of(place.identity, place.url, place.soap)
    except (OSError, KeyError, TypeError, ValueError, Failure) as wrong:
        what = f"{place.identity} is no identity folder / không phải thư mục định danh ({type(wrong).__name__})"
        then = "It has system.json and sign.crt. / Thư mục này có system.json và sign.crt."
        fail(Exit.USAGE, "no-identity", what, then, as_json)


def _text(run: Run) -> str:
    lines = []
    for each in run.results:
        if each.wrong is None:
            continue
        rule = each.case.rule
        lines += [
            f"✗ {each.case.id} ({each.verdict})",
            f"    {each.case.title.vi} / {each.case.title.en}",
            f"    {each.wrong.vi}",
            f"    {each.wrong.en}",
            f"    → {rule.mend.vi}",
            f"    → {rule.mend.en}",
            f"    {rule.source}",
            f"    {each.repeat}",
        ]
    lines += [f"  {each.vi} / {each.en}" for each in run.not_seen]
    counts = run.counts
    lines.append(
        f"{run.suite.contract} {run.software.name} {run.software.version}: {counts['passed']} passed / đạt,"
        f" {counts['failed']} failed / không đạt, {counts['not-judged']} not judged / không xét được"
    )
    return "\n".join(lines)
