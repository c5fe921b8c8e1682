"""`python -m helios` is the same as `helios`."""

from helios import cli

if __name__ == "__main__":
    cli.main()
