"""What can be set for a Kafka source, and what librdkafka is told of it.

Only what is named here can be set. A door for any property of librdkafka would be one for programs
and libraries too: some of its properties name a command to run or a plugin to load.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import re2

from helios.kernel import errors, limits, secret

Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ID_CHARS_MAX)]
Topic: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._\-]{1,249}$")]
Security: TypeAlias = Literal["plaintext", "tls", "sasl_plaintext", "sasl_tls"]

_PROTOCOLS: dict[Security, str] = {
    "plaintext": "plaintext",
    "tls": "ssl",
    "sasl_plaintext": "sasl_plaintext",
    "sasl_tls": "sasl_ssl",
}
_QUEUE_KIB = 16 << 10


class Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach the brokers.

    Attributes:
        bootstrap: `host:port`, several with commas between them.
        security: encryption and log-in. With `sasl_…` the credentials `username` and `password`
            are needed; with `tls` a `client_certificate` and a `client_key` (PEM) may be given.
        sasl: the mechanism of the log-in.
        ca_file: certificates (PEM) to trust instead of the system's.
        connect_s: how long to wait for a broker to take a connection.
    """

    bootstrap: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    security: Security = "plaintext"
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    ca_file: Path | None = None
    connect_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 10.0


class Options(Connection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a Kafka source.

    Attributes:
        topics: names of topics.
        pattern: a regular expression (RE2); each topic whose whole name fits is read, also one
            that is made later. Topics whose name begins with `__` are Kafka's own and never fit.
        group: the consumer group; None: made of tenant and source.
        start: where a group that never committed begins.
        format: `auto`: a record whose headers say so is a CloudEvent, any other one is JSON.
            `cloudevents`: every record is one, also a structured one without the header. `json`:
            none is.
        event_type, type_header, type_field: the event type of plain JSON, by the first of header
            and field that is there; else `event_type`, else the topic.
        id_header, id_field: where plain JSON has its id. A record without is a dead letter. None:
            `topic-partition-offset` is the id.
        time_field: where plain JSON has its event time (RFC 3339). None: the record's timestamp.
        aggregate_type: what a record's key identifies; None: the topic. The key is the id.
        tombstones: what a record without a value is: an event `<type>.deleted`, or nothing.
        session_s: how long the broker waits for a member that fell silent.
        topics_every_s: how often new topics that fit the pattern are looked for.
        batch_max: most records handed in together.

    A field is a path of names with dots between them.
    """

    topics: Annotated[tuple[Topic, ...], msgspec.Meta(max_length=1_000)] = ()
    pattern: Name | None = None
    group: Name | None = None
    start: Literal["earliest", "latest"] = "earliest"
    format: Literal["auto", "json", "cloudevents"] = "auto"
    event_type: Name | None = None
    type_header: Name | None = None
    type_field: Name | None = None
    id_header: Name | None = None
    id_field: Name | None = None
    time_field: Name | None = None
    aggregate_type: Name | None = None
    tombstones: Literal["event", "skip"] = "event"
    session_s: Annotated[float, msgspec.Meta(ge=1, le=300)] = 45.0
    topics_every_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 30.0
    batch_max: Annotated[int, msgspec.Meta(ge=1, le=5_000)] = 500

    def __post_init__(self) -> None:
        if not self.topics and self.pattern is None:
            raise ValueError("name topics, or give a pattern")
        if self.pattern is not None:
            compiled(self.pattern)


def parse(given: Mapping[str, Any]) -> Options:
    """Read the options of a declared source.

    Raises:
        InvalidInputError: one is missing, unknown or wrong; names it.
    """
    options: Options = _convert(given, Options)
    return options


def parse_connection(given: Mapping[str, Any]) -> Connection:
    """Read the options of a sink.

    Raises:
        InvalidInputError: one is missing, unknown or wrong; names it.
    """
    options: Connection = _convert(given, Connection)
    return options


def compiled(pattern: str) -> Any:
    """The regular expression of a source.

    Raises:
        ValueError: it is none.
    """
    wanted = re2.Options()
    wanted.log_errors = False
    try:
        return re2.compile(pattern, wanted)
    except re2.error as error:
        said = error.args[0]
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"pattern: not a regular expression (RE2): {reason}") from None


def wanted_topics(options: Options, known: Collection[str]) -> list[str]:
    """The topics to read, of those that there are and those that are named."""
    found = set(options.topics)
    if options.pattern is not None:
        fits = compiled(options.pattern).fullmatch
        found.update(name for name in known if not name.startswith("__") and fits(name))
    return sorted(found)


def connection_settings(
    options: Connection, credentials: Mapping[str, secret.Secret]
) -> dict[str, Any]:
    """What librdkafka is told of the way to the brokers. Holds secrets: never to be logged.

    Raises:
        InvalidInputError: a credential is missing.
    """
    settings: dict[str, Any] = {
        "bootstrap.servers": options.bootstrap,
        "client.id": "helios",
        "security.protocol": _PROTOCOLS[options.security],
        "socket.connection.setup.timeout.ms": int(options.connect_s * 1000),
        # Each failed connection would be a line, several in a second; `status` tells what is wrong.
        "log_level": 2,
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 10_000,
    }
    if options.ca_file is not None:
        settings["ssl.ca.location"] = str(options.ca_file)
    if options.security in ("tls", "sasl_tls"):
        settings |= _certificate(credentials)
    if options.security in ("sasl_plaintext", "sasl_tls"):
        settings["sasl.mechanism"] = options.sasl
        settings["sasl.username"] = _credential(credentials, "username")
        settings["sasl.password"] = _credential(credentials, "password")
    return settings


def consumer_settings(
    options: Options, credentials: Mapping[str, secret.Secret], group: str
) -> dict[str, Any]:
    """What librdkafka is told for reading. Offsets are committed by nobody but us.

    Raises:
        InvalidInputError: a credential is missing.
    """
    return connection_settings(options, credentials) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": options.start,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": int(options.session_s * 1000),
        "heartbeat.interval.ms": int(options.session_s * 1000 / 3),
        # What waits in memory is bounded; the default would be 64 MB and 100,000 records.
        "queued.max.messages.kbytes": _QUEUE_KIB,
        "queued.min.messages": 10_000,
        # Once that is full, a whole second would pass before it fetches again.
        "fetch.queue.backoff.ms": 20,
    }


def _certificate(credentials: Mapping[str, secret.Secret]) -> dict[str, str]:
    names = {"client_certificate": "ssl.certificate.pem", "client_key": "ssl.key.pem"}
    given = [name for name in names if name in credentials]
    if len(given) == 1:
        raise errors.InvalidInputError(
            "a client certificate needs its key and the key its certificate",
            field=f"credentials.{given[0]}",
        )
    return {names[name]: _credential(credentials, name) for name in given}


def _credential(credentials: Mapping[str, secret.Secret], name: str) -> str:
    if name not in credentials:
        raise errors.InvalidInputError(
            f"the log-in needs {name}: name where it is kept", field=f"credentials.{name}"
        )
    try:
        return credentials[name].text
    except ValueError as error:
        raise errors.InvalidInputError(str(error), field=f"credentials.{name}") from None


def _convert(given: Mapping[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        field = place.rstrip("`").lstrip(".")
        raise errors.InvalidInputError(
            message, field=f"options.{field}" if field else "options"
        ) from None
