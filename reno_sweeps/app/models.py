"""`register` and `predict`: the best model of a sweep, for use by others."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reno_sweeps.app import devices, final, mirror, model_card, opening, parent
from reno_sweeps.app.looking import best_trial
from reno_sweeps.app.stored import Stored, load
from reno_sweeps.config.settings import Settings, gather, masked
from reno_sweeps.config.sweep_file import Overrides
from reno_sweeps.records import Trial, UserError
from reno_sweeps.reports import summary
from reno_sweeps.training.configuration import cell_of

if TYPE_CHECKING:
    from reno_sweeps.serving import EmotionModel, Table
    from tracking.registry import Package, RegisteredVersion

logger = logging.getLogger(__name__)

AGREE = 1e-5  # a clip's probabilities in training and in use


# --- register -----------------------------------------------------------------------------------------------


def register(
    name: str,
    home: Path | None,
    *,
    model: str | None = None,
    aliases: Sequence[str] = (),
    embeddings_input: bool = False,
    bundle_encoders: bool = False,
    tracking_uri: str | None = None,
    device: str | None = None,
    say: Callable[[str], None] = logger.info,
) -> dict[str, Any]:
    """Refit a sweep's best configuration on all clips and register it; where it is found.

    `bundle_encoders` packs the encoders' weights into the model; `say` hears their sizes and licences before.
    Raises UserError where the sweep has no complete trial, its data or weights changed, or its encoders cannot hear.
    """
    from reno_sweeps.serving import open_model

    found = load(name, home)
    best = best_trial(found)
    chosen = cell_of(found.sweep.cells[best.cell], best.proposal)
    _refuse_deaf(name, chosen.encoders, embeddings_input)
    if bundle_encoders and embeddings_input:
        raise UserError("--bundle-encoders: a model that takes embeddings has no encoders\nleave one of the two away")
    settings = _settings(found.settings, tracking_uri, device)
    found = replace(found, settings=settings)
    opened = opening.reopen(name, settings, {}, None, Overrides())
    on, run_id = devices.settle(settings.device), _run_of(found, best)
    fitted = final.fit(found, best, opened, on)
    folder = found.folder / "model"
    final.save(folder, found, best, fitted, takes="embeddings" if embeddings_input else "audio")
    weights = opening.weights_of(found.sweep.weights, fitted.model.encoders)
    with tempfile.TemporaryDirectory() as temporary:
        packed = _bundled(folder, Path(temporary), say) if bundle_encoders else folder
        served = open_model(packed, {} if bundle_encoders else weights, on)
        difference = _difference(served, fitted)
        made = _publish(found, served, fitted, packed, name=model, run_id=run_id, aliases=aliases)
    return _registered(made, found, served, folder, difference)


def _refuse_deaf(name: str, encoders: Sequence[str], embeddings_input: bool) -> None:
    deaf = [encoder for encoder in encoders if encoder.startswith("file:")]
    if deaf and not embeddings_input:
        raise UserError(
            f"sweep {name!r}: its best trial uses {', '.join(deaf)}, which cannot hear a recording\n"
            "--embeddings-input registers a model that takes the vectors"
        )


def _bundled(folder: Path, temporary: Path, say: Callable[[str], None]) -> Path:
    """The model's folder with its encoders' weights in it; what that adds is said before it is copied."""
    from reno_sweeps.serving import bundle
    from reno_sweeps.training import export

    travelling = bundle.parts(export.load(folder).encoders)
    if not travelling:
        say("nothing to bundle: the model's encoders are computed, they have no weights")
        return folder
    say(f"bundles the weights of {', '.join(part.said for part in travelling)}")
    return bundle.packed(folder, temporary / "model", travelling)


def _settings(settings: Settings, tracking_uri: str | None, device: str | None) -> Settings:
    """The sweep's own settings but for what this command says."""
    said = {"tracking_uri": tracking_uri, "device": device}
    given = gather({"home": settings.home, **said}, environment={})
    return replace(settings, **{key: getattr(given, key) for key, value in said.items() if value is not None})


# --- publishing ---------------------------------------------------------------------------------------------


def _publish(
    found: Stored,
    served: EmotionModel,
    fitted: final.Fitted,
    folder: Path,
    *,
    name: str | None,
    run_id: str | None,
    aliases: Sequence[str],
) -> RegisteredVersion:
    from tracking import names, registry

    extra, encoders = served.exported.extra, served.exported.encoders
    called = name or names.model(extra["corpus"]["id"])
    with tempfile.TemporaryDirectory() as temporary:
        return registry.register(
            found.settings.tracking_uri,
            _package(served, fitted, folder, Path(temporary)),
            name=called,
            experiment=parent.sweep_row(found).experiment,
            run_id=run_id,
            aliases=aliases,
            tags=model_card.tags(extra, encoders),
            description=model_card.description(called, extra, encoders),
            artifact_root=found.settings.home / "artifacts",
        )


