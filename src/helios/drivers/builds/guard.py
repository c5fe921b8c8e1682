"""Runs the program of a build, and ends it with all that it started once its server is gone.

A program of its own, started by its path: `python guard.py PROGRAM ARGUMENT...`. A server that is
killed can end nothing, and a build that it leaves behind would go on writing beside the one that
is begun anew, or run for ever. So the server holds the other end of our standard input and never
writes to it; its end is the end of our process group.
"""

import os
import signal
import subprocess
import sys
import threading

NOT_STARTED = 126


def main() -> int:
    """Run the program to its end; ends as it does."""
    # A handler and not SIG_IGN, which the program would inherit: it decides itself how to end.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_watch, daemon=True).start()
    try:
        program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)  # noqa: S603 - declared
    except OSError as error:
        sys.stderr.write(f"{sys.argv[1]}: {error.strerror}\n")
        return NOT_STARTED
    code = program.wait()
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _watch() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
