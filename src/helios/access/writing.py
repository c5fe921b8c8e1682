"""Appends what happens to users, tokens and sessions, and returns when this process knows it.

Every append is made in the name of the installation: whoever is signed in to one client may sign
out, though the events are of no client. Appends that decide something say which state they were
decided on, so that of two processes one loses and looks again.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from helios.access import bounds, events, following, model
from helios.eventlog import envelope
from helios.eventlog import ports as log_ports
from helios.kernel import clock as clocks
from helios.kernel import errors, ids, jsonio, tenancy

SYSTEM = "service:access"
_NAME_TRIES = 100


class Change(msgspec.Struct, frozen=True):
    """An event to append, and the last sequence of its aggregate that it was decided on; None:
    whatever that is.
    """

    type: str
    kind: str
    id: str
    payload: msgspec.Struct
    expected: int | None = None


class Writer:
    """Appends the events of access.

    Args:
        log: where to.
        follower: which tells when they are known here.
        clock: for their times.
        id_source: for their ids.
    """

    def __init__(
        self,
        log: log_ports.EventLog,
        follower: following.Follower,
        *,
        clock: clocks.Clock,
        id_source: ids.Ids,
    ) -> None:
        self._log = log
        self._follower = follower
        self._clock = clock
        self._ids = id_source

    async def append(self, actor: str, changes: Sequence[Change]) -> envelope.Position:
        """Append all of them or none; they are known to this process when it returns.

        Raises:
            ConflictError: one was decided on a state that is not the last.
            StorageError: they cannot be appended, or not be seen, now.
        """
        made = [
            envelope.NewEvent(
                id=self._ids.new(),
                source=events.SOURCE,
                type=each.type,
                occurred_at=self._clock.now(),
                tenant=events.TENANT,
                aggregate_type=each.kind,
                aggregate_id=each.id,
                actor=actor,
                payload=jsonio.encode(each.payload),
            )
            for each in changes
        ]
        expected = {
            events.aggregate(each.kind, each.id): each.expected
            for each in changes
            if each.expected is not None
        }
        with tenancy.within(tenancy.EVERYTHING):
            appended = await self._log.append(made, expected=expected)
            await self._follower.seen(appended.position)
        return appended.position

    # Users

    async def invited(self, user: events.User, actor: str) -> None:
        """Add a user.

        Raises:
            ConflictError: there is one who signs in so.
        """
        change = Change(events.USER_INVITED, events.USER, user.id, user, 0)
        try:
            await self.append(actor, [change])
        except errors.ConflictError as conflict:
            # Either somebody was faster, or one of this name was removed: then the story goes on.
            await self._follower.caught_up()
            if user.id in self._follower.directory.users or conflict.actual is None:
                raise errors.ConflictError(f"there is a user {user.name} already") from conflict
            await self.append(actor, [msgspec.structs.replace(change, expected=conflict.actual)])

    async def changed(
        self, user: events.User, actor: str, closing: events.Closing | None = None
    ) -> None:
        """Change a user, and close all sessions if there is a reason to.

        Raises:
            ConflictError: somebody else has changed them meanwhile.
        """
        sequence = self._follower.directory.sequence(events.USER, user.id)
        change = Change(events.USER_CHANGED, events.USER, user.id, user, sequence)
        await self.append(actor, [change, *self._closings(user.id, closing)])

    async def removed(self, user: events.User, actor: str) -> None:
        """Remove a user, close all sessions, and revoke the tokens that they issued.

        Raises:
            ConflictError: somebody else has changed them meanwhile.
        """
        sequence = self._follower.directory.sequence(events.USER, user.id)
        payload = events.Removed(id=user.id, name=user.name)
        change = Change(events.USER_REMOVED, events.USER, user.id, payload, sequence)
        closings = self._closings(user.id, "user_removed")
        await self.append(actor, [change, *closings, *self._revocations(user.id)])

    async def external(
        self,
        issuer: str,
        subject: str,
        *,
        name: str,
        display_name: str,
        grants: Sequence[model.Grant] | None,
        groups: Sequence[str],
    ) -> events.User:
        """The user whom a provider of identities knows so, made or brought up to date.

        Raises:
            ConflictError: it changes too often just now.
            InvalidInputError: a grant or group that cannot be kept.
        """
        given = None if grants is None else bounds.checked(grants)
        known = self._follower.directory.user_known_as(issuer, subject)
        if known is not None:
            user = msgspec.structs.replace(
                known,
                display_name=shown(display_name) or known.display_name,
                grants=known.grants if given is None else given,
                groups=bounds.checked_groups(groups),
            )
            if user != known:
                await self.changed(user, SYSTEM)
            return user
        user = events.User(
            id=external_id(issuer, subject),
            name=self._free_name(name),
            display_name=shown(display_name),
            grants=given or (),
            groups=bounds.checked_groups(groups),
            origin="oidc",
            issuer=issuer,
            subject=subject,
            created_at=self._clock.now(),
        )
        try:
            await self.invited(user, SYSTEM)
        except errors.ConflictError:
            # Two tabs at once: the other one has made the user.
            there = self._follower.directory.user_known_as(issuer, subject)
            if there is None:
                raise
            return there
        return user

    async def administrator(self) -> events.User:
        """The local user `admin` with the grant of everything, made unless there is one."""
        wanted = model.Grant(role="admin")
        user = events.User(
            id=local_id(events.ADMINISTRATOR),
            name=events.ADMINISTRATOR,
            grants=(wanted,),
            created_at=self._clock.now(),
        )
        known = self._follower.directory.users.get(user.id)
        if known is None:
            try:
                await self.invited(user, SYSTEM)
            except errors.ConflictError:
                return await self.administrator()
            return user
        if wanted in known.grants and not known.disabled:
            return known
        user = msgspec.structs.replace(
            known, grants=bounds.checked((*known.grants, wanted)), disabled=False
        )
        # Whoever was let in by less must not come along.
        await self.changed(user, SYSTEM, "password_changed")
        return user

    def _free_name(self, name: str) -> str:
        """A name that nobody has; two people never share one, because events name people by it."""
        wanted = cleaned(name) or "user"
        # The name of who comes by the one-time link is not to be had otherwise.
        for number in range(1, _NAME_TRIES):
            tried = wanted if number == 1 else f"{wanted[: events.NAME_CHARS_MAX - 4]}-{number}"
            is_kept = tried.casefold() in (events.ADMINISTRATOR, *events.OURS)
            if not is_kept and not self._follower.directory.user_named(tried):
                return tried
        raise errors.ConflictError(f"too many users are called {wanted}")

    # Sessions

    async def opened(
        self, session: events.Session, user: events.User, surplus: Sequence[events.Session]
    ) -> None:
        """Open a session, and close others of the same user."""
        change = Change(events.SESSION_OPENED, events.SESSION, session.id, session, 0)
        await self.append(f"user:{user.name}", [change, *_closed(surplus, "too_many")])

    async def refreshed(self, session: events.Session, user: events.User) -> None:
        """The next generation of a session.

        Raises:
            ConflictError: another process was faster.
        """
        sequence = self._follower.directory.sequence(events.SESSION, session.id)
        change = Change(events.SESSION_REFRESHED, events.SESSION, session.id, session, sequence)
        await self.append(f"user:{user.name}", [change])

    async def closed(
        self, sessions: Sequence[events.Session], reason: events.Closing, actor: str
    ) -> None:
        """Close sessions; nothing happens for none."""
        if sessions:
            await self.append(actor, _closed(sessions, reason))

    async def failed(self, payload: events.Failed) -> None:
        """Somebody could not sign in."""
        change = Change(events.SIGN_IN_FAILED, events.SIGN_IN, "failed", payload)
        await self.append(f"user:{payload.name or 'unknown'}", [change])

    async def link_issued(self, expires_at: clocks.Timestamp, actor: str) -> None:
        """A one-time link was issued."""
        payload = events.Link(expires_at=expires_at)
        change = Change(events.LINK_ISSUED, events.SIGN_IN, "link", payload)
        await self.append(actor, [change])

    def _revocations(self, user_id: str) -> list[Change]:
        """Whoever is given the name later on is not to have their tokens."""
        return [
            Change(
                events.TOKEN_REVOKED,
                events.SERVICE_TOKEN,
                each.id,
                events.Removed(id=each.id, name=each.name),
            )
            for each in self._follower.directory.tokens.values()
            if each.owner == user_id
        ]

    def _closings(self, user_id: str, reason: events.Closing | None) -> list[Change]:
        if reason is None:
            return []
        return _closed(self._follower.directory.sessions_of(user_id), reason)


def _closed(sessions: Sequence[events.Session], reason: events.Closing) -> list[Change]:
    return [
        Change(
            events.SESSION_CLOSED,
            events.SESSION,
            each.id,
            events.Closed(id=each.id, user_id=each.user_id, reason=reason),
        )
        for each in sessions
    ]


def local_id(name: str) -> str:
    """Id of the user who signs in here by a name, whatever the case of its letters."""
    return _id("local", name.casefold())


def external_id(issuer: str, subject: str) -> str:
    """Id of the user whom a provider of identities knows so."""
    return _id("oidc", issuer, subject)


def _id(*parts: str) -> str:
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def cleaned(name: str) -> str:
    """A name from elsewhere, as ours may be: printable, without spaces at the ends, cut."""
    kept = "".join(char for char in name if char.isprintable() and char not in ":/\\")
    return " ".join(kept.split())[: events.NAME_CHARS_MAX]


def shown(display_name: str) -> str:
    """A name for people: printable, cut."""
    kept = "".join(char for char in display_name if char.isprintable())
    return kept.strip()[: events.NAME_CHARS_MAX]