def _difference(served: EmotionModel, fitted: final.Fitted) -> float:
    """How far the exported model's answers are from training's, on the clips kept for it; a warning if too far."""
    import numpy as np

    rows, corpus = list(fitted.model.split.test), fitted.extraction.corpus
    if served.takes_audio:
        table = served.answer([corpus.root / corpus.clips[row].path for row in rows])
    else:
        table = served.answer_embeddings({e: x[rows] for e, x in fitted.extraction.arrays.items()})
    difference = float(np.abs(table.probabilities - fitted.result.test_probabilities).max())
    if difference > AGREE:
        logger.warning(
            "the model's probabilities differ by up to %.1e from training's; were the cached embeddings computed on "
            "another device?",
            difference,
        )
    return difference


def _package(served: EmotionModel, fitted: final.Fitted, folder: Path, temporary: Path) -> Package:
    """Weights, code, signature, example, requirements and our own wheel."""
    from reno_sweeps.serving import own_wheel, pyfunc_file, table
    from tracking.registry import Column, Package

    first = fitted.model.split.test[0]
    vectors = {encoder: array[first] for encoder, array in fitted.extraction.arrays.items()}
    exported = served.exported
    return Package(
        folder=folder,
        code=pyfunc_file(),
        inputs=[Column(*column) for column in table.inputs(served)],
        outputs=[Column(*column) for column in table.outputs(served)],
        example=table.example(served, vectors),
        requirements=model_card.requirements(exported.extra, exported.encoders),
        wheels=[own_wheel(temporary)],
        config=table.CONFIG,
    )


def _run_of(found: Stored, best: Trial) -> str | None:
    """The winning trial's run in MLflow, written there first where it is missing; a living driver writes it itself."""
    from reno_sweeps.search.lease import HomeLock
    from tracking import names
    from tracking.writer import Writer

    key = names.trial(best.number)
    with HomeLock(found.settings.home) as lock:
        try:
            lock.take(found.name)
        except UserError:
            known: str | None = found.facts.get(summary.FORMER, {}).get(key) or found.facts.get("parent_run_id")
            return known
        writer = Writer(found.settings.tracking_uri, found.settings.home / "artifacts", say=logger.warning)
        place = writer.open_sweep(parent.sweep_row(found))
        writer.write(mirror.trial_row(best, found.sweep))
        writer.close(60.0)
        return writer.run_id(key) or place.parent_run_id


def _registered(
    made: RegisteredVersion, found: Stored, served: EmotionModel, folder: Path, difference: float
) -> dict[str, Any]:
    extra = served.exported.extra
    return {
        "model": made.name,
        "version": made.version,
        "model_uri": made.model_uri,
        "aliases": list(made.aliases),
        "tracking_uri": masked(found.settings.tracking_uri),
        "run_id": made.run_id,
        "model_id": made.model_id,
        "sweep": found.name,
        "trial": extra["trial"],
        "clips": extra["clips"],
        "epochs": extra["epochs"],
        "classes": list(served.classes),
        "input": extra["input"],
        "bundled": [facts["id"] for facts in served.exported.encoders if "bundle" in facts],
        "test": extra["best"]["test"],
        "selection": extra["protocol"]["selection"],
        "folder": str(folder),
        "difference": difference,  # between training's probabilities and the registered model's
    }


# --- predict ------------------------------------------------------------------------------------------------


def predict(
    model: str,
    recordings: Sequence[Path],
    home: Path | None,
    *,
    tracking_uri: str | None = None,
    weights: Sequence[str] = (),
    skip_broken: bool = False,
) -> Table:
    """Emotions of recordings, files or folders, by a registered model or a model folder."""
    from reno_sweeps.serving.recordings import expand

    files = expand(recordings)
    given = Overrides.from_options(weights=list(weights)).weights
    return load_model(model, home=home, tracking_uri=tracking_uri, weights=given).answer(files, skip_broken=skip_broken)


def load_model(
    model: str | Path,
    *,
    home: Path | None = None,
    tracking_uri: str | None = None,
    weights: Mapping[str, str] | None = None,
    device: str = "auto",
) -> EmotionModel:
    """A registered model ('models:/NAME@alias', 'models:/NAME/3', 'runs:/RUN/NAME') or a model folder.

    Registered ones are looked up in this home's store, or at `tracking_uri`. `weights` (encoder id → folder) say where
    pretrained weights lie on this machine. Raises UserError, or tracking's TrackingError, in one line.
    """
    from reno_sweeps.serving import open_model
    from tracking import registry

    there = gather({"home": home, "tracking_uri": tracking_uri})
    with tempfile.TemporaryDirectory() as temporary:  # what lies on this disk is not copied
        folder = registry.resolve(str(model), there.tracking_uri, Path(temporary))
        return open_model(registry.model_folder(folder), weights, device)
