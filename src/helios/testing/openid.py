"""A real OpenID provider of one's own, and a browser without pictures that signs in there."""

from collections.abc import Sequence
from html import parser
from pathlib import Path
from urllib import parse as urls

import httpx

from helios.testing import components


class Provider(components.Server):
    """An OpenID provider in a folder; a context manager that runs it.

    It knows `ada` (groups `helios-admins` and `staff`), `olga` (`acme-ops` and `staff`) and `nina`
    (`staff`); all have the password `password`.
    """

    def __init__(self, folder: Path) -> None:
        """Describe it; `folder` is where its keys and clients live."""
        super().__init__("oidc-provider", folder)

    @property
    def issuer(self) -> str:
        """How it names itself."""
        return str(self.about["issuer"])

    @property
    def password(self) -> str:
        """Of everybody, and what lets register clients."""
        return str(self.about["admin_password"])

    def register(
        self, redirect: str, *, method: str = "client_secret_basic", algorithm: str = "RS256"
    ) -> tuple[str, str | None]:
        """Make a client known to it; returns its id and its secret.

        Args:
            redirect: where it sends browsers; signed out they come to `/sign-in` of the same host.
            method: how the client shows its secret; `none`: it has none.
            algorithm: how ID tokens for it are signed.
        """
        told = {
            "redirect_uris": [redirect],
            "post_logout_redirect_uris": [urls.urljoin(redirect, "/sign-in")],
            "token_endpoint_auth_method": method,
            "id_token_signed_response_alg": algorithm,
            "scope": "openid profile groups",
        }
        headers = {"Authorization": f"Bearer {self.password}"}
        answer = httpx.post(f"{self.issuer}/reg", json=told, headers=headers, timeout=30)
        if answer.status_code != httpx.codes.CREATED:
            raise components.ComponentError(answer.text)
        made = answer.json()
        return made["client_id"], made.get("client_secret")

    def rotate(self) -> None:
        """Have it sign with new keys from now on, and forget the old ones."""
        headers = {"Authorization": f"Bearer {self.password}"}
        httpx.post(f"{self.issuer}/rotate", headers=headers, timeout=30).raise_for_status()


class _Form(parser.HTMLParser):
    action = ""

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.action = dict(attrs).get("action") or ""


def browser() -> httpx.Client:
    """Somebody's browser: keeps cookies, goes where it is sent only when told to."""
    return httpx.Client(timeout=30)


def walk(jar: httpx.Client, url: str, *, until: str) -> httpx.Response:
    """Go to an address and wherever one is sent from there.

    Args:
        jar: the browser.
        url: where to begin.
        until: an address that begins so is not gone to.

    Returns:
        The last answer: a page, or what sends to `until`.
    """
    answer = jar.get(url)
    for _ in range(10):
        if not answer.is_redirect:
            return answer
        onward = urls.urljoin(str(answer.url), answer.headers["location"])
        if onward.startswith(until):
            return answer
        answer = jar.get(onward)
    raise AssertionError(f"sent round in circles, last to {answer.headers.get('location')}")


def sign_in(
    jar: httpx.Client, url: str, *, until: str, name: str, password: str, back: bool = False
) -> str:
    """Sign in at the provider.

    Args:
        jar: the browser.
        url: where it was sent.
        until: the address where the provider sends it afterwards.
        name: as typed into the form.
        password: likewise.
        back: press the button that turns back.

    Returns:
        The address, with what it brings along.
    """
    page = walk(jar, url, until=until)
    if not page.is_redirect:
        form = _Form()
        form.feed(page.text)
        typed = {"name": name, "password": password, **({"back": "1"} if back else {})}
        answer = jar.post(urls.urljoin(str(page.url), form.action), data=typed)
        if not answer.is_redirect:
            raise AssertionError(f"{answer.status_code}: {answer.text[:500]}")
        onward = urls.urljoin(str(answer.url), answer.headers["location"])
        page = walk(jar, onward, until=until)
    return urls.urljoin(str(page.url), page.headers["location"])
