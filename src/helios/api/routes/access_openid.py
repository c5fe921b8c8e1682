"""Signing in at an OpenID provider: there, back, and out.

These are addresses that a browser goes to, so whatever ends badly ends on the sign-in page, which
is told a code alone; the log of the server says more.
"""

import urllib.parse

import structlog

from helios.access import oidc, sessions
from helios.api import cookies, services, web
from helios.api.routes import access_desk as desks
from helios.api.routes import access_sign_in
from helios.kernel import errors

PATH = f"{access_sign_in.PATH}/oidc"
COOKIE = "helios_oidc"
SIGN_IN = "/sign-in"

_FIELDS_MAX = 30
_log = structlog.get_logger("helios.api")


def routes(parts: services.Services) -> list[web.Route]:
    """The operations."""
    desk = _Desk(parts)
    to = web.Parameter("to", "Path of ours to go to afterwards.")
    back = tuple(
        web.Parameter(name, "As the provider has it.") for name in ("code", "state", "iss", "error")
    )
    return [
        _route("start", desk.start, "Go to the OpenID provider to sign in", to),
        _route("callback", desk.callback, "Come back from the OpenID provider", *back),
        _route("logout", desk.logout, "Go to the OpenID provider to sign out there too"),
    ]


def _route(name: str, handler: web.Handler, summary: str, *parameters: web.Parameter) -> web.Route:
    onward = "Onward; a sign-in that failed to `/sign-in?problem=…`."
    return web.Route(
        method="GET",
        path=f"{PATH}/{name}",
        handler=handler,
        summary=summary,
        tag="access",
        replies={303: web.Reply(onward, None)},
        parameters=parameters,
    )


class _Desk(desks.Desk):
    async def start(self, request: web.Request) -> web.Response:
        try:
            given = self.parts.openid
            if given is None:
                raise oidc.SignInError("oidc_off", "nobody signs in by OpenID here")
            to = _query(request).get("to")
            started = await given.start(to, self._ours(request, f"{PATH}/callback"))
        except errors.HeliosError as error:
            return self._failed(error)
        return _onward(started.url, self._cookie(request, started.sealed, oidc.TRANSACTION_S))

    async def callback(self, request: web.Request) -> web.Response:
        gone = self._cookie(request, "", 0)
        try:
            given = self.parts.openid
            if given is None:
                raise oidc.SignInError("oidc_off", "nobody signs in by OpenID here")
            finished = await given.finish(self._kept(request), _query(request))
            signed = await self._opened(request, finished.person)
        except errors.HeliosError as error:
            return self._failed(error, gone)
        session = cookies.signed_in(
            signed, now=self.parts.clock.now(), secure=self.is_secure(request)
        )
        return _onward(finished.to, gone, *session)

    async def logout(self, request: web.Request) -> web.Response:
        home = self._ours(request, SIGN_IN)
        try:
            given = self.parts.openid
            url = None if given is None else await given.end_session_url(home)
        except errors.HeliosError as error:
            return self._failed(error)
        return _onward(url or SIGN_IN)

    async def _opened(self, request: web.Request, person: oidc.Person) -> sessions.Signed:
        try:
            return await self.access.sessions.sign_in_external(
                person.issuer,
                person.subject,
                name=person.name,
                display_name=person.display_name,
                grants=person.grants,
                groups=person.groups,
                where=desks.where(request),
            )
        except errors.UnauthenticatedError as error:
            raise oidc.SignInError("oidc_locked", f"{person.name[:200]!r}: {error}") from None

    def _failed(self, error: errors.HeliosError, *headers: tuple[bytes, bytes]) -> web.Response:
        problem = error.problem if isinstance(error, oidc.SignInError) else "oidc_failed"
        _log.warning("oidc_sign_in_failed", problem=problem, error=str(error))
        return _onward(f"{SIGN_IN}?problem={problem}", *headers)

    def _ours(self, request: web.Request, path: str) -> str:
        return f"{self.parts.address(request.header(b'host'))}{path}"

    def _name(self, request: web.Request) -> str:
        # The prefix keeps others from giving a browser a sign-in of their own to finish.
        return f"__Host-{COOKIE}" if self.is_secure(request) else COOKIE

    def _cookie(self, request: web.Request, value: str, age_s: int) -> tuple[bytes, bytes]:
        # Lax: the browser comes back from another site, and has to bring it along.
        text = f"{self._name(request)}={value}; Path=/; Max-Age={age_s}; SameSite=Lax; HttpOnly"
        return b"set-cookie", (text + ("; Secure" * self.is_secure(request))).encode()

    def _kept(self, request: web.Request) -> str | None:
        wanted = self._name(request)
        text = request.headers().get(b"cookie", b"").decode("latin-1")
        for part in text.split(";"):
            name, _, value = part.strip().partition("=")
            if name == wanted:
                return value
        return None


def _query(request: web.Request) -> dict[str, str]:
    """What came along, unknown names too: providers add some of their own.

    Raises:
        SignInError: it cannot be read, or one name comes twice.
    """
    raw: bytes = request.scope["query_string"]
    try:
        pairs = urllib.parse.parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX
        )
    except ValueError:
        pairs = []
    found = dict(pairs)
    if len(found) != len(pairs) or (raw and not pairs):
        raise oidc.SignInError("oidc_state", "the answer cannot be read")
    return found


def _onward(url: str, *headers: tuple[bytes, bytes]) -> web.Response:
    return web.Response(
        status=303,
        content_type=b"text/plain; charset=utf-8",
        headers=[
            (b"location", url.encode("ascii", "replace")),
            # The code stands in the address that the browser leaves.
            (b"referrer-policy", b"no-referrer"),
            desks.NO_STORE,
            *headers,
        ],
    )
