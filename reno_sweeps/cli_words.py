"""What several commands share: the spelling of their options, and how a result is printed."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Annotated, Any

import typer

Home = Annotated[Path | None, typer.Option(help="Folder of all results (env RENO_HOME; default ./reno-runs).")]
Cache = Annotated[Path | None, typer.Option(help="Folder of cached embeddings (env RENO_CACHE).")]
TrackingUri = Annotated[str | None, typer.Option(help="MLflow's store (env MLFLOW_TRACKING_URI; default in the home).")]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON value on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on stderr.")]
LogJson = Annotated[
    bool, typer.Option("--log-json", help="Progress and warnings as JSON, an object a line (env RENO_LOG=json).")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda; never silently another.")]
Root = Annotated[Path | None, typer.Option(help="Where a named corpus lies (env RENO_CORPORA: one folder per id).")]
Weights = Annotated[list[str] | None, typer.Option(help="ID=PATH: weights of an encoder; may be repeated.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch missing weights; nothing is downloaded without it.")]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave unreadable clips out, and say so.")]
SkipMissing = Annotated[
    bool, typer.Option("--skip-missing", help="Leave out cells whose encoders have no weights here, and say so.")
]
RayAddress = Annotated[str | None, typer.Option(help="A Ray cluster, or auto (env RENO_RAY_ADDRESS).")]
Workers = Annotated[str | None, typer.Option(help="Processes that embed clips: N or auto.")]
Controls = Annotated[
    bool, typer.Option("--controls", help="Train the winner on shuffled labels too: it must fall to chance.")
]
Umap = Annotated[bool, typer.Option("--umap", help="Map the embeddings by UMAP too: reno-sweeps[umap].")]
Name = Annotated[str, typer.Argument(help="The sweep's name; `reno-sweep status` lists them.")]


def show(value: Any, json: bool, text: str | None = None) -> None:
    """A result on stdout: one JSON value, or text for people; never cut or wrapped when piped."""
    if json:
        typer.echo(_json.dumps(value, ensure_ascii=False, indent=2))
    elif text is not None:
        typer.echo(text, nl=False)
    else:
        from reno_sweeps.reports.text import spell

        typer.echo(spell(value))
