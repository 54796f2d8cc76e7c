"""The paper's tables: its own figures, ours beside them, a verdict or a need in every cell, in four forms."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest

from reno_sweeps import catalogue
from reno_sweeps.encoders import list_encoders
from reno_sweeps.records import UserError
from reno_sweeps.reports import paper_table, paper_text, published
from reno_sweeps.reports.paper_table import Ours, lay_out
from reno_sweeps.reports.published import Place

SMALL = Place("fcn", ("audio-mamba-tiny",), "jnv")  # published: accuracy 59.82, macro-F1 58.14
LACKING = {"wavlm-base": "get wavlm", "vivae": "get vivae"}


def ours(*folds: float, **changes: str) -> Ours:
    return Ours({"accuracy": folds, "macro_f1": folds}, 5, "s-1", **changes)


def near(value: float) -> Ours:
    return ours(*[value + shift for shift in (-0.02, -0.01, 0.0, 0.01, 0.02)])


def verdict(found: Ours) -> str:
    return next(e.verdict for e in lay_out(1, {SMALL: found}) if e.place == SMALL and e.metric == "accuracy")


# --- the paper's figures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "places"), [(1, 2 * 7 * 3), (2, 2 * 18 * 3)])
def test_the_shipped_tables_are_whole(number: int, places: int) -> None:
    known = published.table(number)

    assert len(known) == places
    assert all(0.2 < share < 0.9 for figures in known.values() for share in figures.values())


def test_figures_are_those_that_are_printed() -> None:
    assert published.table(1)[SMALL] == {"accuracy": 0.5982, "macro_f1": 0.5814}
    pair = Place("reno", ("audio-mamba-small", "wavlm-base"), "vivae")
    assert published.table(2)[pair]["accuracy"] == 0.7365


def test_where_text_and_table_disagree_the_table_is_kept_and_it_is_said() -> None:
    vivae = {place: figures["accuracy"] for place, figures in published.table(2).items() if place.corpus == "vivae"}

    assert max(vivae, key=lambda place: vivae[place]).encoders == ("audio-mamba-small", "wavlm-base")
    assert vivae[Place("reno", ("audio-mamba-base", "hubert-base"), "vivae")] == 0.7251
    assert any("72.51" in note for note in paper_text.notes(2, lay_out(2, {})))


def test_the_papers_names_are_ours() -> None:
    places = [*published.table(1), *published.table(2)]
    named = {encoder for place in places for encoder in place.encoders}

    assert named <= {row["id"] for row in list_encoders()}
    assert {place.head for place in places} <= set(catalogue.names("heads"))
    assert {place.corpus for place in places} <= set(catalogue.names("corpora"))


def test_there_is_no_third_table() -> None:
    with pytest.raises(UserError, match="no table 3"):
        published.table(3)


# --- cells ----------------------------------------------------------------------------------------------------


def test_every_cell_has_ours_published_difference_interval_and_verdict() -> None:
    entry = next(e for e in lay_out(1, {SMALL: near(0.60)}) if e.place == SMALL)

    assert (entry.ours, entry.published, entry.verdict) == (pytest.approx(0.60), 0.5982, "compatible")
    assert entry.difference == pytest.approx(0.0018)
    assert entry.interval is not None
    assert entry.interval[0] < 0.5982 < entry.interval[1]


@pytest.mark.parametrize(("value", "word"), [(0.60, "compatible"), (0.75, "higher"), (0.45, "lower")])
def test_the_verdict_follows_the_interval(value: float, word: str) -> None:
    assert verdict(near(value)) == word


def test_a_wider_spread_makes_no_verdict_bolder() -> None:
    assert verdict(near(0.64)) == "higher"
    assert verdict(ours(0.44, 0.54, 0.64, 0.74, 0.84)) == "compatible"


def test_weights_given_by_hand_are_marked_and_said() -> None:
    found = {SMALL: replace(near(0.6), by_hand=SMALL.encoders)}
    entries = paper_table.lay_out(1, found)
    said = paper_text.text(1, entries)

    assert "§" in said
    assert f"§ {SMALL.encoders[0]}: {paper_text.GIVEN}." in said
    assert "§" in paper_text.as_latex(1, entries)


def test_one_fold_gives_no_verdict_and_a_stand_in_concludes_nothing() -> None:
    assert verdict(ours(0.9)) == "unsure"
    assert verdict(replace(near(0.9), stand_in="random weights")) == "stand-in"


def test_a_missing_cell_names_what_it_needs_and_a_measured_one_nothing() -> None:
    place = Place("concat", ("audio-mamba-tiny", "wavlm-base"), "vivae")
    missing = {entry.place: entry for entry in lay_out(2, {}, LACKING)}
    measured = {entry.place: entry for entry in lay_out(2, {place: near(0.5)}, LACKING)}

    assert missing[place].needs == ("wavlm-base", "vivae")
    assert missing[replace(place, encoders=("audio-mamba-tiny", "hubert-base"), corpus="jnv")].needs == ()
    assert measured[place].needs == ()


def test_the_papers_order_is_kept_and_other_corpora_follow() -> None:
    demo = replace(SMALL, corpus="demo")
    entries = lay_out(1, {demo: near(0.5)})
    places = list(dict.fromkeys(entry.place for entry in entries))

    assert places == [*published.table(1), demo]
    assert (entries[-1].published, entries[-1].difference, entries[-1].verdict) == (None, None, "ours only")


def test_a_place_without_scores_is_missing() -> None:
    entries = lay_out(1, {SMALL: Ours({}, 5)})

    assert {entry.verdict for entry in entries} == {"missing"}
    assert paper_table.tally(entries) == "84 figures: 84 missing"


# --- forms ----------------------------------------------------------------------------------------------------


def test_text_has_a_line_for_every_place_in_aligned_columns() -> None:
    text = paper_text.text(1, lay_out(1, {SMALL: near(0.60)}, LACKING), LACKING)
    table = [line for line in text.splitlines() if line.startswith("  ")]

    assert len(table) == 42 + 3 * 2
    assert "weights of wavlm-base, corpus vivae" in text
    assert "wavlm-base: get wavlm" in text
    assert "missing on vivae: reno-sweep run --space paper_table1 --corpus vivae" in text
    assert "84 figures: 2 compatible, 82 missing." in text


def test_marks_stand_on_the_figures_and_are_explained() -> None:
    marked = {SMALL: replace(near(0.6), selection="paper", stand_in="random weights")}
    text = paper_text.text(1, lay_out(1, marked))

    assert "60.0†‡" in text
    assert "† optimistic" in text
    assert "‡ not the paper's: random weights." in text
    assert "†" not in paper_text.text(1, lay_out(1, {SMALL: near(0.6)}))


def test_each_form_has_all_figures() -> None:
    entries = lay_out(2, {}, LACKING)
    markdown, tex = paper_text.markdown(2, entries, LACKING), paper_text.as_latex(2, entries)

    assert sum(line.startswith(("| audio", "| w", "| hub")) for line in markdown.splitlines()) == 108
    assert len(re.findall(r"& (?:concat|reno) &", tex)) == 108
    assert tex.count(r"\begin{table*}") == tex.count(r"\end{table*}") == tex.count(r"\toprule") == 3
    assert "weights of wavlm-base" in tex


def test_csv_gives_back_every_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(paper_text.as_csv(lay_out(1, {SMALL: near(0.60)}, LACKING)))))
    mine = next(row for row in rows if row["ours_pct"])

    assert len(rows) == 84
    assert float(mine["ours_pct"]) == pytest.approx(60.0)
    assert (mine["published_pct"], mine["verdict"], mine["sweep"]) == ("59.82", "compatible", "s-1")
    assert float(mine["difference_points"]) == pytest.approx(0.18)
    assert [row["needs"] for row in rows if row["encoders"] == "wavlm-base"][:2] == ["wavlm-base"] * 2


def test_the_shipped_files_are_the_shared_ones(shared_data: object) -> None:
    from importlib import resources
    from pathlib import Path

    reference = Path(str(shared_data)).parent / "reference"
    for number in (1, 2):
        name = f"paper_table{number}.csv"
        shipped = resources.files("reno_sweeps.reports").joinpath("paper", name).read_bytes()

        assert shipped == (reference / name).read_bytes()
