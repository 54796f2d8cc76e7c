"""The tables of docs/performance.md, made of results/*.json: medians over runs of the same sizes, machine beside them.

python benchmarks/tables.py [--check]     write the document's tables again; --check: only say whether they are as made

A results file is one benchmark's output, or that of run.py. Files with equal sizes on equal machines are runs of one
measurement: every number shown is their median.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS, DOCUMENT = HERE / "results", HERE.parent / "docs" / "performance.md"
OPEN = "*Open: no results of this are stored yet.*"
BLOCK = re.compile(r"<!-- table: ([a-z -]+?) -->\n.*?<!-- end -->", re.DOTALL)
SAID = ("torch", "ray", "optuna", "mlflow")  # versions that matter here
Found = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """Runs of one measurement: their medians, and how many they were."""

    found: Found
    runs: int

    @property
    def caption(self) -> str:
        """Machine, versions and sizes in a line."""
        machine, sizes = self.found["machine"], sizes_of(self.found)
        device = machine["gpu"] if sizes.get("device") == "cuda" else f"{machine['cpu']}, {machine['cores']} cores"
        versions = ", ".join(f"{name} {machine[name]}" for name in SAID if name in machine)
        asked = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in sizes.items())
        return f"{device}; {versions}. Sizes: {asked}. {_runs(self.runs)}, load {machine['load']:g} at the start."


def _runs(count: int) -> str:
    return "One run" if count == 1 else f"Medians of {count} runs"


def _plain(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


# --- reading results -----------------------------------------------------------------------------------------------


def results(folder: Path) -> list[tuple[str, Found]]:
    """(benchmark's name, what it found) of every file; the names of files only order them."""
    found: list[tuple[str, Found]] = []
    for file in sorted(folder.glob("*.json")):
        whole = json.loads(file.read_text())
        own = "study" if "study_and_tracking" in whole.get("seconds", ()) else file.stem
        found += [(whole.get("benchmark", own), whole)] if "machine" in whole else list(whole.items())
    return found


def sizes_of(one: Found) -> Mapping[str, Any]:
    """What was asked of a measurement; empty where it does not say."""
    if "asked" in one:
        return {"trials": one["trials"]["asked"], **one["asked"]}
    sizes: Mapping[str, Any] = one.get("sizes", {})
    return sizes


def groups(name: str, found: Iterable[tuple[str, Found]], part: str) -> list[Group]:
    """The measurements of one benchmark that hold this part."""
    alike: dict[str, list[Found]] = {}
    for own, one in found:
        if own == name and part in one:
            same = {key: value for key, value in one["machine"].items() if key != "load"}
            alike.setdefault(json.dumps([same, sizes_of(one)], sort_keys=True), []).append(one)
    return [Group(median(runs), len(runs)) for runs in alike.values()]


def median(runs: Sequence[Any]) -> Any:
    """Number by number, through dicts and lists of one shape; what is no number is the first run's."""
    first = runs[0]
    if isinstance(first, dict):
        shared = [key for key in first if all(isinstance(run, dict) and key in run for run in runs)]
        return {key: median([run[key] for run in runs]) for key in shared}
    if isinstance(first, list) and all(isinstance(run, list) and len(run) == len(first) for run in runs):
        return [median(column) for column in zip(*runs, strict=True)]
    numbers = all(isinstance(run, (int, float)) and not isinstance(run, bool) for run in runs)
    return statistics.median(runs) if numbers and len(runs) > 1 else first


# --- one table each ------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Markdown; the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def throughput(found: Found) -> str:
    """Trials an hour of whole sweeps."""
    both, names = found["throughput"], {"peer": "naive peer", "ours": "reno-sweeps"}
    rows = [
        (
            name, f"{both[side]['trials_per_hour']:.1f}", f"{statistics.median(both[side]['wall_seconds']):.0f}",
            f"{both[side]['outside_training']:.0%}", f"{both[side]['peak_memory_mb']:.0f}",
            f"{both[side]['mean_objective']:.3f}",
        )
        for side, name in names.items()
    ]  # fmt: skip
    head = ("", "trials an hour", "seconds", "outside training", "memory, MB", "mean macro-F1")
    ratios = ", ".join(f"{ratio:.2f}" for ratio in both["ratios"])
    return f"{table(head, rows)}\n\n**{both['ratio']:.2f}×** (rounds: {ratios})"


def race(found: Found) -> str:
    """Seconds to the peer's best score, seed by seed."""
    rows = [
        (
            seed, f"{one['score']:.3f}", f"{one['peer_found_seconds']:.0f}", f"{one['peer_wall_seconds']:.0f}",
            "not reached" if one["ours_seconds"] is None else f"{one['ours_seconds']:.0f}",
            f"{one['ratio_when_found']:.2f}×", f"{one['ratio_to_end']:.2f}×",
        )
        for seed, one in enumerate(found["race"]["seeds"])
    ]  # fmt: skip
    head = ("seed", "score", "peer had it, s", "peer ended, s", "ours, s", "ratio to when found", "ratio to its end")
    both = found["race"]
    return f"{table(head, rows)}\n\nMedians: **{both['ratio_when_found']:.2f}×**, **{both['ratio_to_end']:.2f}×**"


def floor(found: Found) -> str:
    """Trials an hour of the training floor."""
    head = (
        "",
        "trials an hour",
        "over one at a time",
        "over the peer's best",
        "host, MB",
        "device, MB",
        "mean macro-F1",
    )
    one = next(iter(found["peer"].values()))["trials_per_hour"]
    best = max(row["trials_per_hour"] for row in found["peer"].values())
    rows = []
    for label, side in (("peer, {} at once", "peer"), ("cohort of {}", "ours")):
        for count, row in found[side].items():
            rate = row["trials_per_hour"]
            rates = (f"{rate:.1f}", f"{rate / one:.2f}×", f"{rate / best:.2f}×")
            memory = (f"{row['host_mb']:.0f}", f"{row['device_mb']:.0f}", f"{row['mean_macro_f1']:.3f}")
            rows.append((label.format(count), *rates, *memory))
    return table(head, rows)


def nested(found: Found) -> str:
    """The nested protocol beside the leaky habit."""
    one = found["nested"]
    return (
        f"{one['trainings']} trainings in {one['seconds']:.1f} s; the peer's 12, one at a time, in "
        f"{one['peer_seconds_for_12']:.1f} s: **{one['share_of_peers_12']:.2f}** of its time."
    )


def floor_race(found: Found) -> str:
    """Seconds to the peer's best score on the training floor."""
    one = found["race"]
    rows = [
        (seed, f"{row['score']:.3f}", f"{row['peer_found_seconds']:.1f}", f"{row['peer_seconds']:.1f}",
         "not reached" if row["ours_seconds"] is None else f"{row['ours_seconds']:.1f}",
         f"{row['ratio_when_found']:.1f}×", f"{row['ratio_to_end']:.1f}×", row["pruned"])
        for seed, row in enumerate(one["seeds"])
    ]  # fmt: skip
    head = ("seed", "score", "peer had it, s", "peer ended, s", "ours, s", "ratio to when found", "ratio to its end",
            "pruned")  # fmt: skip
    return f"{table(head, rows)}\n\nMedians: **{one['ratio_when_found']:.1f}×**, **{one['ratio_to_end']:.1f}×**"


def bound(found: Found) -> str:
    """A step beside its bound."""
    head = ("", "ms a step and model", "share of the bound", "share of the gathered bound")
    sides = {"naive peer": found["peer"], **{f"stack of {width}": row for width, row in found["ours"].items()}}
    rows = [
        (name, f"{row['ms_per_step']:.3g}", f"{row['share_of_bound']:.0%}", f"{row['share_of_gathered_bound']:.0%}")
        for name, row in sides.items()
    ]
    said = (
        f"{found['operations'] / 1e9:.2f} GFLOP a step ({found['operations_gathered'] / 1e9:.2f} gathered) at "
        f"{found['gigaflops_per_second']:g} GFLOP/s, {found['bytes'] / 1e6:.0f} MB at "
        f"{found['gigabytes_per_second']:g} GB/s: bound {found['bound_ms']:.3g} ms, by {found['bound_by']}."
    )
    return f"{table(head, rows)}\n\n{said}"


def study(found: Found) -> str:
    """Where the wall time of a search of many small trials goes."""
    names = {
        "study_and_tracking": "search and tracking, waited for", "training": "training, a worker",
        "waiting_for_trainings": "the driver waiting for trainings", "rest": "starting, ending, report",
        "wall": "wall",
    }  # fmt: skip
    seconds = found["seconds"]
    rows = [(said, f"{seconds[name]:.1f}", f"{seconds[name] / seconds['wall']:.1%}") for name, said in names.items()]
    rate = f"{found['ms_a_trial']:.1f} ms a trial, {found['trials_per_hour']:.0f} trials an hour"
    return f"{table(('', 'seconds', 'of the wall'), rows)}\n\n{rate}"


TABLES: dict[str, tuple[str, str, Callable[[Found], str]]] = {  # marker → benchmark, its part, renderer
    "throughput": ("sweeps", "throughput", throughput),
    "race": ("sweeps", "race", race),
    "floor": ("floor", "ours", floor),
    "nested": ("floor", "nested", nested),
    "floor-race": ("floor_race", "race", floor_race),
    "bound": ("bound", "ours", bound),
    "study": ("study", "seconds", study),
}


# --- the document --------------------------------------------------------------------------------------------------


def block(marker: str, found: Sequence[tuple[str, Found]]) -> str:
    """What belongs between a marker and its end; `floor cuda` holds only results of that device."""
    kind, _, device = marker.partition(" ")
    name, part, render = TABLES[kind]
    measured = [g for g in groups(name, found, part) if device in {"", sizes_of(g.found).get("device", "cpu")}]
    if not measured:
        return OPEN
    return "\n\n".join(f"{render(group.found)}\n\n{group.caption}" for group in measured)


def rendered(text: str, found: Sequence[tuple[str, Found]]) -> str:
    """The document with its tables made again."""

    def again(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n\n{block(match[1], found)}\n\n<!-- end -->"

    return BLOCK.sub(again, text)


def markers(text: str) -> list[str]:
    """The tables that a document asks for."""
    return [match[1] for match in BLOCK.finditer(text)]


def main() -> None:
    """Write the document, or say whether it is as made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = DOCUMENT.read_text()
    made = rendered(text, results(RESULTS))
    if options.check:
        sys.exit(f"{DOCUMENT.name} is not as made: run python benchmarks/tables.py" if made != text else 0)
    DOCUMENT.write_text(made)


if __name__ == "__main__":
    main()
