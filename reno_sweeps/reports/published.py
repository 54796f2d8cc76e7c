"""The paper's own figures, shipped with the package: Table I (single encoders) and Table II (pairs)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

from reno_sweeps.records import UserError

SOURCE = (
    'the RENO paper ("non-verbal vocal sounds emotion recognition", Rényi AttentiOn Network), Tables I and II; '
    "percent, averages over five folds, without deviations"
)
TITLES = {1: "Table I: fcn and cnn on single encoders", 2: "Table II: concat and reno on pairs of encoders"}
REMARKS = {  # what a reader of the paper must know
    1: (),
    2: (
        "Its text calls audio-mamba-base + hubert-base (72.51) best on vivae, Table II audio-mamba-small + wavlm-base.",
    ),
}
METRICS = ("accuracy", "macro_f1")


@dataclass(frozen=True, slots=True)
class Place:
    """One cell of a table: a head on one encoder or a pair, on a corpus."""

    head: str
    encoders: tuple[str, ...]
    corpus: str


def table(number: int) -> dict[Place, dict[str, float]]:
    """Table 1 or 2 in the paper's order: place → metric → share (0.6651 for the paper's 66.51)."""
    if number not in TITLES:
        raise UserError(f"the paper has no table {number}\nit has 1 (single encoders) and 2 (pairs)")
    text = resources.files("reno_sweeps.reports").joinpath("paper", f"paper_table{number}.csv").read_text("utf-8")
    return {_place(row): {m: _share(row[f"{m}_pct"]) for m in METRICS} for row in csv.DictReader(text.splitlines())}


def _place(row: dict[str, str]) -> Place:
    pair = tuple(row[key] for key in ("encoder", "encoder_a", "encoder_b") if key in row)
    return Place(row["head"], pair, row["corpus"])


def _share(percent: str) -> float:
    return round(float(percent) / 100, 6)  # the paper has four digits: 66.51 is 0.6651, not 0.6651000000000001
