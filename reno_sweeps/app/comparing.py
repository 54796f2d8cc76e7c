"""`compare` and `table`: sweeps of this home side by side, and beside the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reno_sweeps.app import opening
from reno_sweeps.app.stored import Stored, load
from reno_sweeps.config.settings import gather
from reno_sweeps.records import UserError, digest
from reno_sweeps.reports import comparisons, home_table, paper_table, paper_text, tables, wording

PAPER = {"1": 1, "2": 2}
HOME = "home"  # the table of everything that this home has
SELECTIONS = ("validation", "nested", "paper")


# --- compare ------------------------------------------------------------------------------------------------


def compare(names: Sequence[str], home: Path | None, metric: str) -> dict[str, Any]:
    """Sweeps by their best, paired by fold; a single sweep by its cells and baselines; on several corpora by corpus."""
    if metric not in wording.SHARES:
        raise UserError(f"--metric {metric}: not compared\non offer: {', '.join(wording.SHARES)}")
    found = [load(name, home) for name in dict.fromkeys(names)]
    if len(found) == 1:
        return _within(found[0], metric)
    whose = {one.name: _best(one) for one in found}
    corpora = {one.name: str(one.state["corpus"]["id"]) for one in found}
    if len(set(corpora.values())) > 1:
        return _across(found, whose, corpora, metric)
    from reno_sweeps.compare.pairs import Contestant, against

    contestants = [Contestant(one.name, _scores(one, whose[one.name], metric), tested(one)) for one in found]
    told = against(contestants[0], contestants[1:], metric=metric)
    rows = [_row(one, whose[one.name], metric) for one in found]
    return _said(metric, rows, told, comparisons.meaning(metric))


def _within(found: Stored, metric: str) -> dict[str, Any]:
    summary = found.summary()
    best = _best(found)
    told = comparisons.of_sweep(summary, metric)
    if not told:
        raise UserError(
            f"sweep {found.name!r} has nothing to compare its best with\n"
            "give a second sweep, or one with cells or baselines"
        )
    return _said(metric, [_row(found, best, metric)], told, comparisons.meaning(metric))


def _across(
    found: Sequence[Stored], whose: Mapping[str, Mapping[str, Any]], corpora: Mapping[str, str], metric: str
) -> dict[str, Any]:
    """Heads on encoders over corpora: what each reaches on each corpus, by Wilcoxon's signed ranks."""
    from reno_sweeps.compare.pairs import across_corpora

    scores: dict[str, dict[str, float]] = {}
    for one in found:
        summary = one.summary()
        contestant = f"{summary['head']} on {wording.encoders(summary['encoders'])}"
        own = scores.setdefault(contestant, {})
        if corpora[one.name] in own:
            raise UserError(
                f"{contestant} is given twice on {corpora[one.name]}\none sweep for each corpus, or one corpus alone"
            )
        own[corpora[one.name]] = float(whose[one.name]["test"][metric]["mean"])
    reference = next(iter(scores))
    told = across_corpora(reference, scores, metric=metric)
    rows = [_row(one, whose[one.name], metric) for one in found]
    return _said(metric, rows, told, comparisons.ACROSS)


def _best(found: Stored) -> Mapping[str, Any]:
    best: Mapping[str, Any] | None = found.summary()["best"]
    if best is None:
        raise UserError(f"sweep {found.name!r} has no complete trial yet\ngo on with: reno-sweep resume {found.name}")
    return best


def tested(found: Stored) -> str:
    """Which clip is tested in which fold, as a digest: what pairing needs, whatever stopped the training."""
    return digest([[clip.path for clip in found.clips], found.data.get("tested", [])])


def _scores(found: Stored, best: Mapping[str, Any], metric: str) -> list[list[float]]:
    folds, n = best["test"].get(metric, {}).get("folds", []), found.sweep.protocol.n_folds
    if len(folds) < 2 or len(folds) % n or None in folds:
        raise UserError(f"sweep {found.name!r} has no {wording.METRICS[metric]} of every fold\nnothing can be paired")
    return [folds[start : start + n] for start in range(0, len(folds), n)]


def _row(found: Stored, best: Mapping[str, Any], metric: str) -> dict[str, Any]:
    summary = found.summary()
    return {
        "sweep": found.name,
        "corpus": summary["corpus"],
        "head": summary["head"],
        "encoders": list(summary["encoders"]),
        "selection": summary["selection"],
        "configurations": tables.tried(summary),
        "trial": best["number"],
        "mean": best["test"][metric]["mean"],
        "std": best["test"][metric]["std"],
    }


def _said(metric: str, rows: list[dict[str, Any]], told: Sequence[Any], meaning: str) -> dict[str, Any]:
    return {
        "metric": metric,
        "compared": rows,
        "comparisons": comparisons.rows(told),
        "verdicts": [one.verdict for one in told],
        "meaning": meaning,
        "shown": comparisons.shown(told),
    }


