"""What every storage of the log must do: a suite to run against yours.

    class TestMyStorage(log_conformance.LogStorageConformance):
        @contextlib.asynccontextmanager
        async def place(self):
            yield MyPlace(...)

A place is where one log lives. It gives out storages that are not open yet, all on the same data:
what a restart finds, or what another process would see. The tests go through `Log` wherever it is
`Log` and storage together that keep a promise.
"""

from helios.testing import (
    log_conformance_append,
    log_conformance_read,
    log_conformance_tenants,
)


class LogStorageConformance(
    log_conformance_append.AppendConformance,
    log_conformance_read.ReadConformance,
    log_conformance_tenants.TenantConformance,
):
    """The contract of `eventlog.ports.LogStorage`, test by test.

    A subclass gives `place`; see `log_samples.Place`.
    """
