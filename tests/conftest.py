"""What all tests share: one running instance a run, for those marked `server`."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import random
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import hypothesis
import pytest
from alembic.util import pyfiles
from connexion.spec import Specification
from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.util import LRUCache

from bench import demo
from bench.demo import demo_settings, running, world_of
from contracts.base import safeyaml
from contracts.compiled import contract
from contracts.compiled.contract import CompiledContract
from examples.story import World
from gateway.console import app as desk_app
from gateway.doors.api import apis
from gateway.doors.api.validation import Checks
from gateway.journal import database as database_module
from gateway.journal import postgresql as postgresql_module
from gateway.keys import keyring
from gateway.sandbox import instance as sandbox
from gateway.settings import Settings
from security import algorithms
from tests import counters, durations, green, lanes, warm
from tests.commandline import told
from tests.journal.databases import database, end_server, fresh_url, sqlite  # noqa: F401  fixtures of every folder
from tests.lanes import ROOT
from tests.registry.making import House

_MORE_FILES = 200
_MORE_OBJECTS = 20_000
_MORE_STATEMENTS = 5_000
_files = {"most": _MORE_FILES}  # a collection takes a second, so what is still open does not count again


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lanes", "given by tests/suite.py")
    group.addoption("--cheapest", action="store_true", help="files run as they are given, not the dearest first")
    group.addoption("--until", type=float, metavar="TIME", help="seconds since 1970: no test begins later")
    group.addoption("--green", type=Path, metavar="FILE", help="notes there which tests have passed")
    group.addoption("--continue", dest="go_on", action="store_true", help="leaves out the files that have passed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The dearest files first, as far as `tests/durations.tsv` knows them: what comes last should be short where two
    share the work. With LGSP_TEST_ORDER=NUMBER the files run in an order drawn by it: files that share an instance must
    hold in any."""
    lanes.mark(items)
    known = {ROOT / path for path in lanes.server_files()}
    if lost := {item.path for item in items if item.get_closest_marker("server")} - known:
        raise pytest.UsageError(f"tests/suite.py would not run these with the other servers: {sorted(lost)}")
    given = sorted({item.path for item in items})  # the same in every worker
    files = sorted(given, key=lambda path: -durations.seconds_of(os.path.relpath(path, ROOT)))
    if seed := os.environ.get("LGSP_TEST_ORDER"):
        files = given
        random.Random(int(seed)).shuffle(files)
    places = {path: place for place, path in enumerate(files)}
    if not config.option.cheapest:
        items.sort(key=lambda item: places[item.path])
    if config.option.go_on and (out := green.leave_out(config.option.green, items)):
        config.hook.pytest_deselected(items=out)


# An example, or drawing it, has no time limit: how long it takes depends on what else the machine does. Values are
# drawn anew in each run; with LGSP_TEST_DRAWS=fixed they are the same until the test changes, so that what fails is
# what was changed.
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    derandomize=os.environ.get("LGSP_TEST_DRAWS") == "fixed",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("suite")


class AtOnce:
    """Names each failure when it comes: a run of everything takes long."""

    def __init__(self, config: pytest.Config) -> None:
        self._plugins: Final = config.pluginmanager

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._plugins.getplugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\nFAILED {report.nodeid}, {report.when}: {report.longreprtext[-1500:]}")


def pytest_configure(config: pytest.Config) -> None:
    """A shell ignores the interrupt for what it starts in the background, and all children would inherit that: tests
    that interrupt a command would wait for it in vain."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(AtOnce(config))
        if config.option.green:
            config.pluginmanager.register(green.Noting(config.option.green))
    counters.install()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What a collection of tests makes stays until the end: no collection of garbage has to go through it, neither now
    nor later, here or in a forked child."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(_MORE_OBJECTS)  # by default 2,000: a tenth of the time went into it
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    counters.begin(item)
    if item.config.option.until and time.time() > item.config.option.until:
        pytest.skip(durations.NOT_REACHED)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        counters.end(item)
        _close_files()


def _close_files() -> None:
    """Engines that commands leave to the end of their process wait here for a full collection, which is rare in a
    process as large as this one. Their files are closed before there are too many."""
    if Path("/proc/self/fd").exists() and len(os.listdir("/proc/self/fd")) > _files["most"]:
        gc.collect()
        _files["most"] = len(os.listdir("/proc/self/fd")) + _MORE_FILES


def pytest_unconfigure() -> None:
    end_server()


@pytest.fixture(scope="session", autouse=True)
def catalogue() -> list[CompiledContract]:
    """The catalogue, held compiled as a door holds it: else each test that reads a registry would compile it anew."""
    return contract.catalogue()


@pytest.fixture(scope="session", autouse=True)
def rsa_keys() -> Iterator[None]:
    """Each run of tests makes its keys, but not each of its hundreds of instances new RSA keys: those of the first do
    for all, of its systems and of the gateway. What an instance makes later is new."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "rsa_keys", cache(sandbox.rsa_keys))
        patch.setattr(sandbox, "make_keys", _make_keys)
        yield


_new_private, _first_keys = algorithms.new_private, keyring.make_keys
_rsa_key = cache(_new_private)


