"""`lgsp demo`, `lgsp bench` and `lgsp bundle`, whose code is in the source checkout alone. `./lgsp` hands it in
(`bench/launcher.py`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gateway.cli.common.options import AsJson
from gateway.cli.common.output import Exit, fail

top = typer.Typer()


class Checkout(NamedTuple):
    """What only a checkout can run."""

    demo: Callable[[bool, Path | None], None]
    bench: Callable[[bool, bool], None]
    bundle: Callable[[Path, Path | None, bool], None]


@top.command()
def demo(
    context: typer.Context,
    as_json: AsJson = False,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="Keep the demo's instance in `data` of this (empty or missing) folder."),
    ] = None,
) -> None:
    """Run the story end to end against an instance of its own; exit 0 only if every step held."""
    _checkout(context, as_json).demo(as_json, keep)


@top.command()
def bench(
    context: typer.Context,
    as_json: AsJson = False,
    quick: Annotated[bool, typer.Option("--quick", help="Short rounds: a minute instead of several.")] = False,
) -> None:
    """Measure the secured exchange against the plain stack of the same packages, in one run."""
    _checkout(context, as_json).bench(as_json, quick)


@top.command()
def bundle(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="The archive to write, such as lgsp.tar.")],
    as_json: AsJson = False,
    wheels: Annotated[
        Path | None,
        typer.Option(
            "--wheels",
            help="A folder with the wheels of requirements.lock and requirements-build.lock, "
            "in place of the package index.",
        ),
    ] = None,
) -> None:
    """Write one archive for machines without a network: program, all packages of the lock, install.sh, units, docs,
    checksums. It is for the Python and the platform that make it."""
    _checkout(context, as_json).bundle(out, wheels, as_json)


def _checkout(context: typer.Context, as_json: bool) -> Checkout:
    if isinstance(context.obj, Checkout):
        return context.obj
    fail(
        Exit.USAGE,
        "checkout-only",
        "this command is part of the source checkout, not of the installed package"
        " / lệnh này chỉ có trong mã nguồn, không có trong gói đã cài đặt",
        "Unpack the source distribution or clone the repository of this version, then run there: ./lgsp "
        f"{context.info_name}"
        " / Giải nén gói mã nguồn hoặc sao chép kho mã nguồn của phiên bản này, rồi chạy tại đó: ./lgsp "
        f"{context.info_name}",
        as_json,
    )
