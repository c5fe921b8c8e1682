"""Who drifted, from the hashes that are kept; and what Terraform does to answer that.

Run by `run.py`, in a process of its own. Terraform is asked for `plan -refresh-only` of as many
`terraform_data` resources, which no provider has to be called for: of what it does for real
resources only what it does itself is left. Without a `terraform` or `tofu` on the PATH its figures
are those of a run that is named.
"""

import json
import os
import shutil
import statistics
import time
import uuid
from pathlib import Path

import fleet
import measure

from helios.reconcile.compositions import reading, view

INDEX_MS_MAX, ALL_MS_MAX, RATIO_MIN = 5.0, 25.0, 1_000.0
TIMES = 50
ALL = (
    "SELECT tenant, stack FROM {t}stacks NOT INDEXED "
    "WHERE expected_hash <> observed_hash AND removed = 0 ORDER BY tenant, stack"
)
QUOTED = {1_000: 3.1, 10_000: 35.5}
"""CPU seconds of `terraform plan -refresh-only` by resources, measured on trivial ones that call
no provider, when this was designed; not measured by this run."""


async def measured(folder: Path, count: int, rounds: int) -> list[fleet.Row]:
    """Helios and Terraform in turns."""
    program = shutil.which("terraform") or shutil.which("tofu")
    world = fleet.World()
    by_index, by_all, theirs, memory = [], [], [], []
    async with fleet.opened(folder, world) as found:
        store = found.parts.store

        async def all_rows() -> list[tuple[str, str]]:
            return [(row[0], row[1]) for row in await store.query(view.NAME, ALL)]

        drifted = await reading.drifted(store)
        if await all_rows() != drifted or not drifted:
            raise RuntimeError("the index does not say what the table says")
        for _ in range(rounds):
            for ask, costs in ((lambda: reading.drifted(store), by_index), (all_rows, by_all)):
                begin = time.process_time()
                for _ in range(TIMES):
                    await ask()
                costs.append((time.process_time() - begin) / TIMES * 1e3)
            if program is not None:
                cpu_s, mb = _planned(program, folder / "terraform", count)
                theirs.append(cpu_s)
                memory.append(mb)
    rows = [
        fleet.figure("who drifted, by the index, CPU ms", by_index, INDEX_MS_MAX, at_most=True),
        fleet.figure("who drifted, every row, CPU ms", by_all, ALL_MS_MAX, at_most=True),
        fleet.shown(f"stacks that did, of {count:,}", len(drifted)),
    ]
    if program is None:
        ratio = QUOTED.get(count, 0.0) * 1e3 / statistics.median(by_index)
        return [*rows, fleet.shown("plan -refresh-only, QUOTED / who drifted, CPU", ratio)]
    name, peer = Path(program).name, "plan -refresh-only"
    ratios = [cpu * 1e3 / own for cpu, own in zip(theirs, by_index, strict=True)]
    every = [cpu * 1e3 / own for cpu, own in zip(theirs, by_all, strict=True)]
    return [
        *rows,
        fleet.figure(f"{name} {peer} / who drifted, CPU", ratios, RATIO_MIN),
        fleet.shown(f"{name} {peer} / who drifted by every row, CPU", every),
        fleet.shown(f"{name} {peer} of {count:,} resources, CPU s", theirs),
        fleet.shown("its memory, MiB", memory),
    ]


def _planned(program: str, folder: Path, count: int) -> tuple[float, float]:
    """CPU seconds and MiB of a plan that only looks; the resources are there already."""
    # No look for a newer version, and no settings of whoever measures.
    os.environ |= {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    command = [program, f"-chdir={folder}"]
    if not folder.exists():
        _state(folder, count)
        made = measure.run([*command, "init", "-input=false", "-no-color"])
        if made.exit_code:
            raise RuntimeError(made.stderr[-500:])
    asked = ["plan", "-refresh-only", "-input=false", "-no-color", "-lock=false"]
    cost = measure.run([*command, *asked])
    if cost.exit_code or "No changes" not in cost.stdout:
        raise RuntimeError(cost.stdout[-500:] + cost.stderr[-500:])
    return cost.cpu_s, cost.rss_mb


def _state(folder: Path, count: int) -> None:
    """Resources as they are after `apply`, which would take longer than all that is measured."""
    folder.mkdir()
    texts = [f'resource "terraform_data" "r{n}" {{\n  input = "v{n}"\n}}\n' for n in range(count)]
    (folder / "main.tf").write_text("".join(texts))
    whole = {
        "version": 4,
        "terraform_version": "1.0.0",
        "serial": 1,
        "lineage": str(uuid.UUID(int=1)),
        "outputs": {},
        "resources": [_resource(number) for number in range(count)],
        "check_results": None,
    }
    (folder / "terraform.tfstate").write_text(json.dumps(whole))


def _resource(number: int) -> dict[str, object]:
    value = {"value": f"v{number}", "type": "string"}
    attributes = {
        "id": str(uuid.UUID(int=number + 1)),
        "input": value,
        "output": value,
        "triggers_replace": None,
    }
    instance = {"schema_version": 0, "attributes": attributes, "sensitive_attributes": []}
    return {
        "mode": "managed",
        "type": "terraform_data",
        "name": f"r{number}",
        "provider": 'provider["terraform.io/builtin/terraform"]',
        "instances": [instance],
    }
