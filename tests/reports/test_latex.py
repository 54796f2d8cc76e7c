"""LaTeX tables: booktabs, one line a row, no sign of others' text left that LaTeX would obey."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reno_sweeps.reports import intervals, latex, tables

words = st.text(max_size=12)
OBEYED = re.compile(r"(?<!\\)[&%#_{}~^$]")


def test_signs_are_printed_not_obeyed() -> None:
    assert latex.escaped("50 % of a_b & {c} #1 ~x^2 $y$") == (
        r"50 \% of a\_b \& \{c\} \#1 \textasciitilde{}x\textasciicircum{}2 \$y\$"
    )
    assert latex.escaped("C:\\temp") == r"C:\textbackslash{}temp"
    assert latex.escaped("β = −1 ± 2 – 3") == r"$\beta$ = $-$1 $\pm$ 2 -- 3"


@given(words)
def test_no_text_opens_or_closes_anything(text: str) -> None:
    made = latex.escaped(text)
    for own in set(re.findall(r"\\text[a-z]+\{\}|\\dots\{\}|\{\[\}|\$\\?[a-zA-Z-]+\$", made)):
        made = made.replace(own, "")

    assert not OBEYED.search(made)
    assert "\n" not in made


@given(st.lists(st.fixed_dictionaries({"a": words, "b": words}), min_size=1, max_size=5))
def test_every_row_is_one_line_of_as_many_cells(rows: list[dict[str, str]]) -> None:
    lines = latex.tabular(rows)

    assert len(lines) == len(rows) + 6
    assert all(len(re.findall(r"(?<!\\)&", line)) == 1 for line in lines if line.endswith(r"\\"))


def test_a_table_is_made_of_booktabs_with_caption_label_and_rule(trials: list[Any]) -> None:
    rows = tables.shown(intervals.with_statistics(tables.brief_folds(trials[1].scores), 2))
    text = latex.table(rows, "100 % sure", "tab:folds", rule_before=2)
    lines = text.splitlines()

    assert lines[0] == r"% \usepackage{booktabs}"
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 2, 1]
    assert r"\caption{100 \% sure}" in text
    assert r"\label{tab:folds}" in text
    assert r"\begin{tabular}{rll" + "r" * 7 + "}" in text
    assert lines.index(r"\midrule", lines.index(r"\midrule") + 1) == 9 + 2  # below two folds


def test_no_row_is_no_table() -> None:
    assert latex.table([]) == ""
