"""A command's result as text for people: tables and indented keys, the same on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reno_sweeps.reports import tables, wording


def spell(value: Any) -> str:
    """Whatever a command found, without colours, never cut or wrapped. A shape is known by its keys."""
    if isinstance(value, Mapping):
        for keys, spelled in _SHAPES:
            if keys <= set(value):
                return "\n".join(spelled(value))
        return "\n".join(indented(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(listed(value))
    return _cell(value)


# --- any value -----------------------------------------------------------------------------------------------


def listed(values: Sequence[Any], indent: str = "") -> list[str]:
    """Rows as a table, anything else a line each."""
    if not values:
        return [f"{indent}none"]
    if all(isinstance(value, Mapping) for value in values):
        columns = tables.columns_of(values)
        return tables.aligned([{_word(c): _cell(row.get(c)) for c in columns} for row in values], indent)
    return [f"{indent}{_cell(value)}" for value in values]


def indented(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """A line for each key, what lies below it indented by two."""
    wide = max((tables.width(_word(key)) for key, inner in value.items() if not _is_nested(inner)), default=0)
    lines = []
    for key, inner in value.items():
        if _is_nested(inner):
            deeper = indented if isinstance(inner, Mapping) else listed
            lines += [f"{indent}{_word(key)}", *deeper(inner, f"{indent}  ")]
        else:
            space = " " * (wide - tables.width(_word(key)))
            lines.append(f"{indent}{_word(key)}{space}  {_cell(inner)}".rstrip())
    return lines


def _is_nested(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list | tuple) and any(isinstance(inner, Mapping | list | tuple) for inner in value)


def _word(key: Any) -> str:
    word = str(key)  # of a parameter (training.weight_decay) it is the name
    return _printable(word.replace("_", " ") if word.islower() and "." not in word else word)


def _cell(value: Any) -> str:
    """One value in one line; what a terminal would obey instead of print is spelled out."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_cell(key)}: {_cell(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "none"
    return _printable(wording.number(value) if isinstance(value, float) else str(value))


