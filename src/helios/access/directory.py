"""Users, tokens and sessions as they are now: the fold of the events of access, in memory."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from helios.access import events, model
from helios.eventlog import envelope
from helios.kernel import clock as clocks

T = TypeVar("T")

ENDS = frozenset({events.USER_REMOVED, events.TOKEN_REVOKED, events.SESSION_CLOSED})
"""Events after which nothing is left of what they are about."""

_PRUNE_EVERY = 256
"""Sessions that ended by themselves are forgotten after so many that were opened."""

_User = msgspec.json.Decoder(events.User)
_Token = msgspec.json.Decoder(events.Token)
_Session = msgspec.json.Decoder(events.Session)
_Removed = msgspec.json.Decoder(events.Removed)
_Closed = msgspec.json.Decoder(events.Closed)


class Entry(msgspec.Struct, frozen=True):
    """A state and the sequence of the event that made it."""

    kind: str
    id: str
    sequence: int
    state: bytes


class Directory:
    """Who there is, and what they may do.

    `revision` grows with every change, so that what was worked out of it can be told to be old.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.users: dict[str, events.User] = {}
        self.tokens: dict[str, events.Token] = {}
        self.sessions: dict[str, events.Session] = {}
        self._sequences: dict[tuple[str, str], int] = {}
        self._by_name: dict[str, str] = {}
        self._by_subject: dict[tuple[str, str], str] = {}
        self._of_user: dict[str, set[str]] = {}
        self._opened = 0

    def load(self, entries: Iterable[Entry]) -> None:
        """Begin with states that were kept."""
        for each in entries:
            self._put(each.kind, each.id, each.sequence, each.state)

    def apply(self, event: envelope.Event) -> None:
        """Take in one event; one that is older than what is known changes nothing.

        A state that cannot be read, because a newer Helios wrote it, ends what it is about here:
        whoever may do something unknown may do nothing.
        """
        if not events.STATE_CHANGES.passes(event):
            return
        key = (event.aggregate_type, event.aggregate_id)
        if event.sequence <= self._sequences.get(key, 0):
            return
        if event.type in ENDS:
            self._end(*key)
        else:
            self._put(*key, event.sequence, event.payload)
        if event.type == events.SESSION_OPENED:
            self._opened += 1
            if self._opened % _PRUNE_EVERY == 0:
                self.prune(event.recorded_at)

    def user_named(self, name: str) -> events.User | None:
        """The user of this name, whatever the case of its letters."""
        found = self._by_name.get(name.casefold())
        return None if found is None else self.users[found]

    def user_known_as(self, issuer: str, subject: str) -> events.User | None:
        """The user whom a provider of identities knows so."""
        found = self._by_subject.get((issuer, subject))
        return None if found is None else self.users[found]

    def sessions_of(self, user_id: str) -> list[events.Session]:
        """Sessions of a user, oldest first."""
        found = [self.sessions[each] for each in self._of_user.get(user_id, ())]
        return sorted(found, key=lambda each: (each.opened_at, each.id))

    def sequence(self, kind: str, name: str) -> int:
        """Of the last event about it; 0: nothing is known of it."""
        return self._sequences.get((kind, name), 0)

    def has_administrator(self) -> bool:
        """Whether a user may administer the installation."""
        return any(not user.disabled and is_administrator(user) for user in self.users.values())

    def prune(self, now: clocks.Timestamp) -> None:
        """Forget sessions that ended by themselves."""
        ended = [each.id for each in self.sessions.values() if each.expires_at < now]
        for name in ended:
            self._end(events.SESSION, name)

    def _put(self, kind: str, name: str, sequence: int, state: bytes) -> None:
        try:
            self._read(kind, state)
        except msgspec.DecodeError:
            self._end(kind, name)
        self._sequences[kind, name] = sequence
        self.revision += 1

    def _read(self, kind: str, state: bytes) -> None:
        if kind == events.USER:
            self._put_user(_User.decode(state))
        elif kind == events.SERVICE_TOKEN:
            token = _Token.decode(state)
            self.tokens[token.id] = token
        elif kind == events.SESSION:
            session = _Session.decode(state)
            self.sessions[session.id] = session
            self._of_user.setdefault(session.user_id, set()).add(session.id)

    def _put_user(self, user: events.User) -> None:
        self.users[user.id] = user
        self._by_name[user.name.casefold()] = user.id
        if user.issuer is not None and user.subject is not None:
            self._by_subject[user.issuer, user.subject] = user.id

    def _end(self, kind: str, name: str) -> None:
        self._sequences.pop((kind, name), None)
        self.revision += 1
        if kind == events.USER:
            self._end_user(name)
        elif kind == events.SERVICE_TOKEN:
            self.tokens.pop(name, None)
        elif kind == events.SESSION:
            self._end_session(name)

    def _end_user(self, name: str) -> None:
        user = self.users.pop(name, None)
        if user is None:
            return
        if self._by_name.get(user.name.casefold()) == user.id:
            del self._by_name[user.name.casefold()]
        if user.issuer is not None and user.subject is not None:
            self._by_subject.pop((user.issuer, user.subject), None)

    def _end_session(self, name: str) -> None:
        session = self.sessions.pop(name, None)
        if session is None:
            return
        theirs = self._of_user.get(session.user_id, set())
        theirs.discard(name)
        if not theirs:
            self._of_user.pop(session.user_id, None)


def is_administrator(user: events.User) -> bool:
    """Whether a user has the grant of everything."""
    return model.Grant(role="admin") in user.grants
