"""``python -m torchstat_cli`` is the command ``modelstat``."""

from torchstat_cli.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