def _printable(text: str) -> str:
    """Paths and labels come from others: line breaks and what a terminal would obey are spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# --- a sweep -------------------------------------------------------------------------------------------------


def _sweep(summary: Mapping[str, Any]) -> list[str]:
    """The object of `run --json` in a screenful: what was asked, what was found, where to look next."""
    return [
        *_asked(summary),
        *_found(summary),
        *(["", *[f"caution: {_cell(said)}" for said in summary["cautions"]]] if summary.get("cautions") else []),
        *_running(summary.get("running") or ()),
        "",
        *_keyed(_next(summary)),
    ]


def _asked(summary: Mapping[str, Any]) -> list[str]:
    state = f" ({summary['state']})" if "state" in summary else ""
    repeats = f", {summary['repeats']} repeats" if summary.get("repeats", 1) > 1 else ""
    repeats += f", {summary['seeds']} seeds a fold" if summary.get("seeds", 1) > 1 else ""
    several = f", the best of {len(summary['cells'])} cells" if "cells" in summary else ""
    selection = summary["selection"]
    facts = {
        "corpus": f"{_clips(summary)}, {summary['folds']} folds{repeats}",
        "model": f"{summary['head']} on {wording.encoders(summary['encoders'])}{several}",
        "protocol": f"{selection}: {wording.PROTOCOLS[selection]}",
        "trials": f"{summary['trials']['asked']} asked: {wording.ended(summary['trials'])}",
    }
    return [f"{_printable(summary['sweep'])}{state}", *_keyed(facts)]


def _clips(found: Mapping[str, Any]) -> str:
    return f"{found['corpus']}{' (synthetic clips)' if wording.synthetic(found) else ''}"


def _found(summary: Mapping[str, Any]) -> list[str]:
    best = summary["best"]
    if best is None:
        return ["", "no trial is complete yet"]
    said = f"trial {best['number']}, objective {wording.number(best['objective'])} (mean validation score over folds)"
    params = {name: _cell(value) for name, value in best["params"].items()}
    lines = [*_keyed({"best": said}), *[f"  {line}" for line in indented(params)], ""]
    lines += tables.aligned(_texts(tables.headline(summary)))
    if summary.get("optimistic"):
        lines.append("† optimistic: the test fold stopped the training and selected")
    if gap := wording.gap(summary):
        lines.append(gap)
    if "cells" in summary:
        lines += ["", *tables.aligned(_texts(tables.cell_rows(summary)))]
    return lines


def _texts(rows: Sequence[tables.Row]) -> list[dict[str, str]]:
    return [{name: _cell(value) for name, value in row.items()} for row in rows]


def _running(running: Sequence[Mapping[str, Any]]) -> list[str]:
    if not running:
        return []
    now = [
        {
            "running": f"trial {trial['trial']}",
            "folds finished": trial["folds_finished"],
            "since": _clock(trial["since"]),
            **trial["params"],
        }
        for trial in running
    ]
    return ["", *listed(now)]


def _clock(since: float | None) -> str:
    return "" if since is None else datetime.fromtimestamp(since, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _next(summary: Mapping[str, Any]) -> dict[str, str]:
    """Where to look, and what to do with it."""
    name, best = summary["sweep"], summary["best"]
    seconds = {what: s for what, s in summary["seconds"].items() if s and what != "total"}
    parts = ", ".join(f"{what.replace('_', ' ')} {wording.duration(s)}" for what, s in seconds.items())
    total = summary["seconds"].get("total")
    said = {"time": f"{wording.duration(total)}{f' ({parts})' if parts else ''}"} if total else {}
    said["look"] = wording.mlflow_address(summary) or "reno-sweep ui"
    if best is not None:
        vectors = " --embeddings-input" * any(encoder.startswith("file:") for encoder in summary["encoders"])
        said |= {"report": f"reno-sweep report {name}", "register": f"reno-sweep register {name}{vectors}"}
    if summary.get("state") == "stopped":
        said["go on"] = f"reno-sweep resume {name}"
    return said


def _keyed(facts: Mapping[str, str]) -> list[str]:
    return [f"{key:<9} {_printable(value)}" for key, value in facts.items()]


# --- what other commands find --------------------------------------------------------------------------------


def _space(found: Mapping[str, Any]) -> list[str]:
    """`space check`: every field, then the cost."""
    rows = [{**row, "searched": "searched" if row["searched"] else ""} for row in found["fields"]]
    return [f"space {_cell(found['space'])}", "", *listed(rows), "", *_cost(found["cost"])]


def _dry_run(found: Mapping[str, Any]) -> list[str]:
    """`run --dry-run`: what would be trained."""
    said = {key: value for key, value in found.items() if key not in {"cost", "messages"}}
    return [
        *indented({**said, "corpus": _clips(found)}),
        *map(_cell, found.get("messages", ())),
        "",
        *_cost(found["cost"]),
    ]


def _cost(cost: Mapping[str, Any]) -> list[str]:
    lines = indented({key: value for key, value in cost.items() if key != "remarks"})
    return [*lines, *map(_cell, cost.get("remarks", ()))]


def _checks(found: Mapping[str, Any]) -> list[str]:
    """`doctor`: a line for each check."""
    faults = sum(check["state"] == "fault" for check in found["checks"])
    return [*listed(found["checks"]), "", f"{faults or 'no'} fault{'s' * (faults != 1)}"]


def _registered(found: Mapping[str, Any]) -> list[str]:
    """`register`: what the model is called, what it was worth in the sweep, how to use it."""
    mark = " (optimistic)" if found["selection"] == "paper" else ""
    test = {f"test {wording.METRICS[m]}": f"{wording.percent(over)} %{mark}" for m, over in found["test"].items()}
    said = {key: value for key, value in found.items() if key != "test"}
    use = f"reno-sweep predict {found['model_uri']} AUDIO…" if found["input"] == "audio" else ""
    return [*indented({**said, **test}), *(["", *_keyed({"use": use})] if use else [])]


_SHAPES = (
    ({"sweep", "trials", "best", "baselines"}, _sweep),
    ({"space", "fields", "cost"}, _space),
    ({"sweep", "corpus", "cost"}, _dry_run),
    ({"checks"}, _checks),
    ({"model_uri", "test", "selection", "input"}, _registered),
)
