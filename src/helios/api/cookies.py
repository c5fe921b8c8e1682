"""The cookies of a session: what a browser keeps of it, and who may read that.

Scripts of our page can read only the one that shows that they are ours. Over https every name gets
the prefix by which browsers refuse cookies that were set by anybody else, neighbours included.
"""

import enum

from helios.access import sessions
from helios.api import web
from helios.kernel import clock as clocks

ACCESS = "helios_access"
REFRESH = "helios_refresh"
CSRF = "helios_csrf"
REFRESH_PATH = "/api/v1/auth"
"""Where browsers bring the refresh token; over https everywhere, as its prefix wants it."""

_HOST = "__Host-"


class _Readable(enum.Enum):
    BY_SCRIPTS = ""
    BY_NOBODY = "; HttpOnly"


def signed_in(
    signed: sessions.Signed, *, now: clocks.Timestamp, secure: bool
) -> list[tuple[bytes, bytes]]:
    """Headers that have a browser keep a session.

    Args:
        signed: the session.
        now: to say how long cookies live.
        secure: whether the browser reaches us by https.
    """
    access_s = max(1, (signed.expires_at - now) // clocks.SECOND_US)
    session_s = max(1, (signed.session_ends_at - now) // clocks.SECOND_US)
    return _cookies(
        (signed.access_token, signed.refresh_token, signed.csrf),
        (access_s, session_s, session_s),
        secure=secure,
    )


def signed_out(*, secure: bool) -> list[tuple[bytes, bytes]]:
    """Headers that have a browser forget a session."""
    return _cookies(("", "", ""), (0, 0, 0), secure=secure)


def read(request: web.Request, name: str, *, secure: bool) -> str | None:
    """The value of one of our cookies that a request brings; of several the first.

    Over https only one with the prefix: any other a neighbour under the same domain may have set,
    to have somebody act in a session that is not his own.
    """
    text = request.headers().get(b"cookie")
    if text is None:
        return None
    wanted = f"{_HOST}{name}" if secure else name
    for part in text.decode("latin-1").split(";"):
        found, _, value = part.strip().partition("=")
        if found == wanted:
            return value
    return None


def _cookies(
    values: tuple[str, str, str], ages_s: tuple[int, int, int], *, secure: bool
) -> list[tuple[bytes, bytes]]:
    access, refresh, csrf = values
    return [
        _cookie(ACCESS, access, "/", ages_s[0], _Readable.BY_NOBODY, secure=secure),
        _cookie(
            REFRESH,
            refresh,
            "/" if secure else REFRESH_PATH,
            ages_s[1],
            _Readable.BY_NOBODY,
            secure=secure,
        ),
        _cookie(CSRF, csrf, "/", ages_s[2], _Readable.BY_SCRIPTS, secure=secure),
    ]


def _cookie(
    name: str, value: str, path: str, age_s: int, readable: _Readable, *, secure: bool
) -> tuple[bytes, bytes]:
    prefix = _HOST if secure else ""
    text = (
        f"{prefix}{name}={value}; Path={path}; Max-Age={age_s}; SameSite=Strict"
        f"{readable.value}{'; Secure' if secure else ''}"
    )
    return b"set-cookie", text.encode("ascii")
