"""The options of a source, read from the `config` of a captured delivery.

Who captured it may have called things by other names than the adapters do, and may not have said
how the sender authenticates because it goes without saying. What is told here in the one way or
the other becomes the options that a declared source would have.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from helios.providers import authentication, ports

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "header": ("header_name", "secret_header", "token_header", "signature_header"),
    "hash": ("algorithm", "hash_function"),
    "query_key": ("query_param", "query_parameter"),
    "tolerance_s": ("tolerance", "max_age_s", "ttl_s"),
    "skew_s": ("skew", "leeway_s", "tolerance_s"),
    "topic_arns": ("topic_arn", "topics", "allowed_topics"),
    "topics": ("topic", "allowed_topics"),
    "origins": ("origin", "allowed_origin", "allowed_origins"),
    "webhook_id": ("webhookId",),
    "service_account": ("email", "service_account_email"),
    "audience": ("aud",),
    "shop": (
        "shop_domain", "shops", "expected_shop", "tenant_shop", "route_shop", "domain", "store",
        "site", "store_url", "source_url", "tenant_domain",
    ),
}  # fmt: skip
_WAYS: Mapping[str, authentication.Way] = {
    "static_token": "token",
    "api_key": "token",
    "basic": "basic",
    "generic_hmac": "hmac",
    "standard_webhooks": "standard-webhooks",
    "none": "none",
}
_MODES = ("raw", "sqs", "auto")


def read(
    provider: ports.Provider, scheme: str | None, config: Mapping[str, Any], *, secrets: bool
) -> tuple[dict[str, Any], frozenset[str]]:
    """The options of an adapter.

    Args:
        provider: whose options.
        scheme: how the file says that it is verified.
        config: of the file.
        secrets: whether the file holds any.

    Returns:
        The options by their names, and the names in `config` that they were read from.
    """
    known = {field.name: field for field in msgspec.structs.fields(provider.Options)}
    options: dict[str, Any] = {}
    used = set()
    for name, field in known.items():
        for alias in (name, *_ALIASES.get(name, ())):
            if config.get(alias) is not None:
                options[name] = _fitting(config[alias], field.default)
                used.add(alias)
                break
    for name, spell in _SPELLINGS.items():
        if type(options.get(name)) is str:
            options[name] = spell(options[name])
    if "shop" in known and "shop" not in options and "." in str(config.get("tenant", "")):
        options["shop"] = config["tenant"]
    if "authentication" in known and "authentication" not in options:
        way = _way(scheme, config, options, secrets=secrets)
        options |= {} if way is None else {"authentication": way}
    return options, frozenset(used)


def _fitting(value: Any, default: Any) -> Any:
    """A value in the shape of the option: a list where that is one, and the other way round."""
    if type(default) is tuple and type(value) is str:
        return [value]
    if type(value) is list and len(value) == 1 and type(default) is not tuple:
        return value[0]
    return value


def _way(
    scheme: str | None, config: Mapping[str, Any], options: Mapping[str, Any], *, secrets: bool
) -> authentication.Way | None:
    """How the sender authenticates; None: as the adapter has it."""
    if scheme is not None and scheme in _WAYS:
        return _WAYS[scheme]
    if "username" in config and "password" in config:
        return "basic"
    if not secrets:
        return "none"
    if "hash" in options or "encoding" in options:
        return "hmac"
    texts = [config.get("secret"), *(config.get("secrets") or [])]
    if any(str(text).startswith(("whsec_", "whpk_")) for text in texts):
        return "standard-webhooks"
    return None


_SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "hash": lambda text: text.lower().replace("-", "").replace("hmac", ""),
    "encoding": lambda text: text.lower(),
    "mode": lambda text: text if text in (*_MODES, "token", "signed") else _mode(text),
}


def _mode(text: str) -> str:
    return "sqs" if text.lower().startswith("sqs") else "auto"
