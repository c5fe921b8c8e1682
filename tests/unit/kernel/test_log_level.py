"""The log level is changed for loggers that are there already."""

import io
from collections.abc import Iterator

import pytest
import structlog

from helios.kernel import logs

_there_already = structlog.get_logger("helios.test")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    before = structlog.get_config()
    stream = io.StringIO()
    logs.configure("info", "json", stream=stream)
    yield stream
    structlog.configure(**before)


def test_a_level_holds_from_the_next_message_on(out: io.StringIO) -> None:
    _there_already.info("one")
    logs.set_level("error")
    _there_already.info("two")
    structlog.get_logger("helios.other").warning("three")
    _there_already.error("four")
    logs.set_level("debug")
    _there_already.debug("five")
    said = out.getvalue()
    assert [word for word in ("one", "two", "three", "four", "five") if word in said] == [
        "one",
        "four",
        "five",
    ]
    assert said.count('"level": "error"') == 1
