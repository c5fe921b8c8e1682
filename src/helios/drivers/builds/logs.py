"""Logs of builds, as files: bounded, with secrets masked before a byte is written."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from helios.kernel import errors
from helios.reconcile.builds import ports

HEAD_BYTES_MAX = 1 << 20
"""Bytes kept from the beginning of a build's output. Above: only the end is kept as well."""

TAIL_BYTES = 64 << 10
TAIL_LINES = 20
LOGS_KEPT = 50
"""Newest logs kept of each site."""

MASK = b"***"
SECRET_BYTES_MIN = 4
"""Shorter values are not masked: they would turn the log into stars and protect nothing."""

_CONTROL = re.compile("\x1b\\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Masked:
    """Replaces secrets in a stream, also those that come in two pieces."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        found = sorted({s for s in secrets if len(s) >= SECRET_BYTES_MIN}, key=len, reverse=True)
        self._held = b""
        self._longest = max(map(len, found), default=1)
        self._pattern = re.compile(b"|".join(map(re.escape, found))) if found else None

    def feed(self, data: bytes) -> bytes:
        """What can be written now; the end is held back while a secret may begin there."""
        if self._pattern is None:
            return data
        data = self._held + data
        safe = len(data) - self._longest + 1
        out, at = [], 0
        for match in self._pattern.finditer(data):
            if match.start() >= safe:
                break  # A longer secret may begin here too.
            out += [data[at : match.start()], MASK]
            at = match.end()
        cut = max(at, safe)
        out.append(data[at:cut])
        self._held = data[cut:]
        return b"".join(out)

    def end(self) -> bytes:
        """The rest."""
        rest, self._held = self._held, b""
        return rest if self._pattern is None else self._pattern.sub(MASK, rest)


class FileLog:
    """`ports.Log` in a file."""

    def __init__(self, path: Path, secrets: Iterable[bytes]) -> None:
        self._masked = Masked(secrets)
        self._file = path.open("wb", buffering=0)
        self._written = 0
        self._tail = bytearray()
        self._cut = 0

    def write(self, data: bytes) -> None:
        self._take(self._masked.feed(data))

    def _take(self, data: bytes) -> None:
        room = max(0, HEAD_BYTES_MAX - self._written)
        self._file.write(data[:room])
        self._written += len(data[:room])
        self._cut += len(data) - len(data[:room])
        self._tail += data
        del self._tail[:-TAIL_BYTES]

    def tail(self) -> str:
        # Asked for at the end of the output, when nothing can follow what was held back.
        self._take(self._masked.end())
        text = bytes(self._tail).decode("utf-8", "replace")
        return "\n".join(_CONTROL.sub("", text).splitlines()[-TAIL_LINES:])

    def close(self) -> None:
        self._take(self._masked.end())
        if self._cut:
            left = max(0, self._cut - TAIL_BYTES)
            self._file.write(f"\n… {left} bytes left out …\n".encode() if left else b"")
            self._file.write(bytes(self._tail[-self._cut :]))
        self._file.close()


class FileLogs:
    """`ports.Logs` in a folder.

    Args:
        folder: made when the first build begins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, tenant: str, job: ports.Job) -> FileLog:
        folder = self._of(tenant, job.site.name)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Ids are UUIDv7: their order is that of time.
        for old in sorted(folder.glob("*.log"))[: -LOGS_KEPT + 1]:
            old.unlink(missing_ok=True)
        values = (s.reveal() for s in (*job.secrets.values(), *job.credentials.values()))
        return FileLog(folder / f"{job.build_id}.log", values)

    def read(self, tenant: str, site_name: str, build_id: str) -> bytes:
        path = self._of(tenant, site_name) / f"{Path(build_id).name}.log"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise errors.NotFoundError(
                f"no log of build {build_id[:80]} is kept here: the newest {LOGS_KEPT} of each "
                "site are, on the machine that built it"
            ) from None

    def _of(self, tenant: str, site_name: str) -> Path:
        owner = hashlib.sha256(tenant.encode()).hexdigest()[:16]
        return self._folder / owner / site_name
