"""How the client shows who it is: by a token, or by a session that it keeps going."""

import contextlib
import http.cookies
import os
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import httpx
import msgspec

from helios.kernel import errors

REFRESH_PATH = "/api/v1/auth/refresh"
_PREFIXES = ("", "__Host-")
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """A session as a program keeps it.

    Attributes:
        url: of the server that gave them.
        access: shows who it is, for minutes.
        refresh: gets the next ones, once.
    """

    url: str
    access: str
    refresh: str

    def __repr__(self) -> str:
        return f"Tokens({self.url})"


def received(url: str, answer: httpx.Response) -> Tokens | None:
    """The session that an answer brings; None: it brings none."""
    found: dict[str, str] = {}
    for header in answer.headers.get_list("set-cookie"):
        cookie: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        with contextlib.suppress(http.cookies.CookieError):
            cookie.load(header)
        for prefix in _PREFIXES:
            for name in ("helios_access", "helios_refresh"):
                if f"{prefix}{name}" in cookie:
                    found[name] = cookie[f"{prefix}{name}"].value
    access, refresh = found.get("helios_access"), found.get("helios_refresh")
    return Tokens(url=url, access=access, refresh=refresh) if access and refresh else None


class Bearer(httpx.Auth):
    """Shows one token.

    Args:
        token: of a service, or of a session that nobody keeps going.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


class Kept(httpx.Auth):
    """Shows a session, and refreshes it when it has to.

    Args:
        load: reads the tokens: another program may have refreshed them meanwhile.
        save: keeps new ones.
    """

    requires_response_body = False

    def __init__(self, load: Callable[[], Tokens | None], save: Callable[[Tokens], None]) -> None:
        self._load = load
        self._save = save

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        tokens = self._load()
        if tokens is None:
            yield request
            return
        request.headers["authorization"] = f"Bearer {tokens.access}"
        answer = yield request
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            return
        now = self._load() or tokens
        if now.access == tokens.access:
            # The cookie of the server is what keeps the way to the next tokens apart from others.
            url = request.url.copy_with(raw_path=REFRESH_PATH.encode())
            # By both names: whether the server is reached by https, it knows.
            cookies = f"helios_refresh={now.refresh}; __Host-helios_refresh={now.refresh}"
            renewed = yield httpx.Request("POST", url, headers={"cookie": cookies})
            found = received(now.url, renewed)
            if renewed.status_code != httpx.codes.OK or found is None:
                yield request
                return
            self._save(found)
            now = found
        request.headers["authorization"] = f"Bearer {now.access}"
        yield request


class File:
    """A session in a file that only its owner can read.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Tokens | None:
        """The session; None: there is none, or it cannot be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Tokens)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, tokens: Tokens) -> None:
        """Keep a session in place of the one before.

        Raises:
            StorageError: it cannot be written.
        """
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(beside, flags, _FILE_MODE), "wb") as file:
                file.write(msgspec.json.encode(tokens))
            beside.replace(self._path)
        except OSError as error:
            raise errors.StorageError(
                f"{self._path}: the session cannot be kept ({error.strerror})"
            ) from error

    def forget(self) -> None:
        """Keep none."""
        with contextlib.suppress(OSError):
            self._path.unlink()


async def silent(request: httpx.Request) -> None:
    """Have a request say nothing of who asks but what its token says."""
    request.headers.pop("helios-actor", None)
