"""Do real drift to the stack that start.py runs, and see what becomes of it.

    python examples/real-stack/chaos.py list
    python examples/real-stack/chaos.py do KIND [--stack CLIENT/STACK] [--only]
    python examples/real-stack/chaos.py run --seconds 300 --seed 1

`do` waits until it has ended as it has to, and plays the people: it agrees where somebody is asked,
and mends what Helios must not. With `--only` it does the drift and leaves the rest to you.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from helios.testing import chaos, chaos_deeds, chaos_kinds, real_stack

FOLDER = Path(tempfile.gettempdir()) / "helios-real-stack"
EVERY_S = 6.0
"""Between two drifts of `run`."""
DRIFTS_MAX = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1: something was not as it has to be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of start.py; %(default)s")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="print the kinds of drift")
    do = verbs.add_parser("do", help="do one, and follow it")
    do.add_argument("kind", choices=list(chaos_kinds.KINDS), metavar="KIND")
    do.add_argument("--stack", default="", metavar="CLIENT/STACK", help="to which; acme/shop")
    do.add_argument("--only", action="store_true", help="do not wait, agree or mend")
    run = verbs.add_parser("run", help="do many, several at the same time")
    run.add_argument("--seconds", type=float, default=180.0, help="for how long; %(default)s")
    run.add_argument("--seed", type=int, default=1, help="what is drawn; %(default)s")
    given = parser.parse_args(arguments)
    try:
        return _VERBS[given.verb](given)
    except (real_stack.NotSoError, chaos_deeds.ImpossibleError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _list(_given: argparse.Namespace) -> int:
    for each in chaos_kinds.KINDS.values():
        sys.stdout.write(f"{each.name:26} {each.ends:9} somebody {each.says}\n")
    return 0


def _do(given: argparse.Namespace) -> int:
    kind = chaos_kinds.KINDS[given.kind]
    usual = "kiosks/kiosk-1" if "fleet" in kind.where else "/".join(real_stack.MAIN)
    client, _, stack = (given.stack or usual).partition("/")
    with real_stack.joined(given.folder) as world:
        if (client, stack) not in world.stacks:
            raise real_stack.NotSoError(f"there is no stack {client}/{stack}")
        doing = chaos.Chaos(world, tell=_tell)
        if given.only:
            doing.do(kind, (client, stack))
        else:
            doing.one(kind, (client, stack))
    return 0


def _run(given: argparse.Namespace) -> int:
    with real_stack.joined(given.folder) as world:
        doing = chaos.Chaos(world, tell=_tell)
        count = max(1, min(DRIFTS_MAX, int(given.seconds / EVERY_S)))
        drawn = doing.draw(random.Random(given.seed), count)
        result = doing.run(drawn, pause_s=EVERY_S)
    sys.stdout.write(chaos.told(result) + "\n")
    return 0 if result.share == 1.0 and not result.false_heals else 1


def _tell(what: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {what}\n")
    sys.stdout.flush()


_VERBS = {"list": _list, "do": _do, "run": _run}

if __name__ == "__main__":
    sys.exit(main())
