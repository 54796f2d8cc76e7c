"""The words of every report: protocols, caveats, numbers; so that text, tables, page and note say the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from reno_sweeps import catalogue
from reno_sweeps.records import Sweep
from reno_sweeps.space import Categorical, Distribution, Value, spell

PROTOCOLS = {  # selection → what its numbers mean
    "validation": "cross-validated, selected: each fold's stopping and score used its validation part alone, and the "
    "configuration was chosen on the mean over folds; the winner's test mean is mildly optimistic",
    "nested": "unbiased in the row that says nested: the whole search was repeated inside each outer fold, whose test "
    "clips it never saw; the configuration that is shipped comes from one more search over all folds, whose own test "
    "mean is mildly optimistic",
    "paper": "optimistic: the test fold of each fold also stopped its training and selected the configuration",
}
METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1", "uar": "UAR", "cross_entropy": "cross-entropy"}
SHARES = ("accuracy", "macro_f1", "uar")  # metrics between 0 and 1: shown in percent
NOTHING = "–"  # where there is no number
STATISTICS = ("mean", "sd", "95 % t", "95 % corrected")  # rows below the folds
INTERVALS = (  # what those rows mean
    "sd: standard deviation over folds (n − 1). 95 % t: t-interval of the mean as if folds were independent; they "
    "share training clips, so it is too narrow. 95 % corrected: its variance enlarged for that (Nadeau & Bengio 2003)."
)


def synthetic(summary: Mapping[str, Any]) -> bool:
    """Whether the clips were made by a program; every figure of such a corpus says so."""
    if "synthetic" in summary:
        return bool(summary["synthetic"])
    corpus = summary["corpus"]
    return corpus in catalogue.names("corpora") and bool(catalogue.load("corpora", corpus).FACTS.synthetic)


def caveat(summary: Mapping[str, Any]) -> str:
    """What must stand beside every figure of the sweep: 'synthetic clips, optimistic', or nothing."""
    said = ["synthetic clips"] * synthetic(summary) + ["optimistic"] * bool(summary.get("optimistic"))
    return ", ".join(said)


def gap(summary: Mapping[str, Any]) -> str | None:
    """What the optimism gap of a nested sweep says; None where there is none."""
    found = (summary.get("nested") or {}).get("optimism_gap")
    if found is None:
        return None
    more = f"{abs(100 * found):.1f} points {'more' if found >= 0 else 'less'} than"
    return f"optimism gap: the selected configuration's own test mean promises {more} the unbiased nested figure"


def metric(name: str) -> str:
    """'val_macro_f1' in words: 'val macro-F1'."""
    part, _, rest = name.partition("_")
    if part in {"val", "test"} and rest in METRICS:
        return f"{part} {METRICS[rest]}"
    return METRICS.get(name, name if "." in name else name.replace("_", " "))  # training.weight_decay is a name


def is_share(name: str) -> bool:
    """Whether a metric, with or without its part, lies between 0 and 1."""
    return name.removeprefix("val_").removeprefix("test_") in SHARES


def percent(over: Mapping[str, Any] | None) -> str:
    """A mean over folds with its deviation, in percent: '60.1 ± 3.0'; '–' where there is none."""
    if not over or over.get("mean") is None:
        return NOTHING
    deviation = f" ± {100 * over['std']:.1f}" if over.get("std") is not None else ""
    return f"{100 * over['mean']:.1f}{deviation}"


def measured(name: str, value: float | None) -> str:
    """A metric's value as people read it: shares in percent ('61.2 %'), others with four digits."""
    if value is None:
        return NOTHING
    return f"{100 * value:.1f} %" if is_share(name) else f"{value:.4f}"


def number(value: Any) -> str:
    """A plain value: four significant digits for a real number, 'true' and 'null' as a space file writes them."""
    return f"{value:.4g}" if isinstance(value, float) else spell(value)


def duration(seconds: float) -> str:
    """Seconds for people: 0.4 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def span(distribution: Distribution) -> str:
    """A distribution in a few signs: '1.05 … 10 (log)', '1, 2, 4', with its conditions."""
    when = f"; when {_conditions(distribution.when)}" if distribution.when else ""
    if isinstance(distribution, Categorical):
        return ", ".join(map(spell, distribution.values)) + when
    log = " (log)" if distribution.log else ""
    step = f" step {distribution.step:g}" if distribution.step not in {None, 1} else ""
    return f"{distribution.low:g} … {distribution.high:g}{step}{log}{when}"


def _conditions(when: tuple[tuple[str, Value], ...]) -> str:
    values: dict[str, list[str]] = {}
    for name, value in when:
        values.setdefault(name, []).append(spell(value))
    return ", ".join(f"{name} is {' or '.join(several)}" for name, several in values.items())


def cells(sweep: Sweep) -> str:
    """What is searched: 'reno on mfcc + log-mel', at most four cells by name."""
    named = [f"{cell.head} on {encoders(cell.encoders)}" for cell in sweep.cells]
    return "; ".join(named[:4]) + (f"; and {len(named) - 4} more cells" if len(named) > 4 else "")


def encoders(ids: Sequence[str]) -> str:
    """Encoders side by side; of a file or a folder its last name: 'file:x.npz' for 'file:/data/x.npz'."""
    return " + ".join(re.sub(r"^(file|hf):.*?([^/]+)$", r"\1:\2", e) if ":/" in e else e for e in ids)


def ended(trials: Mapping[str, int]) -> str:
    """How the trials that ended did: '60 complete, 4 pruned'."""
    states = ("complete", "pruned", "failed")
    return ", ".join(f"{trials[state]} {state}" for state in states if trials[state]) or "none ended yet"


def mlflow_address(summary: Mapping[str, Any]) -> str | None:
    """The parent run's page on a tracking server, without the user's name and password; None for a local store."""
    place = urlsplit(summary.get("tracking_uri") or "")
    if place.scheme not in {"http", "https"} or not summary.get("parent_run_id"):
        return None
    server = urlunsplit((place.scheme, place.netloc.rpartition("@")[2], place.path.rstrip("/"), "", ""))
    return f"{server}/#/experiments/{summary['experiment_id']}/runs/{summary['parent_run_id']}"
