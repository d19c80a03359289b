"""`python -m gateway`."""

try:
    from gateway.cli import main
except KeyboardInterrupt:  # before there was anything to stop
    raise SystemExit(130) from None

if __name__ == "__main__":
    main()
