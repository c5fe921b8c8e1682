"""What looks at components show besides what is true: none of it is drift.

Everything here happens with real providers: answers that do not come, lists in another order,
numbers that are words, fields that the server keeps, a component that is gone for one look, looks
that come late or with a clock that is off. The truth stays where it is, see `stack_sim_outside`.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from helios.kernel import clock as clocks
from helios.reconcile.compositions import model
from helios.testing import stack_sim_outside

S = clocks.SECOND_US
SKEW_S = 4.0
Tree = Mapping[str, Any]
_replace = msgspec.structs.replace


class Noise:
    """Blurs looks.

    Args:
        rng: decides.
        rate: share of looks at a component that are blurred, each in one way.
        kinds: names of the ways; empty: all there are.

    Attributes:
        rate: may be changed at any time.
        counts: how often each way was taken.
    """

    def __init__(self, rng: random.Random, rate: float, kinds: tuple[str, ...] = ()) -> None:
        self._rng = rng
        self.rate = rate
        self._kinds = kinds or tuple(_WAYS)
        self._flapped: set[stack_sim_outside.Place] = set()
        self._before: dict[stack_sim_outside.Place, model.Seen] = {}
        self.counts: dict[str, int] = {}

    def blurred(self, place: stack_sim_outside.Place, seen: model.Seen) -> model.Seen:
        """A look as it arrives."""
        before = self._before.get(place)
        found = self._blurred(place, seen, before)
        self._before[place] = found
        return found

    def _blurred(
        self, place: stack_sim_outside.Place, seen: model.Seen, before: model.Seen | None
    ) -> model.Seen:
        has_flapped = place in self._flapped
        if self._rng.random() >= self.rate:
            self._flapped.discard(place)
            return seen
        kind = self._rng.choice(self._kinds)
        if kind in FLAPS and (has_flapped or seen.value is None):
            # What is so again before an honest look is no flapping for one look.
            return seen
        found = _WAYS[kind](seen, self._rng)
        if kind == "come late" and before is not None:
            found = before
        if found != seen:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if kind in FLAPS:
                self._flapped.add(place)
        return found


def _unknown(detail: str) -> Callable[[model.Seen, random.Random], model.Seen]:
    def way(seen: model.Seen, rng: random.Random) -> model.Seen:
        del rng
        return model.Seen(state="unknown", as_of=seen.as_of, detail=detail)

    return way


def _field_unknown(seen: model.Seen, rng: random.Random) -> model.Seen:
    if not seen.value:
        return seen
    name = rng.choice(sorted(seen.value))
    left = {each: value for each, value in seen.value.items() if each != name}
    return _replace(seen, value=left, unknown=(name,), detail=f"{name} cannot be read")


def _gone(seen: model.Seen, rng: random.Random) -> model.Seen:
    del rng
    return _replace(seen, state="absent", value=None)


def _wrong(seen: model.Seen, rng: random.Random) -> model.Seen:
    name = rng.choice(sorted(seen.value or {}))
    return _replace(seen, value={**(seen.value or {}), name: _OTHER.get(name, "elsewhere")})


_OTHER: Mapping[str, Any] = {
    "enabled": False,
    "healthy": False,
    "registered": False,
    "authorised": False,
    "delivering": False,
    "count": 0,
    "differs": 5,
    "headers": {},
    "events": [],
    "tags": {},
}


def _server(seen: model.Seen, rng: random.Random) -> model.Seen:
    own = {"updated_at": rng.randrange(1 << 32), "etag": f"{rng.randrange(1 << 32):x}", "id": 7}
    return _with(seen, {"_": own})


def _more(seen: model.Seen, rng: random.Random) -> model.Seen:
    return _with(seen, {f"extra{rng.randrange(5)}": rng.random(), "arn": "arn:aws:sqs:1"})


def _order(seen: model.Seen, rng: random.Random) -> model.Seen:
    found: dict[str, Any] = {}
    for name, value in (seen.value or {}).items():
        found[name] = value
        if isinstance(value, list):
            found[name] = [*rng.sample(value, len(value)), *rng.sample(value, min(1, len(value)))]
    return _with(seen, found)


def _words(seen: model.Seen, rng: random.Random) -> model.Seen:
    del rng
    return _with(seen, {name: _as_word(value) for name, value in (seen.value or {}).items()})


def _as_word(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return float(value)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value


def _url(seen: model.Seen, rng: random.Random) -> model.Seen:
    url = (seen.value or {}).get("url")
    if not isinstance(url, str):
        return seen
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    port = rng.choice(("", ":80"))
    return _with(seen, {"url": f"{scheme.upper()}://{host.upper()}{port}{slash}{path}"})


def _skewed(seen: model.Seen, rng: random.Random) -> model.Seen:
    off = int(rng.uniform(-SKEW_S, SKEW_S) * S)
    at = clocks.Timestamp(seen.as_of + off)
    witnesses = tuple(_replace(each, at=at) for each in seen.evidence)
    return _replace(seen, as_of=at, evidence=witnesses)


def _silent(seen: model.Seen, rng: random.Random) -> model.Seen:
    """Nobody has read it: only that nothing was heard speaks for what is there."""
    del rng
    if seen.value is None:
        return seen
    quiet = model.Evidence(kind="silence", witness="events", at=seen.as_of)
    return _replace(seen, evidence=(quiet,))


def _with(seen: model.Seen, fields: Mapping[str, Any]) -> model.Seen:
    return seen if seen.value is None else _replace(seen, value={**seen.value, **fields})


def _late(seen: model.Seen, rng: random.Random) -> model.Seen:
    del rng
    return seen


FLAPS = frozenset(("gone for one look", "wrong for one look"))
_WAYS: Mapping[str, Callable[[model.Seen, random.Random], model.Seen]] = {
    "not answered": _unknown("connection refused"),
    "asked too often": _unknown("429: too many requests"),
    "a field that cannot be read": _field_unknown,
    "gone for one look": _gone,
    "wrong for one look": _wrong,
    "fields of the server": _server,
    "fields nobody asked for": _more,
    "lists in another order": _order,
    "numbers as words": _words,
    "an address written otherwise": _url,
    "a clock that is off": _skewed,
    "come late": _late,
    "silence": _silent,
}
KINDS = tuple(_WAYS)
"""All ways in which looks are blurred."""
