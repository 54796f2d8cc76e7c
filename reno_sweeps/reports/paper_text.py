"""The paper's tables as text, Markdown, LaTeX and CSV: a block for each corpus, a line for each head and encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reno_sweeps.reports import intervals, latex, paper_table, published, tables, wording
from reno_sweeps.reports.paper_table import VERDICTS, Entry

NAMES = {"accuracy": "acc.", "macro_f1": "F1"}
OPTIMISTIC, STAND_IN, BY_HAND = "†", "‡", "§"
GIVEN = "weights were given by hand; the figure is that of the named encoder only if they are its own"
INTERVAL = (
    "95 %: interval of our mean over folds, corrected for shared training clips (Nadeau & Bengio 2003). "
    "The published figure is taken as exact; its folds and deviations are not known. Each cell is judged alone: "
    "of many, one in twenty differs by chance."
)


def blocks(entries: Sequence[Entry]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(corpus, shown rows), corpora in the order of their first mention."""
    corpora = dict.fromkeys(entry.place.corpus for entry in entries)
    for corpus in corpora:
        mine = [entry for entry in entries if entry.place.corpus == corpus]
        several = dict.fromkeys(entry.place for entry in mine)
        found = [_row([entry for entry in mine if entry.place == place]) for place in several]
        needed = any(row["needs"] for row in found)
        yield corpus, [row if needed else {k: v for k, v in row.items() if k != "needs"} for row in found]


def _row(entries: Sequence[Entry]) -> dict[str, str]:
    """The figures of one place side by side."""
    place = entries[0].place
    row = {"encoders": wording.encoders(place.encoders), "head": place.head}
    for entry in entries:
        name = NAMES[entry.metric]
        row |= {
            f"{name} ours": _ours(entry),
            f"{name} 95 %": intervals.in_percent(entry.interval or ()),
            f"{name} paper": _number(entry.published, ".2f"),
            f"{name} diff.": _number(entry.difference, "+.1f").replace("-", "−"),
            f"{name} verdict": entry.verdict,
        }
    return row | {"needs": _needs(entries[0])}


def _ours(entry: Entry) -> str:
    if entry.ours is None or entry.source is None:
        return wording.NOTHING
    marks = {
        OPTIMISTIC: entry.source.selection == "paper",
        STAND_IN: bool(entry.source.stand_in),
        BY_HAND: bool(entry.source.by_hand),
    }
    return f"{100 * entry.ours:.1f}{''.join(mark for mark, there in marks.items() if there)}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(100 * value, form)


def _needs(entry: Entry) -> str:
    """What a missing cell lacks; where nothing is, only the run."""
    if entry.verdict != "missing":
        return ""
    *encoders, corpus = (*entry.place.encoders, entry.place.corpus)
    said = [f"weights of {name}" for name in encoders if name in entry.needs]
    said += [f"corpus {corpus}"] * (corpus in entry.needs)
    return ", ".join(said) or "to be run"


def notes(number: int, entries: Sequence[Entry], lacking: Mapping[str, str] | None = None) -> list[str]:
    """What must be read beside the table: source, interval, verdicts and marks that occur, commands for what lacks."""
    there = {entry.verdict for entry in entries}
    sources = [entry.source for entry in entries if entry.source is not None]
    said = [f"{paper_table.tally(entries)}.", f"Published: {published.SOURCE}.", *published.REMARKS[number], INTERVAL]
    said += [f"{word}: {meaning}." for word, meaning in VERDICTS.items() if word in there]
    if any(source.selection == "paper" for source in sources):
        said.append(f"{OPTIMISTIC} optimistic: the test fold stopped the training and selected.")
    stand_ins = dict.fromkeys(source.stand_in for source in sources if source.stand_in)
    said += [f"{STAND_IN} not the paper's: {what}." for what in stand_ins]
    given = dict.fromkeys(name for source in sources for name in source.by_hand)
    said += [f"{BY_HAND} {', '.join(given)}: {GIVEN}."] if given else []
    needed = dict.fromkeys(name for entry in entries for name in entry.needs)
    said += [f"{name}: {lacking[name]}" for name in needed if lacking and name in lacking]
    if "missing" in there:
        corpora = dict.fromkeys(entry.place.corpus for entry in entries if entry.verdict == "missing")
        said += [f"missing on {c}: reno-sweep run --space paper_table{number} --corpus {c}" for c in corpora]
    return said


# --- formats ------------------------------------------------------------------------------------------------


def text(number: int, entries: Sequence[Entry], lacking: Mapping[str, str] | None = None) -> str:
    """For a terminal or a pipe: never cut, never wrapped."""
    lines = [published.TITLES[number]]
    for corpus, found in blocks(entries):
        lines += ["", f"{corpus}, test folds, in percent", *tables.aligned(found, "  ")]
    return "\n".join([*lines, "", *notes(number, entries, lacking)])


def markdown(number: int, entries: Sequence[Entry], lacking: Mapping[str, str] | None = None) -> str:
    """For a README or an issue."""
    parts = [f"## {published.TITLES[number]}"]
    for corpus, found in blocks(entries):
        parts.append(f"### {corpus}, test folds, in percent\n\n{tables.markdown(found).rstrip()}")
    said = [f"- {tables.escaped(note)}" for note in notes(number, entries, lacking)]
    return "\n\n".join([*parts, "\n".join(said)]) + "\n"


def as_latex(number: int, entries: Sequence[Entry]) -> str:
    """For a paper: a floating table over both columns for each corpus; what is missing is named in its caption."""
    made = []
    for corpus, found in blocks(entries):
        needs = dict.fromkeys(row["needs"] for row in found if row.get("needs"))
        lacks = f" Missing cells need: {'; '.join(needs)}." if needs else ""
        shown = [{name: value for name, value in row.items() if name != "needs"} for row in found]
        caption = f"{published.TITLES[number]}, {corpus}, in percent. {INTERVAL}{_marks(entries, corpus)}{lacks}"
        made.append(latex.table(shown, caption, f"tab:paper{number}-{corpus}", wide=True))
    return "\n".join(made)


def _marks(entries: Sequence[Entry], corpus: str) -> str:
    sources = [entry.source for entry in entries if entry.source is not None and entry.place.corpus == corpus]
    optimistic = f" {OPTIMISTIC} Optimistic protocol." * any(source.selection == "paper" for source in sources)
    stand_ins = dict.fromkeys(source.stand_in for source in sources if source.stand_in)
    given = f" {BY_HAND} {GIVEN.capitalize()}." * any(source.by_hand for source in sources)
    return optimistic + "".join(f" {STAND_IN} Not the paper's: {what}." for what in stand_ins) + given


def as_csv(entries: Sequence[Entry]) -> str:
    """A row a figure, every digit kept."""
    return tables.csv_text(paper_table.rows(entries))