def spelled(found: Mapping[str, Any]) -> str:
    """What `compare` says to people."""
    shown = [
        {
            "sweep": row["sweep"],
            "corpus": row["corpus"],
            "model": f"{row['head']} on {wording.encoders(row['encoders'])}",
            "protocol": f"{row['selection']}{' †' * (row['selection'] == 'paper')}",
            "best of": str(row["configurations"]),
            f"{wording.METRICS[found['metric']]} %": wording.percent(row),
        }
        for row in found["compared"]
    ]
    marks = ["† optimistic: the test fold stopped the training and selected."]
    lines = [*tables.aligned(shown), *(marks if any("†" in row["protocol"] for row in shown) else []), ""]
    lines += [*tables.aligned(found["shown"]), "", *found["verdicts"], "", found["meaning"]]
    return "\n".join(lines) + "\n"


# --- tables -------------------------------------------------------------------------------------------------


def table(which: str, home: Path | None, selection: str | None, corpus: str | None = None) -> dict[str, Any]:
    """The paper's table 1 or 2 from this home, the table of all that it has, or that of one sweep's cells."""
    if selection is not None and selection not in SELECTIONS:
        raise UserError(f"--selection {selection}: no such protocol\non offer: {', '.join(SELECTIONS)}")
    there = gather({"home": home}).home
    if which in PAPER:
        measured = _on(_measured(opening.sweeps_in(there), there, selection), corpus)
        return _paper(PAPER[which], measured, corpus)
    names = opening.sweeps_in(there)
    if which != HOME and which not in names:
        raise UserError(
            f"no table {which!r}\non offer: 1, 2, {HOME}, or a sweep: {', '.join(names) or 'none here yet'}"
        )
    measured = _on(_measured(names if which == HOME else (which,), there, selection), corpus)
    if not measured:
        raise UserError(f"nothing is measured yet in {there}\nstart with: reno-sweep run --space baselines.yaml")
    rows = home_table.rows(measured)
    both = home_table.protocols(measured)
    return {"table": which, "rows": rows, "protocols": both, "shown": home_table.shown(rows)}


def _measured(names: Sequence[str], home: Path, selection: str | None) -> list[home_table.Measured]:
    found = []
    for name in names:
        one = load(name, home)
        if selection in {None, one.sweep.protocol.selection}:
            found += home_table.of_sweep(one.summary(), tested(one), _stand_in(one), one.sweep.weights)
    return found


def _on(measured: Sequence[home_table.Measured], corpus: str | None) -> list[home_table.Measured]:
    return [one for one in measured if corpus in {None, one.place.corpus}]


def _stand_in(found: Stored) -> str:
    """What stands where the paper has recordings."""
    return "synthetic clips" if found.state["corpus"]["synthetic"] else ""


def _paper(number: int, measured: Sequence[home_table.Measured], corpus: str | None) -> dict[str, Any]:
    """Of several sweeps at a place the first of SELECTIONS counts, and of these the last."""
    in_order = sorted(measured, key=lambda one: -SELECTIONS.index(one.found.selection))
    ours = {one.place: one.found for one in in_order if len(one.place.encoders) == number}  # I: single, II: pairs
    lacking = _lacking()
    entries = [e for e in paper_table.lay_out(number, ours, lacking) if corpus in {None, e.place.corpus}]
    if not entries:
        raise UserError(
            f"nothing of table {number} is measured on corpus {corpus!r}\nits own corpora: {_corpora(number)}"
        )
    return {
        "table": str(number),
        "rows": paper_table.rows(entries),
        "tally": paper_table.tally(entries),
        "text": paper_text.text(number, entries, lacking),
        "markdown": paper_text.markdown(number, entries, lacking),
        "latex": paper_text.as_latex(number, entries),
        "csv": paper_text.as_csv(entries),
    }


def _corpora(number: int) -> str:
    from reno_sweeps.reports import published

    return ", ".join(dict.fromkeys(place.corpus for place in published.table(number)))


def _lacking() -> dict[str, str]:
    """Encoders and corpora of the paper that are not at hand, with the command that gets them."""
    from reno_sweeps.app import corpora, encoders

    lacks = {row["id"]: f"reno-sweep encoders fetch {row['id']}" for row in encoders.known() if row["at_hand"] is False}
    return lacks | {row["id"]: f"reno-sweep corpus fetch {row['id']}" for row in corpora.known() if not row["at_hand"]}


FORMATS = ("text", "markdown", "latex", "csv")


def written(found: Mapping[str, Any], form: str) -> str:
    """A table in one of FORMATS."""
    if form not in FORMATS:
        raise UserError(f"--format {form}: not written\non offer: {', '.join(FORMATS)}")
    if "text" in found:
        return str(found[form]).rstrip("\n") + "\n"
    if form == "csv":
        return tables.csv_text(found["rows"])
    if form == "markdown":
        parts = [tables.markdown(found["shown"])] + (
            [tables.markdown(found["protocols"])] if found["protocols"] else []
        )
        return "\n".join(parts)
    if form == "latex":
        from reno_sweeps.reports import latex

        return latex.table(found["shown"], "What this home has measured, on test folds.", "tab:home")
    both = ["", *tables.aligned(found["protocols"]), "", home_table.MEANING] if found["protocols"] else []
    marked = any("†" in str(row) for row in found["shown"])
    note = ["", "† optimistic: the test fold stopped the training and selected."] if marked else []
    return "\n".join([*tables.aligned(found["shown"]), *both, *note]) + "\n"
