"""The client's methods for signing in, users, service tokens and sessions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.api.routes import access_people as people
from helios.api.routes import access_sign_in as signing
from helios.calls import base, credentials


class AccessCalls(base.Calls):
    """Who may do what."""

    url: str

    async def sign_in(self, name: str, password: str) -> tuple[signing.Me, credentials.Tokens]:
        """Open a session by name and password.

        Raises:
            UnauthenticatedError: name or password are not right.
            LimitedError: too many tries failed.
        """
        return await self._signed("login", {"name": name, "password": password})

    async def sign_in_by_link(self, token: str) -> tuple[signing.Me, credentials.Tokens]:
        """Open a session by the secret of the one-time link. Raises as `sign_in`."""
        return await self._signed("link", {"token": token})

    async def sign_out(self) -> signing.SignedOut:
        """Close the session that the client shows."""
        return await self._send(signing.SignedOut, "POST", f"{signing.PATH}/logout")

    async def me(self) -> signing.Me:
        """Who the client is. Raises UnauthenticatedError for nobody."""
        return await self._get(signing.Me, f"{signing.PATH}/me")

    async def sign_in_methods(self) -> signing.Methods:
        """How one can sign in."""
        return await self._get(signing.Methods, f"{signing.PATH}/methods")

    async def issue_link(self) -> signing.IssuedLink:
        """Make a link that signs in as administrator, once; one before counts no more."""
        return await self._send(signing.IssuedLink, "POST", f"{signing.PATH}/links")

    async def users(self) -> people.UserList:
        """The users whom one manages."""
        return await self._get(people.UserList, people.USERS)

    async def user(self, user: str) -> people.UserView:
        """One user, by id or name."""
        return await self._get(people.UserView, _path(people.USERS, user))

    async def invite_user(
        self,
        name: str,
        grants: Sequence[Mapping[str, str]],
        *,
        display_name: str = "",
        groups: Sequence[str] = (),
        password: str | None = None,
    ) -> people.UserView:
        """Add a local user; a grant is `{"role": …, "tenant": …, "environment": …}`."""
        asked: dict[str, Any] = {
            "name": name,
            "grants": list(grants),
            "display_name": display_name,
            "groups": list(groups),
        }
        if password is not None:
            asked["password"] = password
        return await self._send(people.UserView, "POST", people.USERS, json=asked)

    async def change_user(self, user: str, **changes: Any) -> people.UserView:
        """Change what is given of `display_name`, `grants`, `groups` and `disabled`."""
        path = _path(people.USERS, user)
        return await self._send(people.UserView, "PATCH", path, json=changes)

    async def remove_user(self, user: str) -> people.Ended:
        """Remove a user; all sessions end."""
        return await self._send(people.Ended, "DELETE", _path(people.USERS, user))

    async def set_password(self, user: str, new: str, *, old: str | None = None) -> people.Ended:
        """Set a password; who changes his own has to know the old one."""
        path = f"{_path(people.USERS, user)}/password"
        return await self._send(people.Ended, "POST", path, json={"new": new, "old": old})

    async def service_tokens(self) -> people.TokenList:
        """The service tokens that one manages."""
        return await self._get(people.TokenList, people.TOKENS)

    async def issue_token(
        self,
        name: str,
        grants: Sequence[Mapping[str, str]],
        *,
        expires_in_s: float | None = None,
    ) -> people.IssuedToken:
        """Issue a service token; its secret is shown only now."""
        asked = {"name": name, "grants": list(grants), "expires_in_s": expires_in_s}
        return await self._send(people.IssuedToken, "POST", people.TOKENS, json=asked)

    async def revoke_token(self, token_id: str) -> people.Ended:
        """End a service token."""
        return await self._send(people.Ended, "DELETE", _path(people.TOKENS, token_id))

    async def sessions(self, user: str | None = None) -> people.SessionList:
        """Where one is signed in, and those whom one manages."""
        return await self._get(people.SessionList, people.SESSIONS, {"user_id": user})

    async def close_session(self, session: str) -> people.Ended:
        """Close a session."""
        return await self._send(people.Ended, "DELETE", _path(people.SESSIONS, session))

    async def _signed(
        self, how: str, asked: Mapping[str, str]
    ) -> tuple[signing.Me, credentials.Tokens]:
        answer = self._fetched(
            await self._request("POST", f"{signing.PATH}/{how}", json=dict(asked), auth=None)
        )
        tokens = credentials.received(self.url, answer)
        assert tokens is not None, "whoever is signed in gets tokens"
        return msgspec.json.decode(answer.content, type=signing.Me), tokens


def _path(group: str, name: str) -> str:
    return f"{group}/{base.segment(name)}"
