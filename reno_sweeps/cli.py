"""The commands: each is an import, a call and a print. Nothing heavier than Typer is imported before a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from reno_sweeps import interrupt, lines
from reno_sweeps.cli_data import corpus_app, encoders_app
from reno_sweeps.cli_operations import clean, export, import_
from reno_sweeps.cli_results import compare, predictions, report, table
from reno_sweeps.cli_words import (
    Cache,
    Controls,
    Device,
    Download,
    Home,
    Json,
    LogJson,
    Name,
    Quiet,
    RayAddress,
    Root,
    SkipBroken,
    SkipMissing,
    TrackingUri,
    Umap,
    Weights,
    Workers,
    show,
)


class Commands(TyperGroup):
    """All commands: an interrupt that none of them answers is answered here; Typer would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            said = "interrupted; what had finished is stored: the same command goes on from there"
            lines.say(said, "interrupted", "warning")
            raise typer.Exit(interrupt.INTERRUPTED) from None


app = typer.Typer(
    name="reno-sweep",
    cls=Commands,
    help="Sweeps for non-verbal vocal emotion recognition: search, track every fold, defend the number.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
space_app = typer.Typer(help="Search-space files.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")
app.add_typer(encoders_app, name="encoders")
app.add_typer(space_app, name="space")


@app.command()
def run(
    space: Annotated[str, typer.Option(help="A search-space file, or the name of a shipped one.")],
    corpus: Annotated[str | None, typer.Option(help="Corpus id, folder or table (.csv, .parquet).")] = None,
    root: Root = None,
    encoders: Annotated[str | None, typer.Option(help="Encoder ids: A or A,B.")] = None,
    weights: Weights = None,
    head: Annotated[str | None, typer.Option(help="linear, fcn, cnn, concat or reno.")] = None,
    trials: Annotated[int | None, typer.Option(help="Trials in all, also when a sweep continues.")] = None,
    time: Annotated[str | None, typer.Option(help="No new trial after this long: 90s, 30m, 2h.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep; without one it follows the question.")] = None,
    seed: Annotated[int | None, typer.Option(help="The sampler's seed.")] = None,
    fold_seed: Annotated[int | None, typer.Option(help="Seed of folds and models (protocol.seed).")] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds (protocol.n_folds).")] = None,
    selection: Annotated[str | None, typer.Option(help="What selects: validation, nested or paper.")] = None,
    max_failed: Annotated[int | None, typer.Option(help="More failed trials than this: exit code 3.")] = None,
    skip_broken: SkipBroken = False,
    skip_missing: SkipMissing = False,
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help="Do not train linear and majority.")] = False,
    controls: Controls = False,
    umap: Umap = False,
    experiment: Annotated[str | None, typer.Option(help="MLflow experiment; default reno/<corpus>.")] = None,
    home: Home = None,
    cache: Cache = None,
    tracking_uri: TrackingUri = None,
    storage: Annotated[str | None, typer.Option(help="Optuna's storage (env RENO_STORAGE; else the home's).")] = None,
    ray_address: RayAddress = None,
    device: Device = None,
    gpus: Annotated[str | None, typer.Option(help="How many GPUs: N or auto.")] = None,
    cohort: Annotated[str | None, typer.Option(help="Configurations that train together: K or auto.")] = None,
    workers: Workers = None,
    download: Download = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check space, data and encoders, say the cost; train nothing.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    log_json: LogJson = False,  # noqa: ARG001  # main has looked for it
) -> None:
    """Run a sweep, or continue it where it was: every trial and fold is tracked in MLflow.

    Example: reno-sweep run --space rd_params.yaml --corpus clips.csv --encoders mfcc,log-mel --trials 32
    """
    from reno_sweeps.app import commands

    question = {
        "corpus": corpus, "root": root and str(root), "encoders": encoders, "weights": weights or (), "head": head,
        "trials": trials, "time": time, "seed": seed, "fold_seed": fold_seed, "folds": folds, "selection": selection,
    }  # fmt: skip
    options = {
        "name": name, "max_failed": max_failed, "skip_broken": skip_broken or None,
        "skip_missing": skip_missing or None, "experiment": experiment,
        "baselines": False if no_baselines else None, "controls": controls or None, "umap": umap or None, "home": home,
        "cache": cache, "tracking_uri": tracking_uri, "storage": storage, "ray_address": ray_address, "device": device,
        "gpus": gpus, "cohort": cohort, "workers": workers, "download": download or None,
    }  # fmt: skip
    if dry_run:
        show(commands.dry_run(space, question, options), json)
    else:
        end(commands.run(space, question, options, quiet=quiet), json)


