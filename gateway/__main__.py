"""`python -m gateway`."""

import sys

try:
    from gateway.cli import main
    from gateway.forkserver import COMMAND, serve
except KeyboardInterrupt:  # before there was anything to stop
    raise SystemExit(130) from None

if __name__ == "__main__":
    if sys.argv[1:2] == [COMMAND]:
        serve(sys.argv[2:])  # comes back in each child
    main()
