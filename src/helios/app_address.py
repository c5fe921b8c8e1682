"""The part of the composition root that knows where this server is, and tells commands of it."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from helios.kernel import settings as config

ADDRESS_FILE = "server.url"
"""Where the server of a folder says its address, so that commands find it."""


class Where:
    """Where others reach this server, as far as that is known.

    Attributes:
        bound: where it listens; None: nowhere yet.
    """

    def __init__(self, settings: config.Settings) -> None:
        self._settings = settings
        self.bound: str | None = None

    def address(self) -> str:
        """Such as `https://helios.example`, without a slash at the end."""
        return address(self._settings, None) if self.bound is None else self.bound


def address(settings: config.Settings, host: str | None) -> str:
    """Where others reach us, as far as it is known; `host` is what the client called us."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    return f"http://{host or f'{settings.host}:{settings.port}'}"


def served_at(data_dir: Path) -> str | None:
    """The address of the server that serves this folder, or did before it was killed."""
    try:
        return (data_dir / ADDRESS_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def url(listener: socket.socket) -> str:
    """The address of a listener."""
    host, port = listener.getsockname()[:2]
    # An address for all interfaces is none to go to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextlib.contextmanager
def told(settings: config.Settings, where: str) -> Iterator[None]:
    """Leave the address in the data folder while we serve it."""
    if settings.database_url is not None:
        yield
        return
    file = settings.data_dir / ADDRESS_FILE
    with contextlib.suppress(OSError):
        file.write_text(where + "\n", encoding="utf-8")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
