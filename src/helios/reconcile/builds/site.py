"""Declarations of sites: what content they show, how they are built, where the result goes."""

import hashlib
import re
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

import msgspec

from helios.eventlog import envelope
from helios.kernel import durations, yamldoc

API_VERSION = "helios.io/v1"
KIND = "Site"
ENV_MAX = 64
ARGUMENTS_MAX = 64
ATTEMPTS_MAX = 10

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_REFERENCE = re.compile(r"(env|file|secret):.+")
_OWN = "HELIOS_"

Stage: TypeAlias = Literal["published", "draft"]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The content that a site shows; None: all sources, all types."""

    sources: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    stage: Stage = "published"


class Command(msgspec.Struct, frozen=True, kw_only=True, tag="command"):
    """Run a program on this machine.

    Attributes:
        command: program and arguments; no shell reads them.
        workdir: where, below the server's `builds_root`.
    """

    command: tuple[str, ...]
    workdir: str = "."


class CodeBuild(msgspec.Struct, frozen=True, kw_only=True, tag="codebuild"):
    """Start a project of AWS CodeBuild, and wait for it.

    Attributes:
        endpoint_url: another address than AWS's, for tests.
        credentials: references to `access_key_id` and `secret_access_key`; without them those of
            the machine.
    """

    project: str
    region: str
    endpoint_url: str | None = None
    credentials: dict[str, str] = {}


class Hook(msgspec.Struct, frozen=True, kw_only=True, tag="webhook"):
    """Post to the build hook of a host.

    Attributes:
        url: where; a reference to a secret when the address itself is one. The host builds by
            itself; a 2xx answer is all that is known of it.
    """

    url: str
    method: Literal["POST", "PUT"] = "POST"


Executor: TypeAlias = Command | CodeBuild | Hook


class Folder(msgspec.Struct, frozen=True, kw_only=True, tag="folder"):
    """Publish into a folder of this machine: a link that is switched in one step.

    Attributes:
        output: what to publish, below the work directory.
        folder: the link to switch, below the server's `builds_root`.
        keep: so many releases stay beside it.
        clean: empty the output before each build. Many generators leave pages there whose content
            is gone.
    """

    output: str
    folder: str
    keep: int = 3
    clean: bool = False


class Bucket(msgspec.Struct, frozen=True, kw_only=True, tag="s3"):
    """Publish into an S3 bucket.

    Attributes:
        prefix: before every key.
        prune: delete keys below the prefix that the build did not make.
        endpoint_url, credentials: as of `CodeBuild`.
        clean: as of `Folder`.
    """

    output: str
    bucket: str
    region: str
    prefix: str = ""
    prune: bool = False
    endpoint_url: str | None = None
    credentials: dict[str, str] = {}
    clean: bool = False


Publish: TypeAlias = Folder | Bucket


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """A declared site.

    Attributes:
        quiet: so long nothing must change before a build begins, in microseconds.
        max_delay: but no change waits longer than this, in microseconds.
        timeout: longest time of one build, in microseconds.
        attempts: how often a build that fails is tried, until something changes again.
        env: variables for the build.
        secrets: the same from secrets: variable -> reference; masked in the log.
        text: the document.
    """

    name: str
    client_id: str
    description: str
    content: Watched
    quiet: int
    max_delay: int
    timeout: int
    attempts: int
    executor: Executor
    env: dict[str, str]
    secrets: dict[str, str]
    publish: Publish | None
    text: str

    @property
    def hash(self) -> str:
        """Digest of the document."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse(text: str, *, source: str | None = None) -> Site:
    """Read a declaration.

    Args:
        text: YAML, or JSON.
        source: its file name, for error messages.

    Raises:
        InvalidInputError: with line, column, field and what was expected.
    """
    root = yamldoc.parse(text, source=source)
    top = root.fields(
        ("apiVersion", "kind", "metadata", "spec"), ("apiVersion", "kind", "metadata", "spec")
    )
    top["apiVersion"].choice((API_VERSION,))
    top["kind"].choice((KIND,))
    meta = top["metadata"].fields(("name", "client_id", "description", "labels"), ("name",))
    known = ("content", "quiet", "max_delay", "timeout", "attempts", "build", "publish")
    spec = top["spec"].fields(known, ("build",))
    quiet = _span(spec.get("quiet"), "5s")
    max_delay = _span(spec.get("max_delay"), "60s")
    if max_delay < quiet:
        raise spec.get("max_delay", top["spec"]).error("expected at least the quiet period")
    executor, env, secrets = _build(spec["build"])
    publish = _publish(spec["publish"]) if "publish" in spec else None
    if publish is not None and not isinstance(executor, Command):
        raise spec["publish"].error("only what a command builds here can be published from here")
    return Site(
        name=_name(meta["name"]),
        client_id=(
            meta["client_id"].string(chars_max=128)
            if "client_id" in meta
            else envelope.DEFAULT_TENANT
        ),
        description=meta["description"].scalar() if "description" in meta else "",
        content=_watched(spec.get("content")),
        quiet=quiet,
        max_delay=max_delay,
        timeout=_span(spec.get("timeout"), "10m"),
        attempts=spec["attempts"].integer(1, ATTEMPTS_MAX) if "attempts" in spec else 3,
        executor=executor,
        env=env,
        secrets=secrets,
        publish=publish,
        text=text,
    )


def _name(node: yamldoc.Node) -> str:
    value = node.string(chars_max=63)
    if not _NAME.fullmatch(value):
        raise node.error("expected lower case letters, digits and dashes, starting with a letter")
    return value


def _span(node: yamldoc.Node | None, default: str) -> int:
    return durations.parse(default) if node is None else node.positive_duration()