def _make_keys(settings: Settings, now: float, *, hosts: Sequence[str]) -> None:
    def kept(kind: algorithms.KeyType = "P-256") -> algorithms.PrivateKey:
        return (_rsa_key if kind == "RSA-3072" else _new_private)(kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algorithms, "new_private", kept)
        _first_keys(settings, now, hosts=hosts)


@pytest.fixture(scope="session", autouse=True)
def revisions() -> Iterator[None]:
    """The modules of the revisions of the tables are loaded once a run: each migration loaded all of them, twice."""
    load = pyfiles.load_module_py
    once = cache(load)

    def kept(name: str, path: str | os.PathLike[str]) -> object:
        return (once if Path(path).parent.name == "versions" else load)(name, str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyfiles, "load_module_py", kept)
        yield


@pytest.fixture(scope="session", autouse=True)
def documents() -> Iterator[None]:
    """The documents of our APIs are read, merged, checked and compiled once a run. Hundreds of tests build the
    applications of them, and each build did all of that anew: most of what such a test cost. Nothing changes a merged
    document, and those that a test makes are its own."""
    read, merge, load, compile_ = cache(_pickled), apis.merge, Specification.load, Checks.compile
    kept: dict[tuple[Path | str, ...], dict[str, Any]] = {}
    ours, loaded, compiled = set[int](), dict[int | bytes, Specification](), dict[int, Checks]()

    def merged(documents: Sequence[Path], listener: str) -> dict[str, Any]:
        key: tuple[Path | str, ...] = (*documents, listener)
        if key not in kept:
            kept[key] = merge(documents, listener)
            ours.update(map(id, (kept[key], *(each for item in kept[key]["paths"].values() for each in item.values()))))
        return kept[key]

    def once(document: dict[str, Any], **given: Any) -> Specification:
        name = id(document) if id(document) in ours else hashlib.sha256(pickle.dumps(document)).digest()
        if name not in loaded:
            loaded[name] = load(document, **given)
        return loaded[name]

    def checked(operation: dict[str, Any], resolve: Any) -> Checks:
        if id(operation) not in ours:
            return compile_(operation, resolve)
        return compiled.get(id(operation)) or compiled.setdefault(id(operation), compile_(operation, resolve))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apis, "safeyaml", SimpleNamespace(load=lambda text: pickle.loads(read(text))))
        patch.setattr(apis, "merge", merged)
        patch.setattr(desk_app, "merge", merged)
        patch.setattr(Specification, "load", once)
        patch.setattr(Checks, "compile", checked)
        yield


def _pickled(text: str) -> bytes:
    """So that each reader has objects of its own."""
    return pickle.dumps(safeyaml.load(text))


@pytest.fixture(scope="session", autouse=True)
def commands() -> Iterator[None]:
    """A command that a test gives to an instance is a fork of the test: in an interpreter of its own each would take a
    second to start. The story (`tests/story/test_story.py`) gives its commands as anybody would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(World, "lgsp", told)
        yield


@pytest.fixture(scope="session", autouse=True)
def programs() -> Iterator[None]:
    """An instance that a test runs is a fork of a process that has loaded it (`tests/warm.py`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "start", warm.start)
        yield
    warm.end()


@pytest.fixture(scope="session", autouse=True)
def statements() -> Iterator[None]:
    """What a statement is in the words of a database is the same for every database of its kind: hundreds of tests have
    one of their own, and each made the words of all its statements anew."""
    made: dict[str, Compiled] = {}

    def opened(url: URL | str, **given: Any) -> Engine:
        engine = create_engine(url, **given)
        engine._compiled_cache = made.setdefault(engine.dialect.name, Compiled(_MORE_STATEMENTS))
        return engine

    with pytest.MonkeyPatch.context() as patch:
        for module in (database_module, postgresql_module):
            patch.setattr(module, "create_engine", opened)
        yield


class Compiled(LRUCache[Any, Any]):
    """The key of a statement begins with the dialect of its engine, of which each engine has its own."""

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        super().__setitem__(key[1:], value)


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Authorities whose certificates are valid now, and a folder for the keys that they certify."""
    return House.make(tmp_path_factory.mktemp("keys"), time.time())


@pytest.fixture(scope="session")
def instance(instance_on_sqlite: Settings) -> Settings:
    """A sandbox in real processes: doors, keeper, desk, stand-ins (one of them down)."""
    return instance_on_sqlite


@pytest.fixture(scope="session")
def instance_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with _shared(tmp_path_factory.mktemp("instance"), "sqlite") as settings:
        yield settings


@pytest.fixture(scope="session")
def instance_on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with _shared(tmp_path_factory.mktemp("instance"), "postgresql") as settings:
        yield settings


@contextmanager
def _shared(folder: Path, kind: str) -> Iterator[Settings]:
    settings = demo_settings(folder / "data")
    if kind == "postgresql":
        settings = replace(settings, database=fresh_url(kind, folder))
    # A provider that a test plays may be slow on a busy machine, and is on this host.
    settings = replace(settings, provider_seconds=12.0, body_seconds=60.0, push_networks="127.0.0.0/8")
    with running(settings) as settings:
        yield settings


@pytest.fixture(scope="session")
def world(instance: Settings) -> World:
    made: World = world_of(instance)
    return made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a test that needs an instance of its own puts it."""
    return tmp_path / "data"
