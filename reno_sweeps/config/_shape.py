"""The shape of a space file: every key with its kind, default and description; parameters are checked later."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reno_sweeps.config._yaml import Document, Path, nearest
from reno_sweeps.records import UserError
from reno_sweeps.space import spell

Scalar = str | int | float | bool | None


class _Section(BaseModel):
    """Keys are known or refused, values are what they look like: no '20' for 20."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ProtocolShape(_Section):
    """How folds are made and what selects."""

    folds: Literal["auto", "given", "stratified", "speaker"] = Field(
        default="auto",
        description="Kind of folds; auto: the manifest's own where it has them, else stratified by emotion.",
    )
    n_folds: int = Field(default=5, ge=2, le=1000, description="Number of folds (--folds).")
    selection: Literal["validation", "nested", "paper"] = Field(
        default="validation",
        description="What stops and selects: one fifth of the training folds, or the paper's test fold.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of folds and models (--fold-seed).")
    repeats: int = Field(default=1, ge=1, le=1000, description="How often the folds are drawn anew.")
    seeds: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Models a fold that differ by their seed alone; a fold's score is their mean.",
    )


class ObjectiveShape(_Section):
    """What the search improves."""

    metric: Literal["macro_f1", "accuracy", "uar", "cross_entropy"] = Field(
        default="macro_f1", description="Validation metric, averaged over folds."
    )
    direction: Literal["maximize", "minimize"] | None = Field(
        default=None, description="Follows the metric: minimize for cross_entropy, else maximize."
    )