@app.command()
def resume(
    name: Name,
    trials: Annotated[int | None, typer.Option(help="Trials in all: a larger number extends the sweep.")] = None,
    time: Annotated[str | None, typer.Option(help="No new trial after this long: 90s, 30m, 2h.")] = None,
    max_failed: Annotated[int | None, typer.Option(help="More failed trials than this: exit code 3.")] = None,
    controls: Controls = False,
    umap: Umap = False,
    corpus: Annotated[str | None, typer.Option(help="Where the same corpus lies now: folder or table.")] = None,
    root: Root = None,
    weights: Weights = None,
    home: Home = None,
    tracking_uri: TrackingUri = None,
    ray_address: RayAddress = None,
    device: Device = None,
    gpus: Annotated[str | None, typer.Option(help="How many GPUs: N or auto.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    log_json: LogJson = False,  # noqa: ARG001  # main has looked for it
) -> None:
    """Continue a stopped or killed sweep where it was: no finished trial is lost or repeated.

    Example: reno-sweep resume rd-params-3f9c1d20 --trials 128
    """
    from reno_sweeps.app import commands

    options = {
        "max_failed": max_failed, "home": home, "tracking_uri": tracking_uri, "ray_address": ray_address,
        "device": device, "gpus": gpus, "controls": controls or None, "umap": umap or None,
    }  # fmt: skip
    places = {"corpus": corpus, "root": root and str(root), "weights": weights or ()}
    end(commands.resume(name, options, trials=trials, time=time, places=places, quiet=quiet), json)


@app.command()
def status(
    name: Annotated[str | None, typer.Argument(help="A sweep's name; without: all of this home.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """What runs, what finished, best so far, time left.

    Example: reno-sweep status rd-params-3f9c1d20 --json
    """
    from reno_sweeps.app import looking

    show(looking.status(name, home), json)


@app.command()
def ui(
    home: Home = None,
    tracking_uri: TrackingUri = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 5000,
) -> None:
    """Open MLflow's UI on this home's store.

    Example: reno-sweep ui --port 5001
    """
    from reno_sweeps.app import looking

    raise typer.Exit(looking.ui(home, tracking_uri, host, port))


for command in (report, predictions, compare, table, export, clean):
    app.command()(command)
app.command("import")(import_)


@app.command()
def register(
    name: Name,
    as_: Annotated[
        str | None, typer.Option("--as", help="Name of the registered model; default reno-<corpus>.")
    ] = None,
    alias: Annotated[list[str] | None, typer.Option(help="One more alias beside candidate, such as champion.")] = None,
    embeddings_input: Annotated[
        bool, typer.Option("--embeddings-input", help="Register a model that takes embeddings, for file: encoders.")
    ] = False,
    bundle_encoders: Annotated[
        bool,
        typer.Option("--bundle-encoders", help="Pack the encoders' weights into the model, for use without a hub."),
    ] = False,
    home: Home = None,
    tracking_uri: TrackingUri = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Refit the best configuration on all clips and register it in MLflow: raw audio in, emotion out.

    Example: reno-sweep register rd-params-3f9c1d20 --as laughs --alias champion
    """
    from reno_sweeps.app import models

    registered = models.register(
        name,
        home,
        model=as_,
        aliases=alias or [],
        embeddings_input=embeddings_input,
        bundle_encoders=bundle_encoders,
        tracking_uri=tracking_uri,
        device=device,
        say=lambda text: typer.echo(text, err=True),
    )
    show(registered, json)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="models:/NAME@ALIAS, models:/NAME/VERSION or a model folder.")],
    audio: Annotated[list[Path], typer.Argument(help="Audio files or folders.")],
    home: Home = None,
    tracking_uri: TrackingUri = None,
    weights: Weights = None,
    skip_broken: SkipBroken = False,
    json: Json = False,
) -> None:
    """Say the emotion of recordings, with a probability for every class; CSV or JSON.

    Example: reno-sweep predict models:/reno-demo@candidate laugh.wav recordings/
    """
    from reno_sweeps.app import models

    table = models.predict(
        model, audio, home, tracking_uri=tracking_uri, weights=weights or [], skip_broken=skip_broken
    )
    show(table.as_json(), json, table.as_csv())


@app.command()
def embed(
    corpus: Annotated[str, typer.Option(help="Corpus id, folder or table.")],
    encoders: Annotated[str, typer.Option(help="Encoder ids: A or A,B.")],
    root: Root = None,
    weights: Weights = None,
    cache: Cache = None,
    device: Device = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    download: Download = False,
    skip_broken: SkipBroken = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fill the embedding cache; a sweep on the same clips then computes none.

    Example: reno-sweep embed --corpus clips.csv --encoders mfcc,log-mel
    """
    from reno_sweeps.app import embedding

    options = {
        "cache": cache, "device": device, "workers": workers, "ray_address": ray_address, "download": download or None,
        "skip_broken": skip_broken or None,
    }  # fmt: skip
    show(embedding.embed(corpus, encoders, root, weights or [], options, quiet=quiet), json)


@space_app.command("check")
def space_check(
    file: Annotated[str, typer.Argument(help="A search-space file, or the name of a shipped one.")], json: Json = False
) -> None:
    """Validate a search space, print every field with its description, and say what it would cost.

    Example: reno-sweep space check rd_params.yaml
    """
    from reno_sweeps.app import commands

    show(commands.check_space(file), json)


@app.command()
def doctor(home: Home = None, cache: Cache = None, tracking_uri: TrackingUri = None, json: Json = False) -> None:
    """Examine the installation: versions, devices, memory, stores, weights.

    Example: reno-sweep doctor
    """
    from reno_sweeps.app import doctor as examination

    found = examination.examine({"home": home, "cache": cache, "tracking_uri": tracking_uri})
    show(found, json)
    raise typer.Exit(4 if any(row["state"] == "fault" for row in found["checks"]) else 0)


# --- printing and ending --------------------------------------------------------------------------------------


def end(outcome: Any, json: bool) -> NoReturn:
    """Print a sweep's result and leave with its exit code."""
    show(outcome.result, json)
    for message in outcome.messages:
        lines.say(message, "end", "warning" if outcome.exit_code else "info", exit_code=outcome.exit_code)
    raise typer.Exit(outcome.exit_code)


def refuse(error: BaseException) -> int:
    """Bad input: at most three lines on stderr, exit code 2."""
    said = [line for line in str(error).splitlines() if line.strip()]
    lines.say("\n".join(said[:3]), "refused", "error", exit_code=2)
    return 2


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Bad input is one to three lines and exit code 2; a traceback is a bug of ours."""
    quiet: Mapping[str, str] = {  # before any heavy import: nothing phones home, no bars on stderr
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    for variable, value in quiet.items():
        os.environ.setdefault(variable, value)
    lines.configure(_form(sys.argv[1:] if arguments is None else arguments))
    with interrupt.never_lost():
        try:
            code = _run(arguments)
        except KeyboardInterrupt:  # another one, while the first was answered
            code = interrupt.INTERRUPTED
    if code == interrupt.INTERRUPTED:
        interrupt.leave()
    sys.exit(code)


def _form(arguments: Sequence[str]) -> str:
    """How news are written on stderr: asked for before Typer looks, so that its refusals are written so too."""
    return "json" if "--log-json" in arguments or os.environ.get(lines.VARIABLE) == "json" else "text"


def _run(arguments: Sequence[str] | None) -> int:
    from reno_sweeps.records import UserError

    form = os.environ.get(lines.VARIABLE) or "text"
    if form not in lines.FORMS:
        return refuse(UserError(f"{lines.VARIABLE}={form} is no form of news\non offer: {', '.join(lines.FORMS)}"))
    try:
        code = app(arguments, standalone_mode=False)
    except UserError as error:
        return refuse(error)
    except OSError as error:
        return refuse(OSError(_place(error)))
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: its whole help
            typer.echo(str(error), err=True)
            return 2
        if _is_bad_input(error):
            return refuse(error if type(error).__name__ == "TrackingError" else Exception(_usage(error)))
        raise
    return code if isinstance(code, int) else 0


def _is_bad_input(error: Exception) -> bool:
    """Typer's own refusals, and MLflow's as tracking words them; asked by name, since importing either costs."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"ClickException", "TrackingError"})


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "reno-sweep"
    return f"{error.format_message()}\nsee: {command} --help"


def _place(error: OSError) -> str:
    if isinstance(error, ConnectionError | TimeoutError):  # a cluster or a server, no folder
        return str(error)
    where = f" {error.filename}" if error.filename else ""
    return f"cannot use{where}: {error.strerror or error}\nfree space or give another folder (--home, --cache)"


if __name__ == "__main__":
    main()
