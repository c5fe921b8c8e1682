"""Start a stack of real systems, declare it, and keep it until Ctrl-C.

    python examples/real-stack/start.py [--folder FOLDER] [--port PORT]

Needs a checkout with `scripts/components.py install strapi vendure eleventy` done once (minutes).
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from helios.testing import components, real_stack

PORT = 8421
FOLDER = Path(tempfile.gettempdir()) / "helios-real-stack"

GUIDE = """
Everything runs and is as declared, in {folder}.

  Helios     {helios}   (log: {folder}/helios.log)
  CMS        {cms}   (Strapi; {email}, password in {folder}/strapi)
  shop       {shop}   (Vendure)
  site       {web}   (Eleventy)
  cloud      {cloud}   (SQS, S3, DynamoDB, SNS)
  declared   {folder}/declared/*.yaml
  files      {folder}/files

In another terminal:

  export HELIOS_URL={helios}
  helios drift check
  helios history acme/shop
  python {chaos} list
  python {chaos} do webhook_deleted

Ctrl-C ends all of it."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsItIs)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where it lives; %(default)s")
    parser.add_argument("--port", type=int, default=PORT, help="of Helios; %(default)s")
    given = parser.parse_args()
    reason = real_stack.missing()
    if reason is not None:
        sys.stderr.write(f"{reason}\n")
        return 3
    if given.folder.exists() and any(given.folder.iterdir()):
        sys.stderr.write(f"{given.folder} is not empty: delete it, or name another --folder\n")
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    wanted = real_stack.Wanted(port=given.port)
    try:
        with real_stack.RealStack(given.folder, wanted, tell=_tell) as world:
            sys.stdout.write(_guide(world) + "\n")
            sys.stdout.flush()
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        sys.stdout.write("\nended\n")
        return 0
    except (components.ComponentError, real_stack.NotSoError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


class _AsItIs(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


def _tell(what: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {what} …\n")
    sys.stdout.flush()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _guide(world: real_stack.RealStack) -> str:
    return GUIDE.format(
        folder=world.folder,
        helios=world.helios.url,
        cms=world.cms.about["url"],
        email=world.cms.about["admin_email"],
        shop=world.shop.about["url"],
        web=world.web_url,
        cloud=world.cloud.url,
        chaos=Path(__file__).with_name("chaos.py"),
    )


if __name__ == "__main__":
    sys.exit(main())
