"""``routegen`` and ``python -m routegen``: where the program starts."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line; Ctrl-C ends the program without a traceback even while its modules are loaded."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # else somebody wants it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from routegen.cli import main as run  # noqa: PLC0415 - the modules that are meant

    signal.signal(signal.SIGINT, handler)
    run()


if __name__ == "__main__":
    main()
