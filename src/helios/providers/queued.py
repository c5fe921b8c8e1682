"""Events in messages of queues, where nobody but the options knows what a message says.

The same `extract` as for webhooks: `json:path` is a member of the body, `header:NAME` an attribute
of the message.
"""

from collections.abc import Mapping

import msgspec

from helios.providers import extracting, ports, reading


def placed(
    body: bytes, attributes: Mapping[str, str], extract: Mapping[str, str], usual: ports.Received
) -> ports.Received:
    """The event of a message, with what the options say instead of what is usual.

    Raises:
        UnprocessableError: `missing_id`: the options say where the id is, and it is not there;
            `invalid_json`.
    """
    if not extract:
        return usual
    delivery = ports.Delivery(method="", path="", headers=tuple(attributes.items()), body=body)
    found = extracting.placed(delivery, extract, reading.read(body), _unnamed(usual, extract))
    if found.id is None:
        # The queue's own id would do, and hide that the sender's copies are not told apart.
        place = extract["event_id"]
        raise ports.UnprocessableError(
            "missing_id", f"the source's id is {place}, and the message has none"
        )
    return found


def _unnamed(usual: ports.Received, extract: Mapping[str, str]) -> ports.Received:
    if "event_id" not in extract:
        return usual
    return msgspec.structs.replace(usual, id=None, scope=None)
