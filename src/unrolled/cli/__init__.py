"""The command line: parse, call a job, show what it yields."""

from unrolled.cli.app import main

__all__ = ["main"]
