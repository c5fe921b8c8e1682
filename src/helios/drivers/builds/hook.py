"""Starts builds at hosts that build by themselves, by their build hooks."""

from helios.kernel import outbound
from helios.reconcile.builds import ports
from helios.reconcile.builds import site as sites

TIMEOUT_S = 30.0
ATTEMPTS = 3


class HookExecutor:
    """`ports.Executor` for `site.Hook`.

    Args:
        client: for the call.
    """

    def __init__(self, client: outbound.Outbound) -> None:
        self._client = client

    async def run(self, job: ports.Job, log: ports.Log) -> str:
        declared = job.site.executor
        assert isinstance(declared, sites.Hook)
        hidden = job.credentials.get("url")
        answer = await self._client.send(
            outbound.Call(
                method=declared.method,
                url=declared.url if hidden is None else hidden.text,
                headers=(("idempotency-key", job.build_id),),
                timeout_s=TIMEOUT_S,
                attempts=ATTEMPTS,
                bytes_max=64 << 10,
            )
        )
        log.write(f"the build hook answers {answer.status}\n".encode() + answer.body + b"\n")
        if not answer.ok:
            raise ports.BuildError("remote", f"the build hook answers {answer.status}")
        return f"the build hook answers {answer.status}"
