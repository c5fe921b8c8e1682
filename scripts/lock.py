"""Pin the dependencies: requirements/*.txt from pyproject.toml and requirements/*.in.

The result is valid on every platform and names no registry, so that each machine uses its own.
Without arguments versions move as little as possible; with `--upgrade` all of them move.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def compile_lock(name: str, *inputs: str) -> None:
    """Write `requirements/<name>.txt` from `inputs`."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"),
        *("--python-version", "3.11", "--generate-hashes", "--no-annotate"),
        *("--custom-compile-command", "make lock", "--output-file", f"requirements/{name}.txt"),
    ]
    subprocess.run([*command, *sys.argv[1:], *inputs], cwd=ROOT, check=True)


def main() -> None:
    """Lock what the product needs, then what its developers add, then what the site adds."""
    compile_lock("base", "pyproject.toml", "--extra", "postgres", "requirements/build.in")
    compile_lock("dev", "--group", "dev", "-c", "requirements/base.txt")
    compile_lock(
        "docs", "requirements/docs.in", "-c", "requirements/base.txt", "-c", "requirements/dev.txt"
    )


if __name__ == "__main__":
    main()
