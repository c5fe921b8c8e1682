"""The process behind the AWS demo server: moto, with what it does otherwise than AWS put right.

A process of its own, because moto keeps its state in its modules and puts hooks into botocore. It
ends when its standard input does, which happens however the one who started it ends.

Put right: events arrive at queues whole (moto leaves out `account`); a replay keeps the ids of the
events and the time range it was asked for (moto replays everything under new ids).
"""

import argparse
import collections
import copy
import importlib
import logging
import os
import signal
import sys
import threading
from typing import Any

import boto3
import msgspec
from moto.moto_server import werkzeug_app
from werkzeug import serving

from helios.demo.clouds import drops, http_server

ACCOUNT = "123456789012"
REGION = "us-east-1"
KEY = "demo"
RECEIVES_MAX = 10
"""Deliveries after which SQS puts a message into the queue of dead letters."""

REMEMBERED_MAX = 10_000

_MODELS: Any = importlib.import_module("moto.events.models")


class Rules:
    """How events reach the targets of a rule; stands in for moto's own way."""

    def __init__(self, share: drops.Share) -> None:
        self.dropped: collections.deque[drops.Dropped] = collections.deque(maxlen=drops.KEPT_MAX)
        self._share = share
        self._send = _MODELS.Rule.send_to_targets
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        # Every rule of a bus sees the event: the first one decides for all.
        self._decided: collections.OrderedDict[str, bool] = collections.OrderedDict()

    def install(self) -> None:
        """Take moto's place."""
        rules = self

        def send_to_targets(rule: Any, event: Any, *, transform_input: bool = True) -> None:
            rules.send(rule, event, is_transformed=transform_input)

        _MODELS.Rule.send_to_targets = send_to_targets
        _MODELS.Replay.replay_events = _replay

    def send(self, rule: Any, event: dict[str, Any], *, is_transformed: bool) -> None:
        """Bring an event to the targets of a rule; a dropped one only to archives."""
        is_dropped = "replay-name" not in event and self._drops(rule.event_bus_name, event)
        whole = {name: value for name, value in event.items() if name != "ingestion-time"}
        for target in rule.targets:
            is_archive = target["Arn"].endswith(":::")
            if is_dropped and not is_archive:
                continue
            single = copy.copy(rule)
            single.targets = [target]
            if is_transformed and "InputTransformer" in target:
                self._send(single, event, True)  # noqa: FBT003 - moto's order
            else:
                self._send(single, whole, False)  # noqa: FBT003 - likewise

    def _drops(self, bus: str, event: dict[str, Any]) -> bool:
        with self._lock:
            found = self._decided.get(event["id"])
            if found is not None:
                return found
            ordinal = self._counts[bus] = self._counts.get(bus, 0) + 1
            decided = self._decided[event["id"]] = self._share.takes(ordinal)
            if len(self._decided) > REMEMBERED_MAX:
                self._decided.popitem(last=False)
            if decided:
                self.dropped.append(
                    drops.Dropped(topic=bus, id=event["id"], ordinal=ordinal, event=dict(event))
                )
            return decided


def _replay(replay: Any, archive: Any) -> None:
    """Send the archived events of the asked time range again, under their ids."""
    bus_name = replay.destination["Arn"].split("/")[-1]
    backend = _MODELS.events_backends[replay.account_id][replay.region]
    # The SDK sends whole seconds: the last one belongs to the range.
    begin, end = float(replay.event_start_time), float(replay.event_end_time) + 1
    for event in list(archive.events):
        if begin <= float(event["time"]) < end:
            again = {**event, "replay-name": replay.name}
            for rule in list(backend.describe_event_bus(bus_name).rules.values()):
                rule.send_to_targets(again, transform_input=False)
    replay.state = _MODELS.ReplayState.COMPLETED
    replay.end_time = _MODELS.unix_time()


def create(url: str, topic: str) -> dict[str, str]:
    """Make a bus, its archive, a queue with one for dead letters, and a rule between them."""
    common: dict[str, Any] = {
        "endpoint_url": url,
        "region_name": REGION,
        "aws_access_key_id": KEY,
        "aws_secret_access_key": KEY,
    }
    events, sqs = boto3.client("events", **common), boto3.client("sqs", **common)
    dead = sqs.create_queue(QueueName=f"helios-{topic}-dead")["QueueUrl"]
    dead_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:helios-{topic}-dead"
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": str(RECEIVES_MAX)}
    queue = sqs.create_queue(
        QueueName=f"helios-{topic}",
        Attributes={"RedrivePolicy": msgspec.json.encode(redrive).decode()},
    )["QueueUrl"]
    bus_arn = events.create_event_bus(Name=topic)["EventBusArn"]
    archive = events.create_archive(ArchiveName=topic, EventSourceArn=bus_arn)["ArchiveArn"]
    pattern = msgspec.json.encode({"account": [ACCOUNT]}).decode()
    events.put_rule(Name=f"to-helios-{topic}", EventBusName=topic, EventPattern=pattern)
    target = {"Id": "helios", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:helios-{topic}"}
    events.put_targets(Rule=f"to-helios-{topic}", EventBusName=topic, Targets=[target])
    return {
        "topic": topic,
        "queue_url": queue,
        "dead_letter_queue_url": dead,
        "bus": topic,
        "bus_arn": bus_arn,
        "archive_arn": archive,
    }


def _application(rules: Rules) -> Any:
    moto = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)

    def application(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] != drops.PATH:
            return moto(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [msgspec.json.encode(list(rules.dropped))]

    return application


def main() -> None:
    """Serve until standard input ends; the first line on standard output is where and what."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--drop", type=drops.parse, required=True)
    parser.add_argument("topics", nargs="+")
    given = parser.parse_args()
    # Ctrl-C reaches the whole group of processes; the parent says when it is time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    rules = Rules(given.drop)
    rules.install()
    server = serving.make_server(
        given.host,
        given.port,
        _application(rules),
        threaded=True,
        request_handler=werkzeug_app.MotoRequestHandler,
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://{http_server.address(given.host, server.server_port)}"
    told = {
        "url": url,
        "pid": os.getpid(),
        "topics": [create(url, topic) for topic in given.topics],
    }
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
