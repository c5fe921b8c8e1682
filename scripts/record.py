#!/usr/bin/env python3
"""Write down what real systems send, as the deliveries that tests read in `tests/data`.

    .venv/bin/python scripts/record.py

Runs the real systems of `scripts/components.py`, takes one article and one order through their
lives, and writes every delivery as it came. The secrets are made up for the recording. Recording
again changes ids and times, so do it when a system's version changes.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helios.testing import components, receiver
from helios.testing import strapi as strapi_api

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
TOKEN = "Bearer a-token-for-recordings"
SECRET = "a-secret-for-recordings"
VERSIONS = {"strapi": "Strapi 5.50.0", "vendure": "Vendure 3.7.3"}

Step = tuple[str, Callable[[], object], int]
"""What is done, how, and how many deliveries that makes."""


def strapi(folder: Path) -> Iterator[tuple[str, receiver.Delivery]]:
    with components.Strapi(folder) as server, receiver.Receiver() as inbox:
        api = server.api
        hook = api.create_webhook(inbox.url, headers={"Authorization": TOKEN})
        made: list[strapi_api.Article] = []
        files: list[int] = []

        def create() -> None:
            made.append(api.create("Lamp", body="A lamp.", price=20.5, publish=False))

        def document() -> str:
            return made[0].document_id

        steps: Sequence[Step] = [
            ("a draft is created", create, 1),
            ("the draft is changed", lambda: api.update(document(), body="Old", publish=False), 1),
            ("it is published", lambda: api.publish(document()), 2),
            ("it is changed and published", lambda: api.update(document(), title="Lampe ✓"), 2),
            ("it is taken back", lambda: api.unpublish(document()), 1),
            ("it is published again", lambda: api.publish(document()), 2),
            ("it is deleted, both versions", lambda: api.delete(document()), 2),
            ("a file is uploaded", lambda: files.append(api.upload("a.txt", b"hello")), 1),
            ("the file is deleted", lambda: api.delete_file(files[0]), 1),
            ("the webhook is tried", lambda: api.trigger(hook.id), 1),
        ]
        yield from _walk(inbox, steps)


def vendure(folder: Path) -> Iterator[tuple[str, receiver.Delivery]]:
    with receiver.Receiver() as inbox:
        folder.mkdir(parents=True)
        made = {"ADMIN_PASSWORD": SECRET, "APP_SECRET": SECRET, "WEBHOOK_SECRET": SECRET}
        (folder / "secrets.json").write_text(json.dumps(made))
        with components.Vendure(folder, webhook_url=inbox.url) as server:
            api = server.api
            placed: list[Any] = []
            steps: Sequence[Step] = [
                ("a product comes into stock", api.set_up, 2),
                ("an order is placed", lambda: placed.append(api.place_order(2)), 6),
                ("it is paid", lambda: placed.append(api.pay(placed[-1])), 2),
                ("it is shipped", lambda: placed.append(api.fulfil(placed[-1])), 4),
                ("another is placed", lambda: placed.append(api.place_order(1)), 6),
                ("it is cancelled", lambda: placed.append(api.cancel(placed[-1])), 2),
            ]
            yield from _walk(inbox, steps)


def _walk(
    inbox: receiver.Receiver, steps: Sequence[Step]
) -> Iterator[tuple[str, receiver.Delivery]]:
    for title, do, count in steps:
        do()
        yield from ((title, each) for each in inbox.wait(_count(count)))
        inbox.forget()


def _count(least: int) -> Callable[[Sequence[receiver.Delivery]], bool]:
    return lambda came: len(came) >= least


def write(
    provider: str,
    scheme: str,
    config: Mapping[str, Any],
    event_header: str,
    deliveries: Iterator[tuple[str, receiver.Delivery]],
) -> None:
    folder = DATA / provider
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, (title, delivery) in enumerate(deliveries, 1):
        event = delivery.header(event_header)
        name = f"{provider}-r{number:02d}"
        captured = {
            "id": name,
            "provider": provider,
            "scheme": scheme,
            "title": f"{event}: {title}",
            "source": {
                "kind": "captured",
                "ref": VERSIONS[provider],
                "note": "by scripts/record.py",
            },
            "request": {
                "method": "POST",
                "path": f"/webhook/{provider}",
                "headers": [list(pair) for pair in delivery.headers],
                "body_utf8": delivery.body.decode(),
            },
            "config": config,
            "expect": {"outcome": "accept", "event_type": event},
        }
        text = json.dumps(captured, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
        print(f"{name}: {event}: {title}", flush=True)


def main() -> int:
    work = Path(tempfile.mkdtemp(prefix="helios-record-"))
    try:
        token = {
            "header": "Authorization",
            "secret": TOKEN,
            "extract": {"event_type": "header:X-Strapi-Event"},
        }
        write("strapi", "static_token", token, "x-strapi-event", strapi(work / "strapi"))
        signed = {"secret": SECRET}
        write("vendure", "vendure", signed, "x-vendure-event", vendure(work / "vendure"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
