"""The commands that show what was found: reports, predictions, comparisons, tables. Nothing here trains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reno_sweeps.cli_words import Home, Json, Name, show


def report(
    name: Name,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the page, tables and figures.")
    ] = None,
    home: Home = None,
) -> None:
    """Write the sweep's report: one HTML page that needs no network, tables (CSV, Markdown, LaTeX), figures (PNG, PDF).

    Example: reno-sweep report rd-params-3f9c1d20 -o report/
    """
    from reno_sweeps.app import looking

    typer.echo(looking.report(name, home, output))


def predictions(name: Name, home: Home = None) -> None:
    """Out-of-fold predictions and probabilities of the best trial, clip by clip, as CSV.

    Example: reno-sweep predictions rd-params-3f9c1d20 > predictions.csv
    """
    from reno_sweeps.app import looking

    typer.echo(looking.predictions(name, home), nl=False)


def compare(
    names: Annotated[
        list[str], typer.Argument(help="Sweeps: the first is the reference. One alone: its cells and baselines.")
    ],
    metric: Annotated[str, typer.Option(help="macro_f1, accuracy or uar, of the test folds.")] = "macro_f1",
    home: Home = None,
    json: Json = False,
) -> None:
    """Sweeps, heads or encoders side by side: paired by fold, with effect, interval, p and a verdict in words.

    Example: reno-sweep compare baselines-1f2e3d4c reno-5a6b7c8d
    """
    from reno_sweeps.app import comparing

    found = comparing.compare(names, home, metric)
    show({key: value for key, value in found.items() if key != "shown"}, json, comparing.spelled(found))


def table(
    which: Annotated[str, typer.Argument(help="1 or 2, the paper's; home: all that is here; a sweep: its cells.")],
    selection: Annotated[
        str | None, typer.Option(help="Only sweeps with this protocol: validation, nested or paper.")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="Only this corpus.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, markdown, latex or csv.")] = "text",
    home: Home = None,
    json: Json = False,
) -> None:
    """The paper's tables from this home's results: ours, published, difference, interval and verdict in every cell.

    Example: reno-sweep table 2 --selection validation --format markdown
    """
    from reno_sweeps.app import comparing

    found = comparing.table(which, home, selection, corpus)
    kept = {key: value for key, value in found.items() if key not in {*comparing.FORMATS, "shown"}}
    show(kept, json, None if json else comparing.written(found, form))
