"""`corpus list` and `corpus check` as text for people: figures first, faults last, where the eye rests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reno_sweeps.reports import wording
from reno_sweeps.reports.text import listed, spell

SHOWN = 10  # rows of a list; --json has them all


def lines(found: Mapping[str, Any]) -> list[str]:
    """The report, a line each; paths and labels come from others and are spelled so that a terminal prints them."""
    said = [*_figures(found), "", *_classes(found), *_left_out(found["left_out"])]
    for title, rows in _lists(found):
        said += ["", *_listed(title, rows)]
    for title in ("deviations", "warnings", "faults"):
        if found[title] or title == "faults":
            said += ["", *_listed(title, [spell(sentence) for sentence in found[title]], limit=None)]
    return said


def known(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A block for each corpus: what it is, its licence, where it comes from, how to say it, whether it is at hand."""
    here = {True: "yes", False: "no: reno-sweep corpus fetch {id}", None: "yours"}
    said: list[str] = []
    for row in rows:
        at_hand = row["root"] or here[row["at_hand"]].format(id=row["id"])
        facts = {"licence": row["licence"], "source": row["source"], "use": row["how"], "at hand": at_hand}
        said += [row["title"], *(f"  {name:<8} {spell(fact)}" for name, fact in facts.items()), ""]
    return said[:-1]


def _figures(found: Mapping[str, Any]) -> list[str]:
    facts = {
        "corpus": f"{found['corpus']}{' (synthetic clips)' if found['synthetic'] else ''}",
        "clips": f"{found['clips']}, {found['hours']:.2f} h, {_several(len(found['classes']), 'class', 'es')}",
        "speakers": _speakers(found["per_speaker"]),
        "length": _lengths(found),
        "rate": ", ".join(f"{rate} Hz: {number}" for rate, number in found["sample_rates"].items()),
        "channels": ", ".join(f"{channels}: {number}" for channels, number in found["channels"].items()),
        "level": f"{found['silent']['clips']} silent (below −60 dBFS), {found['clipped']['clips']} clipped",
        "time": ", ".join(f"{what} {wording.duration(seconds)}" for what, seconds in found["took"].items()),
        "folds": _folds(found["folds"]),
    }
    said = [f"{name:<9} {spell(fact)}" for name, fact in facts.items() if fact]
    return said + [f"{'':<9} {spell(message)}" for message in found["folds"]["messages"]]


def _speakers(per_speaker: Mapping[str, int]) -> str:
    if not per_speaker:
        return "not known"
    least, most = min(per_speaker.values()), max(per_speaker.values())
    return f"{len(per_speaker)}, {least if least == most else f'{least} to {most}'} clips each"


def _lengths(found: Mapping[str, Any]) -> str:
    seconds, short, long = found["seconds"], found["short"], found["long"]
    if not seconds:
        return ""
    return (
        f"{seconds['shortest']:.2f} to {seconds['longest']:.2f} s, median {seconds['median']:.2f} s; "
        f"{short['clips']} below {short['below']} s, {long['clips']} above {long['above']:g} s"
    )


def _folds(folds: Mapping[str, Any]) -> str:
    sizes = folds["test"]
    if not sizes:
        return f"{folds['kind']}, {folds['n_folds']}: impossible"
    between = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    return f"{folds['kind']}, {folds['n_folds']} with {between} clips each, seed {folds['seed']}"


def _classes(found: Mapping[str, Any]) -> list[str]:
    rows = [
        {
            "class": label,
            "clips": facts["clips"],
            **({"speakers": facts["speakers"]} if found["speakers"] else {}),
            "minutes": f"{facts['minutes']:.1f}",
            **{f"{name} s": f"{facts[name]:.2f}" for name in ("shortest", "median", "longest")},
        }
        for label, facts in found["per_class"].items()
    ]
    return listed(rows)


def _left_out(left_out: Mapping[str, int]) -> list[str]:
    """Files that are by definition no part of the corpus, by reason."""
    rows = [f"  {number} × {spell(reason)}" for reason, number in left_out.items()]
    return ["", f"no part of the corpus: {sum(left_out.values())} files", *rows] if rows else []


def _lists(found: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """What is listed with its title; what is empty and no news is not."""
    why = [f"{number} × {spell(reason)}" for reason, number in found["skipped_why"].items()]
    skipped = [f"{spell(left['path'])}: {spell(left['why'])}" for left in found["skipped"]]
    same = [" = ".join(map(spell, group)) for group in found["duplicates"]]
    near = [f"{alike:.3f}  {spell(one)} ~ {spell(two)}" for one, two, alike in found["near_duplicates"]]
    lists = {
        "skipped, by reason": why if len(skipped) > SHOWN else (),
        "skipped": skipped,
        "the same sound": same,
        "near duplicates": near,
    }
    return [(title, rows) for title, rows in lists.items() if rows or title in {"the same sound", "near duplicates"}]


def _listed(title: str, rows: Sequence[str], limit: int | None = SHOWN) -> list[str]:
    more = [] if limit is None or len(rows) <= limit else [f"  … and {len(rows) - limit} more (--json has all)"]
    return [f"{title}: {len(rows) or 'none'}", *(f"  {row}" for row in rows[:limit]), *more]


def _several(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural * (number != 1)}"
