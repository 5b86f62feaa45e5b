"""Run the tests that need a browser, bitcoind or network namespaces: ``make test-system``.

The long forms, marked ``soak`` as well, are run by hand. pytest ends with code 5 where no
test is chosen; that is a failure like any other.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> int:
    """Return the exit code for the shell."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "system and not soak"]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
