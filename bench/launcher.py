"""The command line of a source checkout (`./lgsp`): the gateway's, with the code of `demo` and `bench`."""

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


if __name__ == "__main__":
    main(Checkout(demo, bench))
