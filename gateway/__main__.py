"""`python -m gateway`."""

import sys

try:
    from gateway.cli import main
except KeyboardInterrupt:  # before anything was started
    raise SystemExit(130) from None

if __name__ == "__main__":
    if sys.argv[1:2] == ["forkserver"]:
        from gateway.processes.forkserver import serve  # not at the top: Windows, where agents run, cannot import it

        serve(sys.argv[2:])  # returns in each child
    main()
