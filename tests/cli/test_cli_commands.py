"""The commands: those of the table, each imported when it is asked for and not before."""

import json
import pkgutil
import subprocess
import sys

import pytest
import typer

import unrolled.cli
from unrolled.cli.app import app
from unrolled.cli.commands import MODULES, Commands

LOADED = """
import json, sys
from unrolled.cli.app import main
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in sys.modules if name.startswith(("unrolled.", "numpy"))]))
"""


def loaded(*arguments):
    """Name the modules that a command line has imported."""
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", MODULES)
def test_a_command_is_found_by_the_name_it_goes_by(name):
    assert Commands()[name].name == name


def test_no_commands_module_is_forgotten():
    commands = Commands()
    assert list(commands) == list(MODULES)
    assert len(commands) == len(MODULES)
    assert "capton" not in commands
    offering = {
        each.name
        for each in pkgutil.iter_modules(unrolled.cli.__path__)
        if hasattr(__import__(f"unrolled.cli.{each.name}", fromlist=["add_to"]), "add_to")
    }
    assert offering == set(MODULES.values())
    made = {name for module in offering for name in _made_by(module)}
    assert made == set(MODULES)


def _made_by(module):
    own = typer.Typer()
    __import__(f"unrolled.cli.{module}", fromlist=["add_to"]).add_to(own)
    return typer.main.get_group(own).commands


def test_help_lists_all_in_the_tables_order(cli):
    firsts = [line.strip("│ ").partition(" ")[0] for line in cli("--help").out.splitlines()]
    assert [first for first in firsts if first in MODULES] == list(MODULES)


def test_a_command_imports_its_own_module_alone():
    found = loaded("caption", "--help")
    assert "unrolled.cli.caption" in found
    assert not found & {f"unrolled.cli.{module}" for module in MODULES.values()} - {
        "unrolled.cli.caption"
    }
    assert not {"unrolled.check", "unrolled.training", "unrolled.jobs.bench"} & found


def test_the_version_wants_no_numpy():
    assert not [name for name in loaded("--version") if name.startswith("numpy")]


def test_the_app_is_what_the_table_says():
    assert list(typer.main.get_command(app).commands) == list(MODULES)
