"""`lgsp demo`: starts an instance on free ports, runs the story of `examples.story` against it, and ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from bench.ports import free_ports
from examples import story
from gateway.cli import run
from gateway.cli.common import arguments
from gateway.cli.common.output import emit
from gateway.sandbox import live
from gateway.settings import PREFIX, Settings

_WITHOUT = frozenset({"truong-ha", "traffic"})  # one provider is down in the story, and only the story calls


def demo(as_json: bool, keep: Path | None) -> None:
    """Run and print: `{"ok", "steps": [{"name", "ok", "ms", "detail"}], "audit": {"size", "verified"}}`."""
    if keep is not None:
        arguments.empty_folder(keep, as_json)
    steps: list[dict[str, Any]] = []
    with _folder(keep) as folder, running(demo_settings(folder / "data")) as settings:
        world = world_of(settings)
        for step in story.run(world):
            steps.append({"name": step.name, "ok": step.ok, "ms": step.ms, "detail": step.detail})
            if not as_json:
                print(f"  {'✓' if step.ok else '✗'} {step.name}  ({step.ms} ms)\n      {step.detail}", flush=True)
    ok = bool(steps) and all(step["ok"] for step in steps)
    verified = next((step["ok"] for step in steps if step["name"] == "the log verifies"), False)
    result = {"ok": ok, "steps": steps, "audit": {"size": world.remembered.get("size", 0), "verified": verified}}
    emit(
        result,
        as_json,
        f"\n{sum(step['ok'] for step in steps)} of {len(steps)} steps held, "
        f"{sum(step['ms'] for step in steps) / 1000:.1f} s",
    )


def world_of(settings: Settings) -> story.World:
    """The instance in the form that the story uses."""
    command = [sys.executable, "-m", "gateway"]
    return story.World(
        data=settings.data, identities=settings.identities, command=command, standins=live.addresses(settings)
    )


def demo_settings(data: Path) -> Settings:
    """A sandbox on free ports, with one door a core and short pauses. Settings of the environment do not apply.

    Limits of time are for a machine that is busy with something else: nothing here is slow of itself.
    """
    exchange, desk = free_ports(2)
    settings = replace(Settings(data), exchange_port=exchange, desk_port=desk, origin="localhost/lgsp-demo")
    return replace(settings, provider_seconds=5.0, database_seconds=20.0, drain_seconds=0.5, file_seconds=0.3)


def start(
    words: Sequence[str], *, err: IO[bytes], environment: Mapping[str, str], out: IO[bytes] | None = None
) -> subprocess.Popen[str]:
    """`lgsp words…` in an interpreter of its own. `out`: None for a pipe."""
    command = [sys.executable, "-m", "gateway", *words]
    return subprocess.Popen(command, stdout=out or subprocess.PIPE, stderr=err, text=True, env=environment)


@contextmanager
def running(settings: Settings, without: frozenset[str] = _WITHOUT) -> Iterator[Settings]:
    """Run the instance in processes of its own, as `lgsp up` does, until the block ends."""
    run.ensure_instance(settings, say_progress=False)
    words = ["up", "--json", "--data", str(settings.data)]
    for name in sorted(without):
        words += ["--without", name]
    log = settings.data / "demo.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    with log.open("wb") as err:
        process = start(words, err=err, environment=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line or not json.loads(line)["ok"]:
            raise RuntimeError(f"the instance did not start: {line}{log.read_text('utf-8', 'replace')[-2000:]}")
        yield settings
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="lgsp-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
