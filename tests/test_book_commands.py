"""Every `unrolled` command that the book and the READMEs show has the options that it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from unrolled.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```\n(.*?)^```$", re.M | re.S)


def shown() -> list[tuple[str, str]]:
    return sorted(
        {
            (line.partition("#")[0].strip(), page.name)
            for page in PAGES
            for block in BLOCK.findall(page.read_text(encoding="utf-8"))
            for line in block.splitlines()
            if re.match(r"(\w+=\S+ )*unrolled ", line)
        }
    )


def test_there_are_commands() -> None:
    assert len(shown()) > 20


@pytest.mark.parametrize(("line", "page"), shown())
def test_command_is_one(line: str, page: str) -> None:
    command = typer.main.get_command(app)
    words = shlex.split(line.partition(">")[0])
    arguments = words[words.index("unrolled") + 1 :]
    while hasattr(command, "commands"):  # such as unrolled lab gates
        name = arguments.pop(0)
        assert name in command.commands, f"{page}: there is no command {name}"
        command = command.commands[name]
    known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
    asked = {word.partition("=")[0] for word in arguments if re.match(r"--?[a-z]", word)}
    assert asked - {"-h", "--help"} <= known, f"{page}: {line}"
