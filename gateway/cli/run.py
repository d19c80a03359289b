"""Running an instance, and the processes that it consists of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.base import Data, Fd, Json, Pipe, app, load_instance, load_settings
from gateway.commands.output import failures_told


@app.command()
def up(
    data: Data = None,
    json: Json = False,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Sandbox: leave out a stand-in system, or `traffic`.")
    ] = None,
) -> None:
    """Run an instance; make a sandbox with a whole province first, if there is none."""
    from gateway.commands import run

    with failures_told(json):
        run.up(load_settings(data, json), json, frozenset(without or ()))


@app.command()
def demo(
    json: Json = False,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep the demo's instance in this (empty or missing) folder.")
    ] = None,
) -> None:
    """Run the story end to end against an instance of its own; exit 0 only if every step held."""
    from gateway.commands import demo as command

    with failures_told(json):
        command.demo(json, keep)


@app.command()
def bench(
    json: Json = False,
    quick: Annotated[bool, typer.Option("--quick", help="Short rounds: a minute instead of several.")] = False,
) -> None:
    """Measure the secured exchange against the plain stack of the same packages, in one run."""
    from gateway.commands import bench as command

    command.bench(json, quick)


@app.command()
def doctor(data: Data = None, json: Json = False) -> None:
    """Look at an instance without changing it: files and keys, certificates, addresses, proxies, database, disk; say what is weak, why, and what to do."""
    from gateway.commands import doctor as command

    with failures_told(json):
        command.doctor(load_instance(data, json), json)


@app.command(hidden=True)
def door(
    fd: Fd,
    data: Data = None,
    lifeline: Pipe = None,
    ready: Pipe = None,
    edge_fd: Annotated[int | None, typer.Option("--edge-fd")] = None,
    edge_socket_fd: Annotated[int | None, typer.Option("--edge-socket-fd")] = None,
) -> None:
    """One door process, on inherited sockets."""
    from gateway.processes.door import Listeners, run_door

    run_door(load_settings(data), Listeners(fd, edge_fd, edge_socket_fd), lifeline, ready)


@app.command(hidden=True)
def desk(fd: Fd, data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """The people's listener, on an inherited socket."""
    from gateway.processes.desk import run_desk

    run_desk(load_settings(data), fd, lifeline, ready)


@app.command(hidden=True)
def keeper(data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """The keeper: sequencer, delivery, recovery."""
    from gateway.processes.keeper import run_keeper

    run_keeper(load_settings(data), lifeline, ready)


@app.command(hidden=True)
def files(data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """Takes up what systems drop into their folders."""
    from gateway.processes.files import run_files

    run_files(load_settings(data), lifeline, ready)


@app.command(hidden=True)
def standin(name: str, data: Data = None, lifeline: Pipe = None, ready: Pipe = None) -> None:
    """One stand-in system of the sandbox."""
    from gateway.sandbox import live

    raise SystemExit(live.run_standin(load_settings(data), name, lifeline, ready))


@app.command(hidden=True)
def traffic(data: Data = None, lifeline: Pipe = None, ready: Pipe = None, every: float = 3.0) -> None:
    """A little traffic of the sandbox's systems."""
    from gateway.sandbox import live

    raise SystemExit(live.run_traffic(load_settings(data), lifeline, ready, every))
