"""The mask over what is told."""

import base64
import json
import urllib.parse

from hypothesis import given
from hypothesis import strategies as st

from helios.heal import masking
from helios.kernel import secret

SECRETS = st.text(min_size=masking.CHARS_MIN, max_size=60).filter(
    lambda text: "*" not in text and len(text.strip()) >= masking.CHARS_MIN
)


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_found_however_it_is_written(hidden: str, before: str, after: str) -> None:
    try:
        raw = hidden.encode()
    except UnicodeEncodeError:
        return
    mask = masking.Mask()
    mask.hide(secret.Secret(hidden))
    for written in (
        hidden,
        urllib.parse.quote(hidden, safe=""),
        urllib.parse.quote_plus(hidden),
        base64.b64encode(raw).decode(),
        json.dumps(hidden, ensure_ascii=False)[1:-1],
    ):
        assert mask.text(f"{before}«{written}»{after}").count(written) <= (
            f"{before}«»{after}".count(written)
        )


def test_what_is_short_is_not_masked() -> None:
    mask = masking.Mask()
    mask.hide(secret.Secret("abc"))
    assert mask.text("abc abc") == "abc abc"


def test_bytes_that_are_no_text_are_masked_in_base64() -> None:
    mask = masking.Mask()
    mask.hide(secret.Secret(b"\xff\xfe\xfd\xfc\xfb"))
    assert base64.b64encode(b"\xff\xfe\xfd\xfc\xfb").decode() not in mask.text("//79/Ps= there")


def test_values_keep_their_shape() -> None:
    mask = masking.Mask()
    mask.hide(secret.Secret("canary"))
    value = {"a": [1, None, True, "a canary"], "canary": {"b": ("canary",)}}
    assert mask.value(value) == {"a": [1, None, True, "a ***"], "***": {"b": ["***"]}}
