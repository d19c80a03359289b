"""`lgsp conform`: whether a system keeps a contract and the wire profile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from gateway.cli.common.options import AsJson, Data, grouped, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from contracts.compiled.contract import CompiledContract
    from gateway.sandbox.conformance.exchange import Target
    from gateway.sandbox.conformance.results import Result, Run
    from gateway.sandbox.conformance.suite import Wanted
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
    """What is tried, and the report."""

    software: Annotated[str, typer.Option("--software", help="Name of the software, for the report.")] = ""
    version: Annotated[str, typer.Option("--version", help="Its version.")] = ""
    case: Annotated[str, typer.Option("--case", help="One case alone, or those whose id begins so.")] = ""
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Calls at a time.")] = 8
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, max=60, help="For each answer.")] = 10.0
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the report as JUnit XML too.")] = None


@commands.command("suite")
@grouped
def suite(
    contract: Contract,
    part: Part,
    role: Annotated[Literal["provider"], typer.Option("--role", help="Who is tried.")] = "provider",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print the suite of a contract as YAML: what is sent, what is expected, by which rule."""
    compiled = _contract(load_instance(data, as_json), contract, as_json)
    from gateway.sandbox.conformance.suite import provider_suite

    made = provider_suite(compiled, _wanted(part, compiled, as_json))
    emit({"ok": True} | made.to_json(), as_json, made.to_yaml().rstrip("\n"))


@commands.command("provider")
@grouped
def provider(
    contract: Contract, part: Part, place: Place, told: Told, data: Data = None, as_json: AsJson = False
) -> None:
    """Call a system as the gateway would, case by case. Exit code 1 if a case did not pass."""
    from gateway.cli.common.progress import progress
    from gateway.keys.keyring import Keyring
    from gateway.sandbox.conformance.exchange import GatewayKeys
    from gateway.sandbox.conformance.provider import Bounds, ProviderRun
    from gateway.sandbox.conformance.results import Run, Software
    from gateway.sandbox.conformance.suite import provider_suite

    settings = load_instance(data, as_json)
    compiled = _contract(settings, contract, as_json)
    made = provider_suite(compiled, _wanted(part, compiled, as_json))
    chosen = list(made.chosen(told.case))
    if not chosen:
        what = "no case has this id / không có trường hợp nào mang mã này"
        fail(Exit.USAGE, "no-case", what, "`lgsp conform suite` lists them. / `lgsp conform suite` liệt kê.", as_json)
    target = _target(place, as_json)
    running = ProviderRun(compiled, target, GatewayKeys.of(Keyring(settings)), Bounds(told.parallel, told.seconds))
    started, clock = time.time(), time.perf_counter()
    with progress(as_json) as bar:
        task = bar.add_task(contract, len(chosen))

        def tick(done: int, of: int, newest: Result) -> None:
            bar.update(task, completed=done)

        results = asyncio.run(running.run(chosen, tick))
    agency = target.caller.partition("/")[0]
    software = Software(told.software or target.endpoint.system, told.version, target.endpoint.system, agency)
    run = Run(made, software, started, time.perf_counter() - clock, tuple(results))
    if told.junit is not None:
        told.junit.write_text(run.to_junit(), "utf-8")
    emit({"ok": not run.failed} | run.to_json(), as_json, _text(run))


def _contract(settings: Settings, name: str, as_json: bool) -> CompiledContract:
    from gateway.cli.common.name_checks import refuse
    from gateway.journal.database import open_engine
    from gateway.sandbox.simulation.published import Published

    known = Published(open_engine(settings.database_url))()
    if name not in known:
        refuse("contract", name, known, as_json)
    return known[name]


def _wanted(part: Part, compiled: CompiledContract, as_json: bool) -> Wanted:
    from gateway.cli.common.name_checks import refuse
    from gateway.sandbox.conformance.suite import Wanted

    if part.format_name not in compiled.formats:
        refuse("format", part.format_name, compiled.formats, as_json)
    if part.operation is not None and part.operation not in compiled.contract.operations:
        refuse("operation", part.operation, compiled.contract.operations, as_json)
    kinds = () if part.protocol is None else (part.protocol,)
    return Wanted(kinds, (part.format_name,), () if part.operation is None else (part.operation,))


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
    counts = run.counts
    lines.append(
        f"{run.suite.contract} {run.software.name} {run.software.version}: {counts['passed']} passed / đạt,"
        f" {counts['failed']} failed / không đạt, {counts['not-judged']} not judged / không xét được"
    )
    return "\n".join(lines)