def _watched(node: yamldoc.Node | None) -> Watched:
    if node is None:
        return Watched()
    fields = node.fields(("sources", "types", "stage"))
    stage: Stage = "published"
    if "stage" in fields:
        stage = fields["stage"].choice(("published", "draft"))
    return Watched(
        sources=_words(fields["sources"]) if "sources" in fields else None,
        types=_words(fields["types"]) if "types" in fields else None,
        stage=stage,
    )


def _words(node: yamldoc.Node) -> tuple[str, ...]:
    words = tuple(element.string() for element in node.elements())
    if not words:
        raise node.error("expected at least one; leave the field out for all")
    return words


def _build(node: yamldoc.Node) -> tuple[Executor, dict[str, str], dict[str, str]]:
    entries = dict(node.items())
    if "type" not in entries:
        raise node.error("field 'type' is missing: command, codebuild or webhook")
    kind = entries["type"].choice(("command", "codebuild", "webhook"))
    own = {
        "command": (("command", "workdir"), ("command",)),
        "codebuild": (
            ("project", "region", "endpoint_url", "credentials"),
            ("project", "region"),
        ),
        "webhook": (("url", "method"), ("url",)),
    }
    allowed, required = own[kind]
    shared = ("type",) if kind == "webhook" else ("type", "env", "secrets")
    fields = node.fields((*shared, *allowed), required)
    env = _env(fields["env"]) if "env" in fields else {}
    secrets = _references(fields["secrets"], variables=True) if "secrets" in fields else {}
    for name in secrets:
        if name in env:
            raise fields["secrets"].error(f"{name} stands in env too")
    return _executor(kind, fields), env, secrets


def _executor(kind: str, fields: dict[str, yamldoc.Node]) -> Executor:
    if kind == "command":
        words = fields["command"].elements()
        if not 1 <= len(words) <= ARGUMENTS_MAX:
            raise fields["command"].error(f"expected 1 to {ARGUMENTS_MAX} words")
        return Command(
            command=tuple(word.string(chars_max=4096) for word in words),
            workdir=_path(fields["workdir"]) if "workdir" in fields else ".",
        )
    if kind == "codebuild":
        return CodeBuild(
            project=fields["project"].string(chars_max=255),
            region=fields["region"].string(chars_max=32),
            endpoint_url=_optional(fields.get("endpoint_url")),
            credentials=_credentials(fields.get("credentials")),
        )
    url = fields["url"].string(chars_max=2048)
    if not _REFERENCE.fullmatch(url) and not url.startswith(("https://", "http://")):
        raise fields["url"].error("expected https://… or a reference such as env:BUILD_HOOK_URL")
    if "method" in fields and fields["method"].choice(("POST", "PUT")) == "PUT":
        return Hook(url=url, method="PUT")
    return Hook(url=url)


def _publish(node: yamldoc.Node) -> Publish:
    fields = node.fields(("output", "clean", "folder", "keep", "s3"), ("output",))
    output = _path(fields["output"])
    clean = "clean" in fields and fields["clean"].boolean()
    if clean and PurePosixPath(output) == PurePosixPath("."):
        raise fields["clean"].error("the output is the work directory itself: that is not emptied")
    if ("folder" in fields) == ("s3" in fields):
        raise node.error("expected either folder or s3")
    if "folder" in fields:
        keep = fields["keep"].integer(1, 100) if "keep" in fields else 3
        return Folder(output=output, folder=_path(fields["folder"]), keep=keep, clean=clean)
    bucket = fields["s3"].fields(
        ("bucket", "region", "prefix", "prune", "endpoint_url", "credentials"),
        ("bucket", "region"),
    )
    return Bucket(
        output=output,
        bucket=bucket["bucket"].string(chars_max=63),
        region=bucket["region"].string(chars_max=32),
        prefix=bucket["prefix"].string(chars_max=512) if "prefix" in bucket else "",
        prune="prune" in bucket and bucket["prune"].boolean(),
        endpoint_url=_optional(bucket.get("endpoint_url")),
        credentials=_credentials(bucket.get("credentials")),
        clean=clean,
    )


def _path(node: yamldoc.Node) -> str:
    value = node.string(chars_max=1024)
    parts = value.replace("\\", "/").split("/")
    if value.startswith(("/", "~")) or ".." in parts or "\0" in value:
        raise node.error("expected a path below the server's builds_root, without '..'")
    return value


def _env(node: yamldoc.Node) -> dict[str, str]:
    found = {}
    for name, item in node.items():
        _check_variable(name, item)
        found[name] = item.scalar()
    if len(found) > ENV_MAX:
        raise node.error(f"at most {ENV_MAX} variables")
    return found


def _references(node: yamldoc.Node, *, variables: bool) -> dict[str, str]:
    found = {}
    for name, item in node.items():
        if variables:
            _check_variable(name, item)
        value = item.string(chars_max=1024)
        if not _REFERENCE.fullmatch(value):
            raise item.error(
                "expected a reference: env:NAME, file:PATH or secret:NAME; a declaration is kept "
                "for ever and must not hold the secret itself"
            )
        found[name] = value
    return found


def _check_variable(name: str, node: yamldoc.Node) -> None:
    if not _VARIABLE.fullmatch(name):
        raise node.error("a variable's name is letters, digits and underscores")
    if name.upper().startswith(_OWN):
        raise node.error(f"names that begin with {_OWN} are set by Helios")


def _credentials(node: yamldoc.Node | None) -> dict[str, str]:
    if node is None:
        return {}
    names = ("access_key_id", "secret_access_key")
    node.fields(names, names)
    return _references(node, variables=False)


def _optional(node: yamldoc.Node | None) -> str | None:
    return None if node is None else node.string(chars_max=2048)
