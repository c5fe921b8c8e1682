"""Tables of DynamoDB as they are, and what changes them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from helios.drivers.aws import resource_writes, sessions
from helios.kernel import clock as clocks
from helios.reconcile.compositions import ports


class Pauses(msgspec.Struct, frozen=True):
    """How long to wait for a table that is being made or changed."""

    clock: clocks.Clock
    poll_s: float
    most_s: float


class Table:
    """A table of DynamoDB. See `resource_writes.Place`.

    Keys are `pk`, or `pk:N` when they are no texts.
    """

    def __init__(
        self, client: Any, steps: resource_writes.Steps, name: str, pauses: Pauses
    ) -> None:
        self._client = client
        self._steps = steps
        self._name = name
        self._pauses = pauses
        self._arn = ""

    async def current(self, names: Mapping[str, Any]) -> Mapping[str, Any] | None:
        told = await self._described()
        if told is None:
            return None
        found = _shown(told, names)
        if "ttl_attribute" in names:
            ttl = await self._client.describe_time_to_live(TableName=self._name)
            said = ttl.get("TimeToLiveDescription", {})
            is_on = said.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
            found["ttl_attribute"] = said.get("AttributeName") if is_on else None
        if "point_in_time_recovery" in names:
            kept = await self._client.describe_continuous_backups(TableName=self._name)
            said = kept["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
            found["point_in_time_recovery"] = said.get("PointInTimeRecoveryStatus") == "ENABLED"
        if "tags" in names:
            listed = await self._client.list_tags_of_resource(ResourceArn=self._arn)
            found["tags"] = {each["Key"]: each["Value"] for each in listed.get("Tags", ())}
        return found

    async def create(self, wanted: Mapping[str, Any]) -> None:
        if not wanted.get("partition_key"):
            raise ports.HealError(
                "unsupported", f"table {self._name} does not say its keys: partition_key, sort_key"
            )
        keys = [("HASH", wanted["partition_key"])]
        if wanted.get("sort_key"):
            keys.append(("RANGE", wanted["sort_key"]))
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeySchema": [{"AttributeName": _key(each)[0], "KeyType": kind} for kind, each in keys],
            "AttributeDefinitions": [
                {"AttributeName": _key(each)[0], "AttributeType": _key(each)[1]} for _, each in keys
            ],
            "BillingMode": wanted.get("billing_mode", "PAY_PER_REQUEST"),
        }
        if request["BillingMode"] == "PROVISIONED":
            request["ProvisionedThroughput"] = _throughput(wanted)
        if wanted.get("deletion_protection") is not None:
            request["DeletionProtectionEnabled"] = wanted["deletion_protection"] is True
        if wanted.get("stream"):
            request["StreamSpecification"] = _stream(wanted["stream"])
        made = await self._steps.write(self._client.create_table(**request))
        self._arn = made["TableDescription"]["TableArn"]
        await self._active()
        await self._extras(wanted, is_new=True)

    async def update(self, wanted: Mapping[str, Any]) -> None:
        request: dict[str, Any] = {}
        if "billing_mode" in wanted:
            request["BillingMode"] = wanted["billing_mode"]
        if {"read_capacity", "write_capacity"} & set(wanted):
            there = await self.current(dict.fromkeys(("read_capacity", "write_capacity"))) or {}
            request["ProvisionedThroughput"] = _throughput({**there, **wanted})
        if "deletion_protection" in wanted:
            request["DeletionProtectionEnabled"] = wanted["deletion_protection"] is True
        if "stream" in wanted:
            request["StreamSpecification"] = _stream(wanted["stream"])
        if request:
            await self._steps.write(self._client.update_table(TableName=self._name, **request))
            await self._active()
        await self._extras(wanted, is_new=False)

    async def _extras(self, wanted: Mapping[str, Any], *, is_new: bool) -> None:
        attribute = wanted.get("ttl_attribute")
        if attribute:
            said = {"Enabled": True, "AttributeName": str(attribute)}
            await self._steps.write(
                self._client.update_time_to_live(TableName=self._name, TimeToLiveSpecification=said)
            )
        recovery = wanted.get("point_in_time_recovery")
        if recovery is True or (recovery is not None and not is_new):
            await self._steps.write(
                self._client.update_continuous_backups(
                    TableName=self._name,
                    PointInTimeRecoverySpecification={
                        "PointInTimeRecoveryEnabled": recovery is True
                    },
                )
            )

        if wanted.get("tags"):
            tags = [{"Key": name, "Value": str(each)} for name, each in wanted["tags"].items()]
            await self._steps.write(self._client.tag_resource(ResourceArn=self._arn, Tags=tags))

    async def _described(self) -> Mapping[str, Any] | None:
        try:
            told = await self._client.describe_table(TableName=self._name)
        except sessions.failures() as error:
            if "ResourceNotFound" in sessions.said(error):
                return None
            raise
        found: Mapping[str, Any] = told["Table"]
        self._arn = str(found.get("TableArn", ""))
        return None if found.get("TableStatus") == "DELETING" else found

    async def _active(self) -> None:
        """Return when it can be used.

        Raises:
            HealError: it cannot be in time; it is there, or will be.
        """
        pauses = self._pauses
        ends = pauses.clock.monotonic() + pauses.most_s
        while True:
            told = await self._described()
            if told is not None and told.get("TableStatus") == "ACTIVE":
                return
            if pauses.clock.monotonic() + pauses.poll_s >= ends:
                raise ports.HealError(
                    "timeout", f"table {self._name} is not active yet", happened=True
                )
            await pauses.clock.sleep(pauses.poll_s)


def _shown(told: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    types = {a["AttributeName"]: a["AttributeType"] for a in told["AttributeDefinitions"]}
    found: dict[str, Any] = {"sort_key": None}
    for key in told["KeySchema"]:
        field = "partition_key" if key["KeyType"] == "HASH" else "sort_key"
        name = key["AttributeName"]
        # As it was asked for: with its type, or without.
        is_typed = ":" in str(names.get(field) or "")
        found[field] = f"{name}:{types[name]}" if is_typed else name
    billing = told.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    throughput = told.get("ProvisionedThroughput", {})
    found |= {
        "billing_mode": billing,
        "read_capacity": throughput.get("ReadCapacityUnits"),
        "write_capacity": throughput.get("WriteCapacityUnits"),
        "deletion_protection": told.get("DeletionProtectionEnabled", False),
        "stream": told.get("StreamSpecification", {}).get("StreamViewType"),
    }
    return {name: found.get(name) for name in names if name in found}


def _stream(value: Any) -> dict[str, Any]:
    if not value:
        return {"StreamEnabled": False}
    return {"StreamEnabled": True, "StreamViewType": str(value)}


def _key(value: Any) -> tuple[str, str]:
    name, _, kind = str(value).partition(":")
    return name, kind or "S"


def _throughput(wanted: Mapping[str, Any]) -> dict[str, int]:
    return {
        "ReadCapacityUnits": int(wanted.get("read_capacity") or 1),
        "WriteCapacityUnits": int(wanted.get("write_capacity") or 1),
    }
