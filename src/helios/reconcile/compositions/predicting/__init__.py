"""Foresees drift: what is known to run out, what climbs, what comes back at its own pace.

Pure but for `memory`, which keeps what looking measures; nothing here writes anywhere, and nothing
that is foreseen is ever mended for being foreseen. `prediction` has the values, `progressing`
turns them into events, and every prediction is scored by what came of it.
"""
