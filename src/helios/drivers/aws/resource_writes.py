"""Makes and changes resources at AWS: queues, topics, buckets, tables, and builds of projects.

Fields have the service's own names (`VisibilityTimeout`) or those in small letters
(`visibility_timeout`, `visibility_timeout_s`). What is there already as wanted is left alone; what
is there otherwise is not what was to be made, and stays as it is. Nothing is ever deleted.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, ClassVar, Protocol, TypeVar

from helios.drivers.aws import resource_write_fields, sessions
from helios.heal import ports as heal_ports
from helios.kernel import clock as clocks
from helios.kernel import jsonio, outbound
from helios.reconcile.compositions import ports

T = TypeVar("T")

POLL_S = 2.0
READ_S = 20.0
SETTLES_S = 2.0
LATER_S = 60.0
"""When a build is looked at again that did not end in time."""

_SERVICES = {
    "sqs_queue": "sqs",
    "sns_topic": "sns",
    "s3_bucket": "s3",
    "dynamodb_table": "dynamodb",
    "codebuild_project": "codebuild",
}
_WORDS = {
    "sqs_queue": "queue",
    "sns_topic": "topic",
    "s3_bucket": "bucket",
    "dynamodb_table": "table",
    "codebuild_project": "project",
}
_UNAUTHORISED = (
    "AccessDenied",
    "UnrecognizedClient",
    "InvalidClientTokenId",
    "ExpiredToken",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "InvalidAccessKeyId",
)
_THERE = (
    "ResourceInUse",
    "QueueAlreadyExists",
    "QueueNameExists",
    "BucketAlreadyExists",
    "BucketAlreadyOwnedByYou",
)
_PAUSES_S = {
    "QueueDeletedRecently": 60.0,
    "Throttling": 5.0,
    "TooManyRequests": 5.0,
    "RequestLimitExceeded": 5.0,
    "SlowDown": 5.0,
    "LimitExceeded": 30.0,
    "OperationAborted": 30.0,
}


class Steps:
    """Calls of one task, and whether one of them may have changed something."""

    def __init__(self) -> None:
        self.wrote = False

    async def write(self, call: Awaitable[T]) -> T:
        """Await a call that changes something."""
        try:
            made = await call
        except BaseException as error:
            status = _status(error)
            self.wrote = self.wrote or status is None or not 400 <= status < 500
            raise
        self.wrote = True
        return made


class Place(Protocol):
    """What one service knows of one resource."""

    async def current(self, names: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Its fields of these names; None: there is no such resource."""
        ...

    async def create(self, wanted: Mapping[str, Any]) -> None: ...

    async def update(self, wanted: Mapping[str, Any]) -> None: ...


