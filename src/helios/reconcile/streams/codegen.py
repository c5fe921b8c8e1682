"""The matching loop, written out for one contract.

The loop runs once per event, so everything that is the same for all events is decided here and not
there: which legs there are, where the key stands, whether there are conditions, which window. What
is rare (a second event of a leg, a verdict other than matched, a passing deadline) is a call into
the engine. The generated text is Python and can be read: `Engine.source`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from helios.reconcile.streams import compact, layout, program, times


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """What varies with where the events come from.

    Attributes:
        ordered: events come in order of event time, so the time of each is the watermark.
        live: events carry their position in the log, and their time is in microseconds.
        screened: keys are not kept after their window; a filter tells those that come back.
        chosen: only the keys in `engine.chosen` are matched; the others move the watermark.
    """

    ordered: bool = False
    live: bool = False
    screened: bool = False
    chosen: bool = False


class _Text:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def add(self, text: str, deeper: int = 0) -> None:
        self.lines.append("    " * (self.depth + deeper) + text)


def generate(compiled: program.Program, flavour: Flavour, *, flat: bool) -> str:
    """The source of `make(engine, …)`, which returns `process(events)`.

    Args:
        compiled: the contract.
        flavour: where events come from.
        flat: the payload's fields are in the event itself, not in its `h_payload`.
    """
    out = _Text()
    marks = _marks(compiled)
    count = len(set(marks.values()))
    out.add("def make(engine, epoch, hash, str, bits, mask):")
    out.depth = 1
    _bind(out, compiled)
    out.add("def process(events):")
    out.depth = 2
    out.add("marks = engine.marks; tick_at = engine.tick_at; ignored = 0")
    for m in range(count):
        out.add(f"m{m} = marks[{m}]")
    if flavour.chosen:
        out.add("seen = engine.seen - 1")
    out.add("for ev in events:")
    out.depth = 3
    if flavour.chosen:
        out.add("seen += 1")
    out.add("kind = ev.h_type; t = ev.h_time")
    if flavour.ordered:
        out.add("if t >= tick_at:")
        out.add("engine.advance_to(t, ev); tick_at = engine.tick_at", 1)
    word = "if"
    for leg in compiled.legs:
        test = f"kind == {leg.leg.type!r}"
        if leg.leg.source is not None:
            test += f" and ev.h_source == {leg.leg.source!r}"
        out.add(f"{word} {test}:")
        out.depth += 1
        _leg(out, compiled, leg, flavour, flat=flat)
        if not flavour.ordered:
            _mark(out, marks[leg.index], count)
        out.depth -= 1
        word = "elif"
    out.add("else:")
    out.add("ignored += 1", 1)
    out.depth = 2
    if not flavour.ordered:
        for m in range(count):
            out.add(f"marks[{m}] = m{m}")
    out.add("engine.ignored += ignored; engine.seen += len(events)")
    out.depth = 1
    out.add("return process")
    return "\n".join(out.lines) + "\n"


def _bind(out: _Text, compiled: program.Program) -> None:
    """What the loop uses, as locals of the function around it."""
    out.add("open_ = engine.open; get = open_.get; closed = engine.closed")
    out.add("buckets = engine.buckets; bucket_get = buckets.get")
    out.add("matched = engine.matched.append; chosen = engine.chosen")
    for i, leg in enumerate(compiled.legs):
        out.add(f"template{i} = engine.template({i}); offset{i} = engine.offset({i})")
        if leg.require is not None:
            out.add(f"require{i} = engine.require_of({i})")
    if uniform(compiled):
        # With the same time for all legs the distance does not depend on which is missing.
        out.add(f"offset{len(compiled.legs)} = engine.offset({compiled.contract.anchor})")
    for i in range(len(compiled.rules)):
        out.add(f"rule{i} = engine.rule_of({i})")


def _marks(compiled: program.Program) -> Mapping[int, int]:
    """Which watermark each leg moves: that of its source, or its own where any source will do."""
    numbers: dict[object, int] = {}
    return {
        leg.index: numbers.setdefault(leg.leg.source or leg.index, len(numbers))
        for leg in compiled.legs
    }


def marks_count(compiled: program.Program) -> int:
    """How many sources have a watermark of their own."""
    return len(set(_marks(compiled).values()))


def _mark(out: _Text, mark: int, count: int) -> None:
    out.add(f"if t > m{mark}:")
    out.add(f"m{mark} = t", 1)
    out.add("if t >= tick_at:", 1)
    saves = "; ".join(f"marks[{m}] = m{m}" for m in range(count))
    out.add(f"{saves}; engine.advance(ev); tick_at = engine.tick_at", 2)


def _leg(
    out: _Text,
    compiled: program.Program,
    leg: program.BoundLeg,
    flavour: Flavour,
    *,
    flat: bool,
) -> None:
    out.add("p = ev" if flat else "p = ev.h_payload")
    out.add(f"k = p.{'.'.join(leg.key)}")
    depth = out.depth
    if not compiled.shared_key or len(leg.key) > 1:
        out.add("if k.__class__ is not str:")
        out.add("engine.no_key(ev)", 1)
        out.add("continue", 1)
    if leg.require is not None:
        out.add(f"if require{leg.index}(p, ev) is not True:")
        out.add("ignored += 1", 1)
        out.add("else:")
        out.depth += 1
    _window(out, compiled, leg, flavour)
    out.depth = depth


def _window(out: _Text, compiled: program.Program, leg: program.BoundLeg, flavour: Flavour) -> None:
    window = compiled.contract.window
    match window.type:
        case "per_key":
            _match(out, compiled, leg, flavour, group="k", start="None")
        case "tumbling":
            out.add("us = (t - epoch) // MICROSECOND" if not flavour.live else "us = t")
            out.add(f"w = us - us % {window.size}; g = (k, w)")
            _match(out, compiled, leg, flavour, group="g", start="w")
        case "sliding":
            out.add("us = (t - epoch) // MICROSECOND" if not flavour.live else "us = t")
            out.add(f"last = us - us % {window.every}")
            out.add(f"for w in range(last, us - {window.size}, -{window.every}):")
            out.depth += 1
            out.add("g = (k, w)")
            _match(out, compiled, leg, flavour, group="g", start="w")
        case "session":
            out.add("us = (t - epoch) // MICROSECOND" if not flavour.live else "us = t")
            if flavour.chosen:
                out.add("if k in chosen:")
                out.depth += 1
            out.add("g = engine.session(k, us, ev); w = g[1]")
            _match(out, compiled, leg, flavour, group="g", start="w")


def _match(
    out: _Text,
    compiled: program.Program,
    leg: program.BoundLeg,
    flavour: Flavour,
    *,
    group: str,
    start: str,
) -> None:
    i = leg.index
    depth = out.depth
    if flavour.chosen:
        out.add(f"since = chosen.get({_screen(compiled, group)})")
        out.add("if since is not None:")
        out.depth += 1
        out.add("if seen >= since:")
        out.add(f"engine.unmute({_screen(compiled, group)})", 1)
    out.add(f"s = get({group})")
    out.add("if s is None:")
    out.depth += 1
    out.add(f"if closed and {group} in closed:")
    out.add(f"engine.late(closed[{group}], {i}, p, ev)", 1)
    out.add("else:")
    out.depth += 1
    _open(out, compiled, leg, flavour, group=group, start=start)
    out.depth -= 2
    _join(out, compiled, leg, flavour)
    out.depth = depth


def _screen(compiled: program.Program, group: str) -> str:
    """By what a returning group is recognised; sessions have no identity but their key."""
    return "k" if compiled.contract.window.type == "session" else group


def kept(compiled: program.Program, flavour: Flavour) -> list[compact.Form]:
    """What the loop keeps of payloads."""
    return compact.forms(compiled) if flavour.screened else compact.whole(compiled)


def sheds(compiled: program.Program, flavour: Flavour) -> bool:
    """Whether a matched key lets go of its payloads at once.

    Should an event come for it after all, another pass judges it.
    """
    return (
        flavour.screened
        and compiled.contract.window.type == "per_key"
        and all(leg.leg.cardinality != "many" for leg in compiled.legs)
    )


def _store(
    out: _Text,
    leg: program.BoundLeg,
    flavour: Flavour,
    legs: int,
    form: compact.Form,
) -> None:
    i = leg.index
    many = leg.leg.cardinality == "many"
    left, right = ("[", "]") if many else ("", "")
    text = f"s[{layout.ids(i)}] = {left}ev.h_id{right}"
    if form.attribute == compact.WHOLE:
        text += f"; s[{layout.payloads(i)}] = {left}p{right}"
    elif form.attribute is not None:
        text += f"; s[{layout.payloads(i)}] = p.{form.attribute}"
    if flavour.live:
        at = layout.positions(i, legs)
        text += f"; s[{at}] = {left}ev.position{right}"
    out.add(text)


def _open(
    out: _Text,
    compiled: program.Program,
    leg: program.BoundLeg,
    flavour: Flavour,
    *,
    group: str,
    start: str,
) -> None:
    i = leg.index
    per_key = compiled.contract.window.type == "per_key"
    out.add(f"s = template{i}[:]; s[{layout.GROUP}] = {group}; s[{layout.BASE}] = t")
    if not per_key:
        out.add(f"s[{layout.START}] = {start}; s[{layout.END}] = us")
    if flavour.screened:
        out.add(f"h = hash({_screen(compiled, group)}) & mask")
        out.add("if bits[h >> 3] >> (h & 7) & 1:")
        out.add("engine.suspect(s, ev)", 1)
    if flavour.chosen:
        out.add("if seen < since:")
        out.add(f"s[{layout.STATUS}] = {layout.MUTED}", 1)
    _store(out, leg, flavour, len(compiled.legs), kept(compiled, flavour)[i])
    out.add(f"open_[{group}] = s")
    if per_key:
        _second(out, flavour, i)
        out.add(f"s[{layout.NEXT}] = sec")
        out.add("if sec > engine.qwm:")
        out.depth += 1
        _bucket(out)
        out.depth -= 1
        out.add("else:")
        out.add("engine.overdue(s, ev)", 1)
    else:
        out.add("engine.schedule_new(s, ev)")
    if any(bound.within_when for bound in compiled.legs):
        out.add(f"engine.conditions(s, {i}, p, ev)")
    if _alone(compiled, leg):
        out.add(f"if {group} in open_:")
        out.add("engine.judge_event(s, ev)", 1)


def _second(out: _Text, flavour: Flavour, offset: int) -> None:
    """`sec`: when a window that counts from `t` is looked at; `offset` says which distance."""
    if flavour.live:
        out.add(f"sec = t // {times.SECOND_US} + offset{offset}")
    else:
        out.add("d = t - epoch")
        out.add(f"sec = d.days * 86400 + d.seconds + offset{offset}")


def _bucket(out: _Text) -> None:
    out.add("b = bucket_get(sec)")
    out.add("if b is None:")
    out.add("buckets[sec] = [s]", 1)
    out.add("else:")
    out.add("b.append(s)", 1)


def uniform(compiled: program.Program) -> bool:
    """Whether all legs of a key have the same time, whatever has come."""
    return compiled.contract.window.type == "per_key" and not any(
        bound.leg.within is not None or bound.within_when for bound in compiled.legs
    )


def _alone(compiled: program.Program, leg: program.BoundLeg) -> bool:
    """Whether this leg alone completes a key."""
    return all(not other.leg.required or other is leg for other in compiled.legs)


def _join(out: _Text, compiled: program.Program, leg: program.BoundLeg, flavour: Flavour) -> None:
    i = leg.index
    out.add(f"elif s[{layout.ids(i)}] is None:")
    out.depth += 1
    _store(out, leg, flavour, len(compiled.legs), kept(compiled, flavour)[i])
    if compiled.contract.anchor == i:
        out.add(f"s[{layout.BASE}] = t")
    if any(bound.within_when for bound in compiled.legs):
        out.add(f"engine.conditions(s, {i}, p, ev)")
    if leg.leg.required:
        out.add(f"left = s[{layout.LEFT}] = s[{layout.LEFT}] - 1")
    else:
        out.add(f"left = s[{layout.LEFT}]")
    out.add("if left == 0:")
    out.depth += 1
    _complete(out, compiled, flavour)
    out.depth -= 1
    if compiled.contract.anchor == i:
        out.add("else:")
        out.depth += 1
        if uniform(compiled):
            _second(out, flavour, len(compiled.legs))
            out.add("if sec <= engine.qwm:")
            out.add("sec = engine.qwm + 1", 1)
            out.add(f"if sec != s[{layout.NEXT}]:")
            out.add(f"s[{layout.NEXT}] = sec", 1)
            out.depth += 1
            _bucket(out)
            out.depth -= 1
        else:
            out.add("engine.reschedule(s)")
        out.add(f"if s[{layout.STATUS}] > 0:")
        out.add("engine.judge_event(s, ev)", 1)
        out.depth -= 1
    else:
        out.add(f"elif s[{layout.STATUS}] > 0:")
        out.add("engine.judge_event(s, ev)", 1)
    out.depth -= 1
    out.add("else:")
    out.add(f"engine.more(s, {i}, p, ev)", 1)


def _complete(out: _Text, compiled: program.Program, flavour: Flavour) -> None:
    """All required legs are there: matched at once when every rule holds."""
    calls = []
    forms = kept(compiled, flavour)
    optional = {leg.index for leg in compiled.legs if not leg.leg.required}
    for n, rule in enumerate(compiled.rules):
        args = ", ".join(f"s[{layout.payloads(leg)}]" for leg in rule.legs)
        call = f"rule{n}({args}) is True"
        guards = [f"s[{layout.ids(leg)}] is None" for leg in rule.legs if leg in optional]
        calls.append(f"({' or '.join([*guards, call])})" if guards else call)
    test = " and ".join([f"s[{layout.STATUS}] == 0", *calls])
    out.add("try:")
    out.add(f"ok = {test}", 1)
    out.add("except Exception:")
    out.add("ok = False", 1)
    out.add("if ok:")
    out.add(f"s[{layout.STATUS}] = {layout.MATCHED}; matched((s, ev))", 1)
    held = [leg.index for leg in compiled.legs if forms[leg.index].attribute is not None]
    if held and sheds(compiled, flavour):
        out.add(" = ".join([f"s[{layout.payloads(i)}]" for i in held] + ["None"]), 1)
    out.add("else:")
    out.add("engine.judge_event(s, ev)", 1)


def build(
    source: str, name: str, engine: Any, *, epoch: Any, bits: bytearray | None, mask: int
) -> Callable[[Sequence[Any]], None]:
    """Compile generated source and bind it to an engine."""
    namespace: dict[str, Any] = {"MICROSECOND": times.MICROSECOND}
    exec(compile(source, f"<contract {name}>", "exec"), namespace)  # noqa: S102 - our own text
    made: Callable[[Sequence[Any]], None] = namespace["make"](engine, epoch, hash, str, bits, mask)
    return made
