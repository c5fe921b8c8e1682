"""A queue of SQS as a source.

What EventBridge puts there keeps its id however often it comes, so duplicates are found out by the
log. A replay asks EventBridge to send again what its archive holds, which then arrives as all else
does, and hands in what lies in the queue of dead letters.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from helios.drivers.aws import messages as sqs_messages
from helios.drivers.aws import options as aws_options
from helios.drivers.aws import sessions
from helios.ingest import lending, sources
from helios.kernel import clock as clocks
from helios.kernel import errors

BATCH_MAX = 10
"""Messages of one call; SQS takes no more."""

ATTEMPTS = 2
"""How often the SDK tries one call: we come again ourselves, and say what is wrong meanwhile."""

TRIES = 3
"""How often a message is deleted that SQS did not delete for a reason of its own."""

_KEYS = ("access_key_id", "secret_access_key")
_LASTING = (
    "AccessDenied",
    "AuthFailure",
    "InvalidAddress",
    "InvalidClientTokenId",
    "InvalidSecurity",
    "IllegalLocationConstraint",
    "NonExistentQueue",
    "OptInRequired",
    "QueueDoesNotExist",
    "ResourceNotFound",
    "SignatureDoesNotMatch",
    "UnrecognizedClient",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "ValidationException",
    "NoCredentialsError",
    "PartialCredentialsError",
)
_DENIED = "AccessDenied"


class SqsSource(lending.Lending):
    """A `sources.Runner`.

    Args:
        tools: what it is given; `tools.source.credentials` may have the keys.

    Raises:
        InvalidInputError: options that are not understood, or half a credential.
        StorageError: the SDK is not installed.
    """

    def __init__(self, tools: sources.Tools) -> None:
        self._options = aws_options.parse(tools.declared.options)
        given = [name for name in _KEYS if name in tools.source.credentials]
        if len(given) == 1:
            raise errors.InvalidInputError(
                f"{_KEYS[0]} and {_KEYS[1]} belong together; name neither to use the machine's",
                field="credentials",
            )
        sessions.failures()
        super().__init__(tools, self._connected, receivers=self._options.receivers)

    async def replay(self, what: sources.Replay) -> sources.Replayed:
        """Have the archive sent again since a time, and empty the queue of dead letters.

        Raises:
            InvalidInputError: ids, no time, or there is neither an archive nor a queue of dead
                letters; EventBridge refuses.
            StorageError, OverloadError: AWS or the log is away.
        """
        options = self._options
        if what.ids or what.since is None:
            raise errors.InvalidInputError(
                "SQS can replay since a time only: EventBridge looks no events up by their ids"
            )
        if options.archive_arn is None and options.dead_letter_queue_url is None:
            raise errors.InvalidInputError(
                "a queue forgets what was taken from it: name an archive of EventBridge "
                "(options.archive_arn) or the queue's dead letters (options.dead_letter_queue_url)"
            )
        if options.archive_arn is not None:
            await self._start_replay(options.archive_arn, what.since)
        total = sources.Replayed(complete=options.archive_arn is None)
        if options.dead_letter_queue_url is not None:
            async with self._opened(options.dead_letter_queue_url) as queue:
                total = await self._emptied(queue, total)
        return total

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[lending.Queue]:
        async with self._opened(self._options.queue_url) as queue:
            await queue.check()
            yield queue

    @contextlib.asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator["SqsQueue"]:
        async with self._client("sqs") as client:
            yield SqsQueue(client, url, self._options)

    @contextlib.asynccontextmanager
    async def _client(self, service: str) -> AsyncIterator[Any]:
        with _told():
            async with sessions.client(
                service,
                region=self._options.where,
                credentials=self.tools.source.credentials,
                guard=self.tools.api.client,
                endpoint_url=self._options.endpoint_url,
                attempts=ATTEMPTS,
            ) as client:
                yield client

    async def _emptied(self, queue: "SqsQueue", total: sources.Replayed) -> sources.Replayed:
        while messages := await queue.receive(wait_s=1):
            batch = [message.fetched for message in messages]
            try:
                total = await lending.again(self.tools, batch, total)
            except (errors.OverloadError, errors.StorageError):
                await queue.release(messages)
                raise
            await queue.acknowledge(messages)
        return total

    async def _start_replay(self, archive: str, since: clocks.Timestamp) -> None:
        now = self.tools.clock.now()
        if since >= now:
            raise errors.InvalidInputError("the time is in the future: nothing is there to replay")
        name = archive.rpartition("/")[2]
        tag = f"{int(self.tools.random() * 16**6):06x}"
        stamp = clocks.to_datetime(now).strftime("%Y%m%dT%H%M%S")
        async with self._client("events") as client:
            told = await client.describe_archive(ArchiveName=name)
            destination: dict[str, Any] = {"Arn": told["EventSourceArn"]}
            if self._options.replay_rule_arns:
                destination["FilterArns"] = list(self._options.replay_rule_arns)
            await client.start_replay(
                ReplayName=f"helios-{self.tools.declared.name[:32]}-{stamp}-{tag}",
                EventSourceArn=archive,
                EventStartTime=clocks.to_datetime(since),
                EventEndTime=clocks.to_datetime(now),
                Destination=destination,
            )


class SqsQueue:
    """A `lending.Queue`."""

    batch_max = BATCH_MAX
    is_proven = True

    def __init__(self, client: Any, url: str, options: aws_options.Options) -> None:
        self._client = client
        self._url = url
        self._options = options
        self._name = url.rpartition("/")[2]
        self.lease_s = float(options.lease_s)

    async def check(self) -> None:
        """See that the queue is there; who may only receive is believed."""
        try:
            await self.waiting()
        except errors.InvalidInputError as error:
            if _DENIED not in str(error):
                raise

    async def receive(self, *, wait_s: int | None = None) -> Sequence[lending.Message]:
        with _told():
            answer = await self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=BATCH_MAX,
                WaitTimeSeconds=self._options.wait_s if wait_s is None else wait_s,
                VisibilityTimeout=self._options.lease_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
        found = [
            sqs_messages.read(each, self._options, self._name)
            for each in answer.get("Messages", ())
        ]
        # A damaged one is left alone: it shows itself again once its loan ends.
        return [message for message in found if message is not None]

    async def acknowledge(self, messages: Sequence[lending.Message]) -> None:
        left = [message.handle for message in messages]
        for _ in range(TRIES):
            entries = [{"Id": str(n), "ReceiptHandle": h} for n, h in enumerate(left)]
            with _told():
                answer = await self._client.delete_message_batch(
                    QueueUrl=self._url, Entries=entries
                )
            # What SQS calls our fault is a loan that has ended: that one comes again.
            again = [f for f in answer.get("Failed", ()) if not f.get("SenderFault")]
            if not again:
                return
            left = [left[int(failed["Id"])] for failed in again]
        raise errors.StorageError(f"{self._name}: SQS does not delete {len(left)} messages")

    async def release(self, messages: Sequence[lending.Message]) -> None:
        await self._hide(messages, 0)

    async def extend(self, messages: Sequence[lending.Message]) -> None:
        await self._hide(messages, self._options.lease_s)

    async def rest(self) -> None:
        return None

    async def waiting(self) -> int | None:
        with _told():
            answer = await self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        found = answer.get("Attributes", {}).get("ApproximateNumberOfMessages")
        return None if found is None else int(found)

    async def _hide(self, messages: Sequence[lending.Message], seconds: int) -> None:
        entries = [
            {"Id": str(n), "ReceiptHandle": message.handle, "VisibilityTimeout": seconds}
            for n, message in enumerate(messages)
        ]
        with _told():
            await self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)


@contextlib.contextmanager
def _told() -> Any:
    """What the SDK raises, in the words of Helios."""
    try:
        yield
    except sessions.failures() as error:
        said = f"AWS: {sessions.said(error)}"
        code = said.removeprefix("AWS: ").partition(":")[0]
        if any(lasting in code for lasting in _LASTING):
            raise errors.InvalidInputError(said) from error
        raise errors.StorageError(said) from error
    except (TimeoutError, OSError) as error:
        raise errors.StorageError(f"AWS: {type(error).__name__}: {error}") from error
