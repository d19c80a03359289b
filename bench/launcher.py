"""The command line of a source checkout (`./lgsp`): the gateway's, with the code of `demo`, `bench` and `bundle`."""

from __future__ import annotations

from pathlib import Path

try:
    from gateway.cli import main
    from gateway.cli.checkout import Checkout
except KeyboardInterrupt:  # before there was anything to stop
    raise SystemExit(130) from None


def demo(as_json: bool, keep: Path | None) -> None:
    from bench import demo as story

    story.demo(as_json, keep)


def bench(as_json: bool, quick: bool) -> None:
    from bench import run
    from gateway.cli.common.output import emit

    result = run(quick)
    lines = [
        f"{row['name']}: {row['median']:g} {row['unit']} (± {row['spread']:g})"
        + "".join(f", {ratio:.2f} × {name}" for name, ratio in row["against"].items())
        for row in result["rows"]
    ]
    emit(result, as_json, "\n".join(lines))


def bundle(out: Path, wheels: Path | None, as_json: bool) -> None:
    from tempfile import TemporaryFile

    from bench.bundle import NoBundle
    from bench.bundle import bundle as made
    from gateway.cli.common import arguments
    from gateway.cli.common.output import Exit, emit, fail, not_written

    out = arguments.new_file(out, as_json)
    try:
        with TemporaryFile(dir=out.parent):  # before the packages are fetched, which takes long
            pass
    except OSError as trouble:
        not_written(out.parent, trouble, as_json)
    try:
        done = made(out, wheels)
    except NoBundle as trouble:
        fail(
            Exit.OURS,
            "no-bundle",
            f"the bundle could not be made / không tạo được gói cài đặt: {trouble}",
            "Look to the way to the package index, or name a folder with the wheels of requirements.lock and"
            " requirements-build.lock (--wheels). / Kiểm tra kết nối tới kho gói, hoặc chỉ thư mục có các gói Python"
            " của requirements.lock và requirements-build.lock bằng --wheels.",
            as_json,
        )
    text = (
        f"{done['archive']}: {done['bytes'] / 1e6:.0f} MB, {done['files']} files, {done['wheels']} wheels"
        f" ({done['wheels_bytes'] / 1e6:.0f} MB), for Python {done['python']} on {done['platform']}"
        f" / {done['files']} tệp, {done['wheels']} gói Python, cho Python {done['python']} trên {done['platform']}\n"
        f"SHA-256 of the archive / của tệp này: {done['sha256']}\n"
        f"SHA-256 of its list of all files / của danh sách mọi tệp trong đó (SHA256SUMS): {done['sums']}"
    )
    emit({"ok": True, **done}, as_json, text)


if __name__ == "__main__":
    main(Checkout(demo, bench, bundle))
