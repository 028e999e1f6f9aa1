"""`fotapool` and `python -m fotapool`: the command line, or how to get it."""

from __future__ import annotations

import sys


def main() -> int:
    try:
        from fotapool.cli import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("fotapool"):
            raise
        print(
            f"fotapool: the command line needs {error.name}; install it with: "
            'pip install "fotapool[cli]"',
            file=sys.stderr,
        )
        return 3
    return run()


if __name__ == "__main__":
    sys.exit(main())
