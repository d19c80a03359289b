"""`python -m gateway`."""

import sys

try:
    from gateway.cli import main
except KeyboardInterrupt:  # before there was anything to stop
    raise SystemExit(130) from None

if __name__ == "__main__":
    if sys.argv[1:2] == ["forkserver"]:
        from gateway.processes.forkserver import serve  # here alone: Windows, where agents run too, cannot load it

        serve(sys.argv[2:])  # comes back in each child
    main()
