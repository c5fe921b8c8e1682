"""Looks at what is really there of a declared stack. Reads only.

    composite ──> providing      a provider: its source, its address, its credential
              ├─> hooking        an integration: its webhook, its configuration
              ├─> contents       a type of content: how much, how old, as we believe it to be?
              └─> resourcing     a resource: asks the check of its kind

What is asked of a provider goes through `cache` (many stacks share one provider) and `patience`
(one provider is not asked too much at a time, nor while it wants to be left alone). What cannot be
seen is unknown: silence, a time-out, a refused listing are no evidence that something is gone.
"""
