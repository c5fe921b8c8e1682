"""What the adapters that ship with Helios have in common.

An adapter is small: which headers count, how it verifies, how a delivery reads. What speaks to the
provider's API stands beside it in `<name>_api.py` as a mixin, which brings its capabilities along.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from helios.kernel import clock as clocks
from helios.kernel import errors, rfc3339
from helios.kernel import secret as secrets
from helios.providers import ports, signatures

T = TypeVar("T", bound=msgspec.Struct)

ORDINARY = ports.AnswerPolicy()
ONLY_200 = ports.AnswerPolicy(stored=200)


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of an adapter with nothing to set."""


class Adapter:
    """Base of the adapters that ship with Helios.

    Attributes:
        schemes: names of the ways to verify that it knows, the usual one first.
        headers: those that must not come twice, because they decide something.
        needs_secret: a source without a secret cannot verify anything.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]
    headers: ClassVar[tuple[str, ...]] = ()
    capabilities: ClassVar[frozenset[ports.Capability]] = frozenset(
        {ports.Capability.VERIFY, ports.Capability.PARSE}
    )
    trust: ClassVar[ports.Trust]
    answers: ClassVar[ports.AnswerPolicy] = ORDINARY
    Options: ClassVar[type[msgspec.Struct]] = NoOptions
    needs_secret: ClassVar[bool] = True

    def check(self, source: ports.Source) -> None:
        """Tell what a declared source lacks, before the first delivery does.

        Raises:
            InvalidInputError: names the field of the declaration.
        """
        if self.needs_secret and not any(s.reveal() for s in source.secrets):
            msg = f"{self.title} signs its deliveries: name at least one secret"
            raise errors.InvalidInputError(msg, field="spec.secrets")

    def lookups(
        self,
        delivery: ports.Delivery,  # noqa: ARG002 - those that look something up need it
        source: ports.Source,  # noqa: ARG002
    ) -> Sequence[ports.Lookup]:
        return ()

    def verified(
        self, found: secrets.Secret | None = None, signed_at: clocks.Timestamp | None = None
    ) -> ports.Verified:
        """That it is authentic, by the usual scheme."""
        fingerprint = None if found is None else found.fingerprint
        return ports.Verified(scheme=self.schemes[0], secret=fingerprint, signed_at=signed_at)

    @property
    def unnamed(self) -> str:
        """The type of an event whose delivery does not say what it is."""
        return f"{self.name}.event"


def options(source: ports.Source, kind: type[T]) -> T:
    """The settings of a source; those of a source that sets nothing."""
    found = source.options
    return found if isinstance(found, kind) else kind()


def text(delivery: ports.Delivery, name: str) -> str | None:
    """A header as text: UTF-8 where it is that; None when it is not there or empty."""
    value = delivery.header(name)
    if not value:
        return None
    try:
        return signatures.octets(value).decode()
    except UnicodeDecodeError:
        return value


def moment(value: Any) -> clocks.Timestamp | None:
    """An RFC 3339 time; None for what is none, which is then kept as it was written."""
    if type(value) is not str:
        return None
    try:
        return rfc3339.parse(value)
    except ValueError:
        return None


def unix(value: Any) -> clocks.Timestamp | None:
    """A Unix time in seconds as JSON has it."""
    if type(value) is not int or not 0 <= value < 10**11:
        return None
    return clocks.Timestamp(value * clocks.SECOND_US)


def present(**values: Any) -> Mapping[str, Any]:
    """Those that are there."""
    return {name: value for name, value in values.items() if value is not None}
