"""What the documents say exists: commands, options, spaces, links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from reno_sweeps.cli import app
from reno_sweeps.config.sweep_file import load

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / ".github").glob("*.md"))]
NAMES = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def commands_in(text: str) -> list[list[str]]:
    """Every `reno-sweep …` of a document as words, up to its comment or closing backtick."""
    return [found.split("#")[0].split() for found in re.findall(r"reno-sweep ([a-z][^`\n]*)", text)]


def options_of(words: list[str]) -> set[str]:
    command = COMMANDS[words[0]]
    if hasattr(command, "commands"):
        command = command.commands[words[1]]
    return {name for parameter in command.params for name in parameter.opts} | {"--help"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_command_and_option_in_a_document_exists(document: Path) -> None:
    for words in commands_in(document.read_text()):
        options = {word.split("=")[0] for word in words if word.startswith("-")}

        assert options <= options_of(words), words


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_option_that_a_document_mentions_is_an_option_of_some_command(document: Path) -> None:
    groups = [(name, getattr(command, "commands", {None: command})) for name, command in COMMANDS.items()]
    every = set().union(*(options_of([name, inner or ""]) for name, inners in groups for inner in inners))
    mentioned = set(re.findall(r"`(--[a-z-]+)", document.read_text()))

    assert mentioned <= every


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_whole_space_in_a_document_can_be_read(document: Path, tmp_path: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL):
        file = tmp_path / "space.yaml"
        file.write_text(block.replace("clips.csv", "demo"))  # a corpus that is at hand

        load(str(file))


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_link_inside_the_project_leads_somewhere(document: Path) -> None:
    places = [place for place in re.findall(r"\]\(([^)#]+)\)", document.read_text()) if "://" not in place]

    assert all((document.parent / place).exists() for place in places), places


def test_the_documents_name_every_command() -> None:
    named = {words[0] for document in DOCUMENTS for words in commands_in(document.read_text())}

    assert named == set(COMMANDS)
