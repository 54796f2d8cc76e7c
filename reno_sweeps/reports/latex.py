"""Tables for a paper: LaTeX with booktabs, every cell escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reno_sweeps.reports import tables

PREAMBLE = "% \\usepackage{booktabs}\n"
_SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "…": r"\dots{}",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "β": r"$\beta$",
    "δ": r"$\delta$",
    "λ": r"$\lambda$",
    "Δ": r"$\Delta$",
    "[": "{[}",  # after \\ a bracket would be read as a length
}
_ANY = re.compile("|".join(map(re.escape, _SIGNS)))


def escaped(text: str) -> str:
    """Text as LaTeX prints it, in one line; what no printer knows is left out."""
    plain = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    return _ANY.sub(lambda sign: _SIGNS[sign[0]], plain)


def table(
    rows: Sequence[Mapping[str, str]],
    caption: str = "",
    label: str = "",
    rule_before: int | None = None,
    *,
    wide: bool = False,
) -> str:
    """A floating table of shown rows, numbers to the right; a rule before the row of that number; nothing without rows.

    `caption` is text and is escaped, `label` keeps its letters, digits, ':' and '-'; `wide` spans both columns of a
    page, in small print.
    """
    if not rows:
        return ""
    said = [f"\\caption{{{escaped(caption)}}}"] * bool(caption)
    said += [f"\\label{{{re.sub('[^A-Za-z0-9:-]', '-', label)}}}"] * bool(label)
    kind, small = ("table*", ["\\footnotesize"]) if wide else ("table", [])
    body = ["\\centering", *small, *said, *tabular(rows, rule_before)]
    return PREAMBLE + "\n".join([f"\\begin{{{kind}}}", *body, f"\\end{{{kind}}}"]) + "\n"


def tabular(rows: Sequence[Mapping[str, str]], rule_before: int | None = None) -> list[str]:
    """The lines of the table itself."""
    columns = tables.columns_of(rows)
    kinds = "".join("r" if tables.is_numeric(rows, column) else "l" for column in columns)
    lines = [_line([row.get(column, "") for column in columns]) for row in rows]
    if rule_before is not None and 0 < rule_before < len(lines):
        lines.insert(rule_before, "\\midrule")
    return [
        f"\\begin{{tabular}}{{{kinds}}}",
        "\\toprule",
        _line(columns),
        "\\midrule",
        *lines,
        "\\bottomrule",
        "\\end{tabular}",
    ]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