class AwsWriter:
    """`heal.ports.ResourceWriter` for kinds of AWS.

    Settings of all kinds: `name` (else the resource's own), `region`, `endpoint_url`. Credentials:
    `access_key_id` and `secret_access_key`; without them those of the machine.

    Args:
        guard: checks an address of one's own before anything is sent there.
        clock: for pauses.
        poll_s: between two looks at what takes its time.
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(_SERVICES)

    def __init__(
        self, guard: outbound.Outbound, clock: clocks.Clock, *, poll_s: float = POLL_S
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._poll_s = poll_s

    def plan(self, task: heal_ports.Task) -> str:
        """See `heal.ports.ResourceWriter.plan`."""
        about = f"{_WORDS[task.resource.kind]} {name_of(task)} in {_region(task)}"
        if task.resource.kind == "codebuild_project":
            if task.verb != "rebuild":
                raise _unsupported(task)
            return f"start a build of {about}"
        if task.verb == "rebuild":
            raise _unsupported(task)
        wanted = resource_write_fields.wanted(task)
        said = ", ".join(f"{name}={jsonio.encode(each).decode()}" for name, each in wanted.items())
        if task.verb == "create":
            return f"create {about}" + (f" with {said}" if said else "")
        if fixed := sorted(resource_write_fields.fixed(task.resource.kind) & set(wanted)):
            raise ports.HealError(
                "unsupported",
                f"{', '.join(fixed)} of {about} cannot be changed on what is there; make it anew "
                "by hand",
            )
        return f"set {said} on {about}"

    async def carry_out(self, task: heal_ports.Task) -> ports.Acted:
        """See `heal.ports.ResourceWriter.carry_out`."""
        would = self.plan(task)
        steps = Steps()
        try:
            async with self._client(task) as client:
                if task.verb == "rebuild":
                    return await self._built(client, steps, task)
                place = self._place(client, steps, task)
                if task.verb == "create":
                    return await self._created(place, task, would)
                return await self._updated(place, task, would)
        except sessions.failures() as error:
            raise _failed(error, would, happened=steps.wrote) from None
        except ports.HealError as error:
            error.happened = error.happened or steps.wrote
            raise

    @contextlib.asynccontextmanager
    async def _client(self, task: heal_ports.Task) -> AsyncIterator[Any]:
        settings = task.resource.settings
        endpoint = settings.get("endpoint_url") or settings.get("endpoint")
        async with sessions.client(
            _SERVICES[task.resource.kind],
            region=_region(task),
            credentials=task.credentials,
            guard=self._guard,
            endpoint_url=None if endpoint is None else str(endpoint),
            read_s=min(READ_S, task.timeout_s),
            attempts=2,
        ) as client:
            yield client

    def _place(self, client: Any, steps: Steps, task: heal_ports.Task) -> Place:
        # They need `Steps`, and this module needs them.
        from helios.drivers.aws import resource_places, resource_tables  # noqa: PLC0415

        name, region = name_of(task), _region(task)
        match task.resource.kind:
            case "sqs_queue":
                return resource_places.Queue(client, steps, name)
            case "sns_topic":
                return resource_places.Topic(client, steps, name)
            case "s3_bucket":
                return resource_places.Bucket(client, steps, name, region)
            case _:
                pauses = resource_tables.Pauses(self._clock, self._poll_s, task.timeout_s)
                return resource_tables.Table(client, steps, name, pauses)

    async def _created(self, place: Place, task: heal_ports.Task, would: str) -> ports.Acted:
        wanted = resource_write_fields.wanted(task)
        there = await place.current(wanted)
        if there is not None:
            other = resource_write_fields.differing(wanted, there)
            if other:
                raise ports.HealError(
                    "precondition_failed",
                    f"{name_of(task)} is there already, with another {', '.join(other)}",
                )
            return ports.Acted(detail=f"{name_of(task)} was there already, as declared")
        await place.create(wanted)
        return ports.Acted(
            detail=f"did {would}",
            changes={"": [None, name_of(task)]} | {n: [None, each] for n, each in wanted.items()},
            settles_s=SETTLES_S,
        )

    async def _updated(self, place: Place, task: heal_ports.Task, would: str) -> ports.Acted:
        wanted = resource_write_fields.wanted(task)
        there = await place.current(wanted)
        if there is None:
            raise ports.HealError("precondition_failed", f"{name_of(task)} is not there any more")
        other = resource_write_fields.differing(wanted, there)
        if not other:
            return ports.Acted(detail=f"{name_of(task)} was as declared")
        await place.update({name: wanted[name] for name in other})
        before = {name: there.get(name) for name in other}
        known = {name: each for name, each in before.items() if each is not None}
        return ports.Acted(
            detail=f"did {would}",
            undo={"set": known} if len(known) == len(before) else None,
            changes={name: [before[name], wanted[name]] for name in other},
            settles_s=SETTLES_S,
        )

    async def _built(self, client: Any, steps: Steps, task: heal_ports.Task) -> ports.Acted:
        ends = self._clock.monotonic() + task.timeout_s
        name = name_of(task)
        # Should the answer be lost and the call be repeated, it is still one build.
        token = hashlib.sha256(task.key.encode()).hexdigest()[:64]
        started = await steps.write(client.start_build(projectName=name, idempotencyToken=token))
        build_id = started["build"]["id"]
        while True:
            found = (await client.batch_get_builds(ids=[build_id]))["builds"]
            status = found[0]["buildStatus"] if found else "UNKNOWN"
            if status == "SUCCEEDED":
                return ports.Acted(detail=f"build {build_id} succeeded", settles_s=SETTLES_S)
            if status != "IN_PROGRESS":
                raise ports.HealError(
                    "refused", f"build {build_id} ended as {status}", happened=True
                )
            if self._clock.monotonic() + self._poll_s >= ends:
                return ports.Acted(
                    detail=f"started build {build_id}, which has not ended yet", settles_s=LATER_S
                )
            await self._clock.sleep(self._poll_s)


def name_of(task: heal_ports.Task) -> str:
    """What a resource is called at AWS."""
    settings = task.resource.settings
    for field in ("name", "queue", "topic", "bucket", "table", "project"):
        if settings.get(field):
            return str(settings[field])
    for field, separator in (("queue_url", "/"), ("url", "/"), ("topic_arn", ":"), ("arn", ":")):
        if settings.get(field):
            return str(settings[field]).rpartition(separator)[2]
    return task.resource.name


def _region(task: heal_ports.Task) -> str:
    settings = task.resource.settings
    arn = str(settings.get("topic_arn") or settings.get("arn") or "").split(":")
    region = settings.get("region") or (arn[3] if len(arn) > 3 else "") or sessions.usual_region()
    if not region:
        raise ports.HealError(
            "unsupported", f"{task.resource.address} does not say its region: settings.region"
        )
    return str(region)


def _unsupported(task: heal_ports.Task) -> ports.HealError:
    return ports.HealError(
        "unsupported", f"a {_WORDS[task.resource.kind]} cannot be {task.verb}d from here"
    )


def _status(error: BaseException) -> int | None:
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    status = metadata.get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def _failed(error: Exception, would: str, *, happened: bool) -> ports.HealError:
    response = getattr(error, "response", None)
    problem = response.get("Error", {}) if isinstance(response, dict) else {}
    code, status = str(problem.get("Code", "")), _status(error)
    pause_s = next((s for word, s in _PAUSES_S.items() if word in code), None)
    detail = f"could not {would}: {sessions.said(error)}"
    return ports.HealError(
        _code(error, code, status), detail, happened=happened, retry_after_s=pause_s
    )


def _code(error: Exception, code: str, status: int | None) -> str:
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return "secret_missing"
    if "Timeout" in type(error).__name__:
        return "timeout"
    if status in (401, 403) or any(word in code for word in _UNAUTHORISED):
        return "unauthorised"
    if any(word in code for word in _THERE):
        return "precondition_failed"
    if "NotFound" in code or "NonExistent" in code or "NoSuch" in code:
        return "not_found"
    return "refused" if status is not None and status < 500 else "unreachable"
