"""What can be set for a Kafka source, and what cannot."""

from typing import Any

import pytest

from helios.drivers.kafka import options
from helios.kernel import errors, secret

GOOD: dict[str, Any] = {"bootstrap": "b:1", "topics": ["orders"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bootstrap": "b:1"}, "name topics, or give a pattern"),
        ({"topics": ["orders"]}, "bootstrap"),
        ({**GOOD, "plugin.library.paths": "evil"}, "plugin.library.paths"),
        ({**GOOD, "topics": ["a b"]}, "options.topics"),
        ({**GOOD, "pattern": "("}, "not a regular expression"),
        ({**GOOD, "format": "xml"}, "options.format"),
        ({**GOOD, "batch_max": 0}, "options.batch_max"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidInputError, match=message):
        options.parse(given)


def test_a_pattern_fits_whole_names_and_never_the_topics_of_kafka_itself() -> None:
    parsed = options.parse({**GOOD, "pattern": "(shop|__.*)\\..*"})
    known = {"shop.a", "my.shop.a", "__consumer_offsets", "__x.y"}
    assert options.wanted_topics(parsed, known) == ["orders", "shop.a"]


def test_a_log_in_needs_its_credentials() -> None:
    parsed = options.parse({**GOOD, "security": "sasl_tls"})
    with pytest.raises(errors.InvalidInputError, match="username"):
        options.connection_settings(parsed, {})
    credentials = {"username": secret.Secret("me"), "password": secret.Secret("hush")}
    made = options.connection_settings(parsed, credentials)
    assert made["security.protocol"] == "sasl_ssl"
    assert (made["sasl.username"], made["sasl.password"]) == ("me", "hush")
    assert "hush" not in repr(parsed)


def test_a_client_certificate_needs_its_key() -> None:
    parsed = options.parse({**GOOD, "security": "tls"})
    with pytest.raises(errors.InvalidInputError, match="needs its key"):
        options.connection_settings(parsed, {"client_certificate": secret.Secret("pem")})


def test_offsets_are_never_committed_by_the_library() -> None:
    made = options.consumer_settings(options.parse(GOOD), {}, "g")
    assert made["enable.auto.commit"] is False
    assert made["enable.auto.offset.store"] is False
