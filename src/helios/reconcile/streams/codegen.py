"""The matching loop, written out for one contract.

The loop runs once per event, so everything that is the same for all events is decided here and not
there: which legs there are, where the key stands, whether there are conditions, which window. What
is rare (a second event of a leg, a verdict other than matched, a passing deadline) is a call into
the engine. The generated text is Python and can be read: `Engine.source`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from helios.reconcile.streams import compact, layout, program, screen, times


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

    @property
    def retains(self) -> bool:
        """Whether closed states are still known."""
        return self.chosen or self.live


class Loop(msgspec.Struct, frozen=True):
    """What is generated.

    Attributes:
        process: matches a batch of events.
        shrink: takes from matched keys what nothing needs once they were told; None: nothing.
        end: lets go of the decided among the states given whose time this second is, and returns
            the others of that second.
    """

    process: Callable[[Sequence[Any]], None]
    shrink: Callable[[Sequence[tuple[layout.State, Any]]], None] | None
    end: Callable[[Sequence[layout.State], int], list[layout.State]]


class _Text:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def add(self, text: str, deeper: int = 0) -> None:
        self.lines.append("    " * (self.depth + deeper) + text)


def generate(compiled: program.Program, flavour: Flavour, *, flat: bool) -> str:
    """The source of `make(engine, …)`, which returns the parts of a `Loop`.

    Args:
        compiled: the contract.
        flavour: where events come from.
        flat: the payload's fields are in the event itself, not in its `h_payload`.
    """
    out = _Text()
    marks = _marks(compiled)
    count = len(set(marks.values()))
    out.add("def make(engine, epoch, hash, str, bits, mask, one):")
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
            _mark(out, marks[leg.index], count, flavour)
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
    _shrink(out, compiled, flavour)
    _end(out, compiled, flavour)
    out.add("return process, shrink, end")
    return "\n".join(out.lines) + "\n"


def _shrink(out: _Text, compiled: program.Program, flavour: Flavour) -> None:
    """What becomes of keys that were matched, once that has been told."""
    if not shrinks(compiled, flavour):
        out.add("shrink = None")
        return
    last = len(compiled.legs) - 1
    slots = [f"s[{layout.ids(leg.index)}]" for leg in compiled.legs]
    out.add("def shrink(keys):")
    out.add("for s, _ in keys:", 1)
    text = "\\0".join(f"{{{slot}}}" for slot in slots)
    out.add(f"{' = '.join(slots)} = f'{text}'", 2)
    out.add(f"del s[{layout.ids(last) + 1}:]", 2)


def _end(out: _Text, compiled: program.Program, flavour: Flavour) -> None:
    """Of what falls due in a second: lets go of what is decided, gives back the rest."""
    out.add("def end(states, at):")
    out.depth += 1
    out.add(f"due = [s for s in states if s[{layout.NEXT}] == at]")
    if uniform(compiled):
        out.add("rest = []")
        if flavour.screened:
            out.add("close = engine.screen.closings.append")
        out.add("for s in due:")
        out.depth += 1
        out.add(f"if s[{layout.STATUS}] > 0 and s[{layout.LEFT}] == 0:")
        out.add(f"s[{layout.NEXT}] = None; k = s[{layout.GROUP}]; del open_[k]", 1)
        if flavour.retains:
            out.add("closed[k] = s", 1)
        if flavour.screened:
            out.add("h = hash(k); close(h); bits[h & mask] |= one[h >> 61]", 1)
        out.add("else:")
        out.add("rest.append(s)", 1)
        out.depth -= 1
        out.add("return rest")
    else:
        out.add("return due")
    out.depth -= 1


def _bind(out: _Text, compiled: program.Program) -> None:
    """What the loop uses, as locals of the function around it."""
    out.add("open_ = engine.open; get = open_.get; closed = engine.closed")
    out.add("buckets = engine.buckets; bucket_get = buckets.get")
    out.add("matched = engine.matched.append; chosen = engine.chosen")
    for i, leg in enumerate(compiled.legs):
        out.add(f"offset{i} = engine.offset({i})")
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


def mark_sources(compiled: program.Program) -> dict[str, int]:
    """Number of the watermark by source; of a leg of any source, by the leg's name."""
    marks = _marks(compiled)
    return {leg.leg.source or f":{leg.leg.name}": marks[leg.index] for leg in compiled.legs}


def marks_count(compiled: program.Program) -> int:
    """How many sources have a watermark of their own."""
    return len(set(_marks(compiled).values()))


