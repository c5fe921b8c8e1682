"""Keeps the values of secrets out of what is told of an action."""

import base64
import urllib.parse
from collections.abc import Mapping
from typing import Any

from helios.kernel import jsonio, secret

MASK = "***"
CHARS_MIN = 4
"""Shorter values are not masked: they would turn the text into stars and protect nothing."""


class Mask:
    """Replaces what it was shown, also as it looks in JSON, in an address and in Base64."""

    def __init__(self) -> None:
        self._hidden: set[str] = set()

    def hide(self, value: secret.Secret) -> None:
        """From now on this value is masked. One that is no text is masked in Base64 only."""
        raw = value.reveal()
        if len(raw) < CHARS_MIN:
            return
        forms = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            self._hidden |= forms
            return
        forms |= {text, text.strip(), urllib.parse.quote(text), urllib.parse.quote(text, safe="")}
        forms.add(urllib.parse.quote_plus(text))
        forms.add(jsonio.encode(text).decode()[1:-1])
        self._hidden |= {form for form in forms if len(form) >= CHARS_MIN}

    def text(self, value: str) -> str:
        """The text with stars in place of what is hidden."""
        for each in sorted(self._hidden, key=len, reverse=True):
            value = value.replace(each, MASK)
        return value

    def value(self, value: Any) -> Any:
        """Likewise for JSON values, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.value(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(each) for each in value]
        return value
