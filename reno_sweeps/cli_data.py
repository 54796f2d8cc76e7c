"""The commands about corpora and encoders: what there is to listen to, and with what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from reno_sweeps import interrupt
from reno_sweeps.cli_words import Cache, Device, Json, Quiet, Root, Weights, show

corpus_app = typer.Typer(help="The corpora: what is known, what is on disk, leaks and faults.", no_args_is_help=True)
encoders_app = typer.Typer(
    help="The encoders: source, width, licence, whether weights are at hand.", no_args_is_help=True
)


@contextlib.contextmanager
def _interruptible(left: str) -> Iterator[None]:
    """Ctrl-C ends the command with exit code 130 and a line that says what is left of it."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {left}", err=True)
        raise typer.Exit(interrupt.INTERRUPTED) from None


@corpus_app.command("list")
def corpus_list(json: Json = False) -> None:
    """The corpora that a name stands for: licence, source, whether they are at hand below RENO_CORPORA.

    Example: reno-sweep corpus list
    """
    from reno_sweeps.app import corpora

    rows = corpora.known()
    show(rows, json, None if json else corpora.listed(rows))


@corpus_app.command("check")
def corpus_check(
    corpus: Annotated[str, typer.Argument(help="Corpus id, folder or table.")],
    root: Root = None,
    kind: Annotated[
        str | None, typer.Option(help="Folds to look for leaks in: auto, given, stratified, speaker.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds (protocol.n_folds).")] = None,
    fold_seed: Annotated[int | None, typer.Option(help="Seed of the folds (protocol.seed).")] = None,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Clips, hours, classes, speakers, duplicates, conflicting labels. Exit code 4 for a fault, or a leak across folds.

    Example: reno-sweep corpus check vivae --root recordings/VIVAE --kind speaker
    """
    from reno_sweeps.app import corpora

    protocol = {"folds": kind, "n_folds": folds, "seed": fold_seed}
    with _interruptible("nothing was changed"):
        found = corpora.check(corpus, root, protocol, {"cache": cache}, quiet=quiet)
    show(found, json, None if json else corpora.spelled(found))
    raise typer.Exit(4 if found["faults"] else 0)


@corpus_app.command("fetch")
def corpus_fetch(
    corpus: Annotated[str, typer.Argument(help="Corpus id.")],
    root: Annotated[Path | None, typer.Option(help="Where to put it (default: its folder below RENO_CORPORA).")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read its licence and agree.")
    ] = False,
    archive: Annotated[Path | None, typer.Option(help="An archive that you downloaded by hand.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download a corpus from its official place, or unpack an archive of it; checked, resumed, never over your files.

    Example: reno-sweep corpus fetch vivae --root recordings/VIVAE --accept-licence
    """
    from reno_sweeps.app import fetching

    with _interruptible("what was downloaded is kept: the same command goes on from there"):
        came = fetching.corpus(corpus, root, accept_licence=accept_licence, archive=archive, quiet=quiet)
    show(came, json)


@encoders_app.command("list")
def encoders_list(json: Json = False) -> None:
    """Every encoder on offer: source, width, parameters, licence, whether it can be used now.

    Example: reno-sweep encoders list
    """
    from reno_sweeps.app import encoders

    rows = encoders.known()
    show(rows, json, None if json else encoders.spelled(rows))


@encoders_app.command("check")
def encoders_check(
    encoder: Annotated[str, typer.Argument(help="An encoder id.")],
    weights: Weights = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Load one encoder and embed a short sound with it. Exit code 4 where what it gives is no number.

    Example: reno-sweep encoders check hf:weights/wavlm
    """
    from reno_sweeps.app import encoders

    said = encoders.check(encoder, weights or [], {"device": device})
    show(said, json)
    raise typer.Exit(0 if said["finite"] else 4)


@encoders_app.command("fetch")
def encoders_fetch(
    names: Annotated[list[str], typer.Argument(help="Encoder ids.", metavar="ENCODER…")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download the weights of encoders from their official place; says it where a page must be visited by hand.

    Example: reno-sweep encoders fetch wavlm-base hubert-base
    """
    from reno_sweeps.app import encoders

    show(encoders.fetch(names, quiet=quiet), json)


@encoders_app.command("convert")
def encoders_convert(
    encoder: Annotated[str, typer.Argument(help="An encoder id, such as audio-mamba-base.")],
    source: Annotated[Path, typer.Argument(help="The official checkpoint: a file or its folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write (default: its folder below RENO_WEIGHTS).")
    ] = None,
    json: Json = False,
) -> None:
    """Turn an official checkpoint into safetensors, with its hash; nothing in it is executed.

    Example: reno-sweep encoders convert audio-mamba-base ssam_base_200_16x4_4x256_fp16_r1 -o weights/audio-mamba-base
    """
    from reno_sweeps.app import encoders

    show(encoders.convert(encoder, source, output), json)