class BudgetShape(_Section):
    """How much is tried, and who proposes."""

    trials: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Configurations in all (--trials): 64; 1 where nothing is searched.",
    )
    time: str | int | float | None = Field(
        default=None, description="No new trial after this long (--time): 30m, 2h, 90s, or seconds."
    )
    sampler: Literal["tpe", "random", "grid", "cmaes", "gp"] = Field(default="tpe", description="Optuna's sampler.")
    pruner: Literal["none", "median", "hyperband", "wilcoxon"] = Field(
        default="none", description="What stops hopeless trials early."
    )
    ahead: Literal["auto"] | int = Field(
        default="auto", description="Trial n is proposed from the results of trials up to n − ahead."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the sampler (--seed).")


class CellShape(_Section):
    """One head on one or two encoders, with a budget of its own."""

    head: str = Field(description="Name of a head.")
    encoders: list[str] | None = Field(default=None, description="One or two encoders; those of the file unless given.")


class RunShape(_Section):
    """Where and how to run: options of `run` that do not change the question."""

    name: str | None = Field(default=None, description="Name of the sweep (--name).")
    home: str | None = Field(default=None, description="Folder of all results (--home).")
    cache: str | None = Field(default=None, description="Folder of embeddings (--cache).")
    tracking_uri: str | None = Field(default=None, description="MLflow's store (--tracking-uri).")
    storage: str | None = Field(default=None, description="Optuna's storage (--storage).")
    ray_address: str | None = Field(default=None, description="A Ray cluster (--ray-address).")
    device: str | None = Field(default=None, description="auto, cpu or cuda (--device).")
    gpus: str | int | float | None = Field(default=None, description="GPUs to use: a number or auto (--gpus).")
    cohort: str | int | None = Field(
        default=None, description="Configurations trained together: a number or auto (--cohort)."
    )
    experiment: str | None = Field(default=None, description="MLflow experiment (--experiment).")
    download: bool | None = Field(default=None, description="Whether missing weights may be fetched (--download).")
    skip_missing: bool | None = Field(
        default=None, description="Whether cells whose encoders have no weights here are left out (--skip-missing)."
    )
    skip_broken: bool | None = Field(default=None, description="Whether unreadable clips are left out (--skip-broken).")
    max_failed: int | None = Field(default=None, description="Failed trials before the sweep gives up (--max-failed).")
    baselines: bool | None = Field(
        default=None, description="Whether linear and majority are trained too (--no-baselines)."
    )
    controls: bool | None = Field(
        default=None, description="Whether the winner is also trained on shuffled labels (--controls)."
    )
    umap: bool | None = Field(default=None, description="Whether embeddings are also mapped by UMAP (--umap).")


class SpaceShape(_Section):
    """A whole file."""

    name: str | None = Field(
        default=None, description="Name of the space: begins a sweep's name; the file's name unless given."
    )
    head: str | list[str] | None = Field(
        default=None, description="A head, or a list of heads: one cell each (--head); reno."
    )
    corpus: str = Field(default="demo", description="Id or path of the corpus (--corpus).")
    root: str | None = Field(default=None, description="Folder in which a named corpus lies (--root).")
    encoders: list[str] | None = Field(default=None, description="One or two encoders (--encoders); mfcc, log-mel.")
    weights: dict[str, str] = Field(default_factory=dict, description="Encoder id → its weights (--weights).")
    search: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Parameters and where to search them.")
    fixed: dict[str, Scalar] = Field(default_factory=dict, description="Parameters and their values.")
    protocol: ProtocolShape = Field(default=ProtocolShape(), description="Folds and selection.")
    objective: ObjectiveShape = Field(default=ObjectiveShape(), description="What the search improves.")
    budget: BudgetShape = Field(default=BudgetShape(), description="How much is tried, and who proposes.")
    cells: list[CellShape] | None = Field(default=None, description="Instead of head: pairs of head and encoders.")
    run: RunShape = Field(default=RunShape(), description="Options of `run` that do not change the question.")


class FloatShape(_Section):
    """A real number, as Optuna's FloatDistribution."""

    type: Literal["float"]
    low: float = Field(description="Smallest value.")
    high: float = Field(description="Largest value.")
    step: float | None = Field(default=None, description="Distance between values; none: every value.")
    log: bool = Field(default=False, description="Whether orders of magnitude are equally likely.")
    when: dict[str, Any] | None = Field(default=None, description="Conditions: name → value, or a list of values.")


class IntShape(_Section):
    """A whole number, as Optuna's IntDistribution."""

    type: Literal["int"]
    low: int = Field(description="Smallest value.")
    high: int = Field(description="Largest value.")
    step: int | None = Field(default=None, description="Distance between values: 1.")
    log: bool = Field(default=False, description="Whether orders of magnitude are equally likely.")
    when: dict[str, Any] | None = Field(default=None, description="Conditions: name → value, or a list of values.")


class CategoricalShape(_Section):
    """One of several values, as Optuna's CategoricalDistribution."""

    type: Literal["categorical"]
    choices: list[Scalar] = Field(min_length=1, description="The values.")
    when: dict[str, Any] | None = Field(default=None, description="Conditions: name → value, or a list of values.")


DistributionShape = FloatShape | IntShape | CategoricalShape
DISTRIBUTIONS: dict[str, type[FloatShape | IntShape | CategoricalShape]] = {
    "float": FloatShape,
    "int": IntShape,
    "categorical": CategoricalShape,
}

_EXPECTED = {  # pydantic's type of error → what belongs there
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list, [a, b]",
    "dict_type": "made of keys and values, {key: value}",
    "model_type": "made of keys and values, {key: value}",
    "model_attributes_type": "made of keys and values, {key: value}",
}
_EITHER: dict[Path, str] = {  # values of more than one kind
    ("head",): "the name of a head or a list of names",
    ("budget", "time"): "a duration such as 30m, 2h, 90s",
    ("budget", "ahead"): "auto or a whole number",
    ("run", "gpus"): "auto or a number",
    ("run", "cohort"): "auto or a whole number",
}


def examine(document: Document) -> SpaceShape:
    """The document as a `SpaceShape`; a UserError with line and suggestion for the first thing that is wrong."""
    content = {k: v for k, v in document.content.items() if v is not None or k not in SpaceShape.model_fields}
    try:
        return SpaceShape.model_validate(content)
    except ValidationError as problem:
        raise _first(document, (), SpaceShape, problem) from None


def distribution(document: Document, path: Path, plain: dict[str, Any]) -> DistributionShape:
    """What stands below `search.<name>` as one of the three shapes; a UserError as in `examine`."""
    kind = plain.get("type")
    if not isinstance(kind, str) or kind not in DISTRIBUTIONS:
        offer = ", ".join(DISTRIBUTIONS)
        said = f"type is one of {offer}, not {_show(kind)}" if "type" in plain else f"type is missing: {offer}"
        near = nearest(kind, list(DISTRIBUTIONS)) if isinstance(kind, str) else ""
        example = "For example: {type: float, low: 0.1, high: 1.0}"
        raise document.error((*path, "type"), f"{'.'.join(map(str, path))}: {said}{near}", example)
    shape = DISTRIBUTIONS[kind]
    try:
        return shape.model_validate(plain)
    except ValidationError as problem:
        raise _first(document, path, shape, problem) from None


def _first(document: Document, base: Path, shape: type[BaseModel], problem: ValidationError) -> UserError:
    """The refusal of the topmost fault in the file, and how many more there are."""
    faults = [(_known(document, (*base, *f["loc"]), str(f["type"])), f) for f in problem.errors(include_url=False)]
    path, fault = min(faults, key=lambda f: (document.lines.get(f[0], 0), len(f[0])))  # the topmost in the file
    what, offer = _words(path, fault, _keys(shape, path[len(base) : -1]))
    more = f"{len(faults) - 1} more to mend after it" if len({p for p, _ in faults}) > 1 else ""
    return document.error(path, what, offer, more)


def _known(document: Document, loc: Path, kind: str) -> Path:
    """The place in the file: without the names of a union's members, which pydantic adds at the end."""
    node: Any = document.content
    for depth, key in enumerate(loc):
        try:
            node = node[key]
        except (KeyError, IndexError, TypeError):
            return loc if kind == "missing" else loc[:depth]
    return loc


def _words(path: Path, fault: Any, offer: list[str]) -> tuple[str, str]:
    """What is wrong, and what is on offer."""
    name, kind = ".".join(map(str, path)), str(fault["type"])
    if kind == "extra_forbidden":
        return f"unknown key {path[-1]!r}{nearest(str(path[-1]), offer)}", f"Known here: {', '.join(offer)}"
    if kind == "missing":
        return f"{name} is missing", f"Known here: {', '.join(offer)}"
    if path == ("objective", "metric") and str(fault["input"]).startswith("test"):
        metrics = str(fault["ctx"]["expected"]).replace("'", "")
        return f"{name}: what selects must not see the test fold", f"Validation metrics: {metrics}"
    return f"{name} is {_belongs(path, fault)}", ""


def _belongs(path: Path, fault: Any) -> str:
    """'a number, not the text …': what belongs at `path`, what was found."""
    kind, found = str(fault["type"]), _show(fault["input"])
    if path[:1] == ("fixed",) or path[-2:-1] == ("choices",):
        return f"one value, not {found}"
    if path in _EITHER or kind in _EXPECTED:
        return f"{_EITHER.get(path) or _EXPECTED[kind]}, not {found}"
    if kind == "literal_error":
        choices = str(fault["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"one of {', '.join(choices)}, not {found}{nearest(str(fault['input']), choices)}"
    said = str(fault["msg"]).removeprefix("Input should be ").replace("greater than or equal to", "at least")
    return f"{said.replace('less than or equal to', 'at most')}, not {found}"


def _show(value: object) -> str:
    """A value that was found, in few words."""
    if isinstance(value, str):
        return f"the text '{value[:60]}'"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "keys with values"
    return spell(value) if value is None or isinstance(value, (int, float)) else str(value)


def _keys(shape: Any, path: Path) -> list[str]:
    """The keys that are known at `path` below a shape."""
    for key in path:
        known = getattr(shape, "model_fields", {})
        if isinstance(key, str):
            shape = CellShape if key == "cells" else known[key].annotation if key in known else None
    return list(getattr(shape, "model_fields", {}))
