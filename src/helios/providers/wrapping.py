"""What is no JSON object becomes the payload of an event, without loss.

The same forms as for the data of a CloudEvent: an object is the payload byte for byte, any other
JSON value is `{"data": value}`, anything else is `{"data_base64": "…"}`, and nothing is `{}`.
"""

import base64

from helios.kernel import errors, jsonio


def payload(body: bytes) -> bytes:
    """The payload that keeps a body."""
    text = body.strip(b" \t\r\n")
    if not text:
        return b"{}" if not body else binary(body)
    try:
        value = jsonio.parse(text)
    except errors.InvalidInputError:
        return binary(body)
    return text if type(value) is dict else json_value(text)


def json_value(text: bytes) -> bytes:
    """The payload that keeps a JSON value which is no object; `text` is known to be JSON."""
    return b'{"data":' + text + b"}"


def binary(body: bytes) -> bytes:
    """The payload that keeps bytes."""
    return b'{"data_base64":"' + base64.b64encode(body) + b'"}'