def _mark(out: _Text, mark: int, count: int, flavour: Flavour) -> None:
    saves = "; ".join(f"marks[{m}] = m{m}" for m in range(count))
    moves = f"{saves}; engine.advance(ev); tick_at = engine.tick_at"
    if flavour.live:
        out.add(f"if t > m{mark}:")
        out.add(f"m{mark} = t", 1)
        out.add("if t >= tick_at:", 1)
        out.add(moves, 2)
        return
    # A mark below `tick_at` holds the watermark where it is, whatever it is.
    out.add(f"if t >= tick_at and t > m{mark}:")
    out.add(f"m{mark} = t; {moves}", 1)


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
            out.add(f"g = engine.session(k, us, {leg.index}, ev); w = g[1]")
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
    if flavour.retains:
        out.add(f"if closed and {group} in closed:")
        out.add(f"engine.late(closed[{group}], {i}, p, ev)", 1)
        out.add("else:")
        out.depth += 1
    _open(out, compiled, leg, flavour, group=group, start=start)
    out.depth -= 2 if flavour.retains else 1
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


def shrinks(compiled: program.Program, flavour: Flavour) -> bool:
    """Whether of a matched key only the ids are kept, in one text, and when it ends."""
    return (
        sheds(compiled, flavour)
        and uniform(compiled)
        and all(leg.leg.required for leg in compiled.legs)
    )


def _stored(compiled: program.Program, leg: program.BoundLeg, flavour: Flavour) -> dict[int, str]:
    """What an event puts into the slots of its leg."""
    i, form = leg.index, kept(compiled, flavour)[leg.index]
    left, right = ("[", "]") if leg.leg.cardinality == "many" else ("", "")
    slots = {layout.ids(i): f"{left}ev.h_id{right}"}
    if form.attribute == compact.WHOLE:
        slots[layout.payloads(i)] = f"{left}p{right}"
    elif form.attribute is not None:
        slots[layout.payloads(i)] = f"p.{form.attribute}"
    if flavour.live:
        slots[layout.positions(i, len(compiled.legs))] = f"{left}ev.position{right}"
    return slots


def _store(out: _Text, compiled: program.Program, leg: program.BoundLeg, flavour: Flavour) -> None:
    slots = _stored(compiled, leg, flavour)
    out.add("; ".join(f"s[{slot}] = {text}" for slot, text in slots.items()))


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
    conditional = any(bound.within_when for bound in compiled.legs)
    if per_key and not conditional:
        _second(out, flavour, i)
    slots = {layout.GROUP: group, layout.BASE: "t", **_stored(compiled, leg, flavour)}
    if per_key and not conditional:
        slots[layout.NEXT] = "sec"
    elif not per_key:
        slots |= {layout.START: start, layout.END: "us"}
    out.add(f"s = {_new(compiled, leg, flavour, slots)}")
    if flavour.screened:
        out.add(f"h = hash({_screen(compiled, group)})")
        # Of a byte that nothing was noted in there is no need to see the bits.
        out.add("if (noted := bits[h & mask]) and noted & one[h >> 61]:")
        out.add("engine.suspect(s, ev)", 1)
    if flavour.chosen:
        out.add("if seen < since:")
        out.add(f"s[{layout.STATUS}] = {layout.MUTED}", 1)
    out.add(f"open_[{group}] = s")
    if conditional:
        out.add(f"engine.opened(s, {i}, p, ev)")
    elif per_key:
        out.add("if sec > engine.qwm:")
        out.depth += 1
        _bucket(out)
        out.depth -= 1
        out.add("else:")
        out.add("engine.overdue(s, ev)", 1)
    else:
        out.add("engine.schedule_new(s, ev)")
    if _alone(compiled, leg):
        out.add(f"if {group} in open_:")
        out.add("engine.judge_event(s, ev)", 1)


def _new(
    compiled: program.Program, leg: program.BoundLeg, flavour: Flavour, slots: Mapping[int, str]
) -> str:
    """The display of a state that a leg opens: one list made in one go."""
    required = sum(bound.leg.required for bound in compiled.legs)
    state = layout.empty(len(compiled.legs), required - leg.leg.required, live=flavour.live)
    shown = [repr(value) for value in state]
    for slot, text in slots.items():
        shown[slot] = text
    return f"[{', '.join(shown)}]"


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
    if not leg.leg.required:
        # A key matched without this leg must be told of before the leg is part of it.
        out.add(f"if s[{layout.STATUS}] != 0:")
        out.add("engine.settle(s)", 1)
    _store(out, compiled, leg, flavour)
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
        out.add(f"if s[{layout.STATUS}] != 0:")
        out.add("engine.judge_event(s, ev)", 1)
        out.depth -= 1
    else:
        out.add(f"elif s[{layout.STATUS}] != 0:")
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
    if held and not shrinks(compiled, flavour) and sheds(compiled, flavour):
        out.add(" = ".join([f"s[{layout.payloads(i)}]" for i in held] + ["None"]), 1)
    out.add("else:")
    out.add("engine.judge_event(s, ev)", 1)


def build(source: str, name: str, engine: Any, *, epoch: Any, bits: bytearray | None) -> Loop:
    """Compile generated source and bind it to an engine."""
    namespace: dict[str, Any] = {"MICROSECOND": times.MICROSECOND}
    exec(compile(source, f"<contract {name}>", "exec"), namespace)  # noqa: S102 - our own text
    made = namespace["make"](engine, epoch, hash, str, bits, screen.MASK, screen.ONE)
    return Loop(*made)
