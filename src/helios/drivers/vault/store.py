"""Secrets from the environment, from files, and from a folder of their own in the data folder.

A file is read again when it changes, so a secret is rotated by writing it; who mounts secrets into
a container (Kubernetes, Docker) does just that. What is kept here is written beside and moved into
place, readable by this user alone.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from helios.kernel import errors, secret

SECRET_BYTES_MAX = 64 << 10
"""One secret. Above: it is not taken for one."""

FOLDER = "secrets"
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class FolderVault:
    """`kernel.secret.Vault` on this machine.

    Args:
        data_dir: the data folder; secrets are in a folder below it.
        environment: variables.
    """

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self._folder = data_dir / FOLDER
        self._environment = environment
        self._read: dict[Path, tuple[tuple[int, int, int], secret.Secret]] = {}

    def find(self, reference: str) -> secret.Secret:
        kind, _, name = secret.check_reference(reference).partition(":")
        if kind == "env":
            return self._from_environment(name)
        if kind == "file":
            return self._from_file(Path(name), reference, "put it there, readable by this user")
        return self._from_file(
            self._folder / name, reference, f"set it with `helios secrets set {name}`"
        )

    def names(self) -> list[str]:
        """Names of the secrets kept in the data folder, sorted."""
        try:
            return sorted(
                each.name for each in self._folder.iterdir() if not each.name.startswith(".")
            )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(str(self._folder), error, "let this user read it") from error

    def put(self, name: str, value: bytes) -> None:
        """Keep a value under a name, in place of the one that is there.

        Raises:
            InvalidInputError: not a name, or the value is empty or too large.
            StorageError: it cannot be written.
        """
        path = self._folder / secret.check_name(name)
        if not 1 <= len(value) <= SECRET_BYTES_MAX:
            raise errors.InvalidInputError(
                f"a secret has 1 to {SECRET_BYTES_MAX} bytes, this one {len(value)}"
            )
        beside = self._folder / f".{name}.new"
        try:
            self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            self._folder.chmod(_FOLDER_MODE)
            _write(beside, value)
            beside.replace(path)
        except OSError as error:
            raise errors.StorageError(
                f"{self._folder}: the secret cannot be written ({error.strerror}); let this user "
                "write there, or give another --data-dir"
            ) from error

    def remove(self, name: str) -> None:
        """Forget a secret that is kept here.

        Raises:
            NotFoundError: there is none of this name.
        """
        try:
            (self._folder / secret.check_name(name)).unlink()
        except FileNotFoundError:
            raise errors.NotFoundError(f"no secret is kept under {name}") from None
        except OSError as error:
            raise _unreadable(str(self._folder), error, "let this user write there") from error

    def _from_environment(self, name: str) -> secret.Secret:
        value = self._environment.get(name)
        if not value:
            raise errors.StorageError(
                f"env:{name}: the variable is not set where the server runs; set it and start the "
                "server again"
            )
        return secret.Secret(value)

    def _from_file(self, path: Path, reference: str, remedy: str) -> secret.Secret:
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            known = self._read.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            if not stat.S_ISREG(found.st_mode) or found.st_size > SECRET_BYTES_MAX:
                raise errors.StorageError(
                    f"{reference}: not a file of at most {SECRET_BYTES_MAX} bytes; {remedy}"
                )
            value = path.read_bytes()
        except OSError as error:
            self._read.pop(path, None)
            raise _unreadable(reference, error, remedy) from error
        # Editors and `echo` end a file with a line break that is no part of the secret.
        value = value.removesuffix(b"\n").removesuffix(b"\r")
        if not value:
            raise errors.StorageError(f"{reference}: it is empty; {remedy}")
        made = secret.Secret(value)
        self._read[path] = (stamp, made)
        return made


def _write(path: Path, value: bytes) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE)
    with os.fdopen(fd, "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())


def _unreadable(what: str, error: OSError, remedy: str) -> errors.StorageError:
    missing = isinstance(error, FileNotFoundError)
    why = "it is not there" if missing else f"it cannot be read ({error.strerror})"
    return errors.StorageError(f"{what}: {why}; {remedy}")
