"""The commands that keep a home in order and hand sweeps on: export, import, clean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from reno_sweeps import lines
from reno_sweeps.cli_words import Cache, Home, Json, Name, TrackingUri, show


def export(
    name: Name,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The archive; default NAME.sweep.zip.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Write a sweep as one archive for a colleague: question, study, folds, report; no recordings, no passwords.

    Example: reno-sweep export rd-params-3f9c1d20 -o for-anna.sweep.zip
    """
    from reno_sweeps.app import exporting

    show(exporting.export(name, home, output), json)


def import_(
    file: Annotated[Path, typer.Argument(help="An archive that reno-sweep export wrote.")],
    as_: Annotated[str | None, typer.Option("--as", help="The sweep's name here; default its own.")] = None,
    home: Home = None,
    cache: Cache = None,
    tracking_uri: TrackingUri = None,
    storage: Annotated[str | None, typer.Option(help="Optuna's storage URL; default in the home.")] = None,
    json: Json = False,
) -> None:
    """Take in a sweep that a colleague exported: everything in it is checked before anything is written.

    Example: reno-sweep import for-anna.sweep.zip --as annas-sweep
    """
    from reno_sweeps.app import importing

    options = {"home": home, "cache": cache, "tracking_uri": tracking_uri, "storage": storage}
    show(importing.bring(file, as_, options), json)


def clean(
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False,
    unused_for: Annotated[
        str | None, typer.Option("--unused-for", help="Only embeddings that nobody used for so long: 12h, 30d.")
    ] = None,
    home: Home = None,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Say what can go and what it frees, then ask: only what can be made again, or was discarded before.

    Example: reno-sweep clean --unused-for 30d
    """
    from reno_sweeps.app import cleaning

    found = cleaning.find({"home": home, "cache": cache}, unused_for)
    said = cleaning.shown(found)
    if yes and found.items:
        said = cleaning.remove(found)
    show(said, json, cleaning.spelled(said))
    if yes or not found.items:
        return
    if json or not sys.stdin.isatty():
        given = {"--unused-for": unused_for, "--home": home, "--cache": cache}
        options = "".join(f" {option} {value}" for option, value in given.items() if value is not None)
        lines.say(f"nothing was removed\nto remove it: reno-sweep clean --yes{options}", "refused", "error")
        raise typer.Exit(2)
    if typer.confirm("remove all of it?", err=True):
        typer.echo(cleaning.spelled(cleaning.remove(found)), nl=False)
