"""Who trains, who stops, who tests: folds of a corpus that keep what must stay apart apart (method.md, section 5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reno_sweeps import dealing
from reno_sweeps.dealing import Rows
from reno_sweeps.records import Clip, Corpus, Protocol, Split, UserError, digest, seed_from

KINDS = ("auto", "given", "stratified", "speaker")
PARTS = 5  # one fifth of the training folds is the validation part


@dataclass(frozen=True, slots=True)
class Folds:
    """The splits of a corpus: index = round × n_folds + fold; a repeat has as many rounds as there are seeds."""

    kind: str  # given, stratified, speaker
    splits: tuple[Split, ...]
    digest: str  # of which clip plays which part where
    messages: tuple[str, ...]  # one line each, for people


def make_splits(corpus: Corpus, protocol: Protocol) -> Folds:
    """The splits that a protocol asks for, the same for every head and encoder, whatever the order of the clips.

    Validation is one fifth of the training folds: stratified, and by whole speakers wherever the outer folds keep
    speakers apart (one of them, where fewer than five are left to train on). Under selection `paper` it is the test
    part. A UserError says which folds are possible where the asked ones are not.
    """
    kind = _kind(corpus, protocol)
    clips, ordered, rows = _in_order(corpus)
    _refuse_impossible(ordered, kind, protocol)
    splits = []
    for repeat in range(protocol.repeats):
        tests = _test_parts(ordered, kind, protocol, repeat)
        apart = _keep_speakers_apart(ordered, tests)
        drawn = [_split(ordered, test, protocol, apart, repeat, fold) for fold, test in enumerate(tests)]
        splits += drawn * protocol.seeds
    _refuse_untrainable(ordered, splits, protocol.n_folds)
    messages = _about(ordered, kind, protocol, splits) + _absences(ordered, splits, protocol)
    roles = [_roles(split, len(clips)) for split in splits]
    known = digest({"kind": kind, "clips": [clip.path for clip in clips], "roles": roles})
    return Folds(kind, tuple(_renumbered(split, rows) for split in splits), known, messages)


def without_seeds(splits: Sequence[Split], protocol: Protocol) -> tuple[Split, ...]:
    """The splits of every repeat once, however many seeds train on them."""
    return tuple(s for i, s in enumerate(splits) if i // protocol.n_folds % protocol.seeds == 0)


def inner_splits(corpus: Corpus, protocol: Protocol, round_: int, fold: int) -> tuple[Split, ...]:
    """The inner folds of an outer one (method.md, section 5, nested): n_folds − 1 of the same kind.

    They share the outer fold's training part: each trains on the others and is validated on itself, none has a test
    part, and no clip of the outer test fold is in any. Given folds are the corpus's own others; speakers stay apart
    wherever the outer folds keep them so. Raises UserError where there are too few clips, speakers or folds for it.
    """
    kind, repeat = _kind(corpus, protocol), round_ // protocol.seeds
    _, ordered, rows = _in_order(corpus)
    _refuse_impossible(ordered, kind, protocol)
    tests = _test_parts(ordered, kind, protocol, repeat)
    parts, held = protocol.n_folds - 1, set(tests[fold])
    rest = tuple(row for row in range(len(ordered.labels)) if row not in held)
    if parts < 2:
        raise UserError(
            f"corpus {ordered.corpus}: {protocol.n_folds} folds leave one inner fold, which nobody could validate\n"
            "selection nested takes three folds at least: --folds 5"
        )
    if kind == "given":
        own = [part for number, part in enumerate(tests) if number != fold]
    else:
        by_speaker = _keep_speakers_apart(ordered, tests)
        seed = seed_from(protocol.seed, round_, fold, "inner")
        own = _dealt(ordered, rest, parts, seed, by_speaker=by_speaker)
    if not all(own):
        raise UserError(
            f"corpus {ordered.corpus}: too few speakers for {parts} inner folds in the training part of fold {fold}\n"
            f"fewer folds: --folds {parts}; or protocol.folds: stratified"
        )
    splits = [Split(tuple(row for row in rest if row not in set(part)), part, ()) for part in own]
    _refuse_untrainable(ordered, splits, parts)
    return tuple(_renumbered(split, rows) for split in splits)


def _in_order(corpus: Corpus) -> tuple[tuple[Clip, ...], _Table, list[int]]:
    """The clips by their paths, their columns, and each one's row in the corpus."""
    place = {clip.path: row for row, clip in enumerate(corpus.clips)}
    clips = tuple(sorted(corpus.clips, key=lambda clip: clip.path))
    table = _Table(
        corpus.id, tuple(c.label for c in clips), tuple(c.speaker for c in clips), tuple(c.fold for c in clips)
    )
    return clips, table, [place[clip.path] for clip in clips]


def refit_split(split: Split) -> Split:
    """Train on everything but the test part, for a number of epochs settled before; test once."""
    train = sorted((set(split.train) | set(split.validation)) - set(split.test))
    return Split(tuple(train), (), split.test)


@dataclass(frozen=True, slots=True)
class _Table:
    """The clips' columns, in the order of their paths."""

    corpus: str
    labels: tuple[str, ...]
    speakers: tuple[str | None, ...]
    folds: tuple[int | None, ...]


# --- what is possible --------------------------------------------------------------------------------------


def _kind(corpus: Corpus, protocol: Protocol) -> str:
    if protocol.folds not in KINDS:
        raise UserError(f"protocol.folds: {protocol.folds!r}; on offer: {', '.join(KINDS)}")
    if protocol.folds != "auto":
        return protocol.folds
    return "given" if any(clip.fold is not None for clip in corpus.clips) else "stratified"


def _refuse_impossible(table: _Table, kind: str, protocol: Protocol) -> None:
    if protocol.n_folds < 2 or protocol.rounds < 1:
        raise UserError(
            f"{protocol.n_folds} folds, {protocol.repeats} repeats, {protocol.seeds} seeds: "
            "at least 2 folds, 1 repeat and 1 seed are needed"
        )
    if kind == "given":
        _refuse_given(table, protocol)
    else:
        _refuse_rare_class(table, protocol)
    if kind == "speaker":
        _refuse_few_speakers(table, protocol)


def _refuse_given(table: _Table, protocol: Protocol) -> None:
    without = sum(fold is None for fold in table.folds)
    found = sorted({fold for fold in table.folds if fold is not None})
    if without:
        raise UserError(
            f"corpus {table.corpus}: {without} of {len(table.folds)} clips have no fold of their own\n"
            "complete the manifest's fold column, or ask for protocol.folds: stratified or speaker"
        )
    if len(found) != protocol.n_folds:
        raise UserError(
            f"corpus {table.corpus} gives {len(found)} folds ({', '.join(map(str, found))}), asked {protocol.n_folds}\n"
            f"--folds {len(found)}, or protocol.folds: stratified or speaker"
        )
    if protocol.repeats > 1:
        raise UserError(
            f"corpus {table.corpus}: its own folds are the same in each of {protocol.repeats} repeats\n"
            "protocol.repeats: 1, or protocol.folds: stratified or speaker"
        )


def _refuse_rare_class(table: _Table, protocol: Protocol) -> None:
    label, least = min(Counter(table.labels).items(), key=lambda item: (item[1], item[0]))
    if least < protocol.n_folds:
        way = f"--folds {least}, or more clips of it" if least > 1 else "two clips of a class are the least"
        clips = f"{least} clip{'s' if least > 1 else ''}"
        raise UserError(f"corpus {table.corpus}: {clips} of {label!r} for {protocol.n_folds} folds\n{way}")


def _refuse_few_speakers(table: _Table, protocol: Protocol) -> None:
    unknown = sum(speaker is None for speaker in table.speakers)
    if unknown:
        raise UserError(
            f"corpus {table.corpus}: the speaker of {unknown} of {len(table.speakers)} clips is not known\n"
            "give a speaker column (manifest) or @speaker=REGEX (folder), or ask for protocol.folds: stratified"
        )
    speakers = len(set(table.speakers))
    if speakers < protocol.n_folds:
        way = f"--folds {speakers}, or " if speakers > 1 else ""
        raise UserError(
            f"corpus {table.corpus}: {speakers} speaker{'s' if speakers > 1 else ''} for {protocol.n_folds} "
            f"speaker-independent folds\n{way}protocol.folds: stratified"
        )


# --- dealing clips out -------------------------------------------------------------------------------------


def _test_parts(table: _Table, kind: str, protocol: Protocol, repeat: int) -> list[Rows]:
    everyone = tuple(range(len(table.labels)))
    if kind == "given":
        by_fold: defaultdict[int, list[int]] = defaultdict(list)
        for row, fold in enumerate(table.folds):
            by_fold[fold or 0].append(row)
        return [tuple(by_fold[fold]) for fold in sorted(by_fold)]
    seed = seed_from(protocol.seed, repeat)
    parts = _dealt(table, everyone, protocol.n_folds, seed, by_speaker=kind == "speaker")
    if not all(parts):
        raise UserError(
            f"corpus {table.corpus}: its speakers are too unequal for {protocol.n_folds} folds, one would be empty\n"
            f"fewer folds: --folds {protocol.n_folds - 1}"
        )
    return parts


def _dealt(table: _Table, rows: Rows, parts: int, seed: int, *, by_speaker: bool) -> list[Rows]:
    """The rows in `parts` parts of about equal shares of every class, no speaker in two of them where asked."""
    labels, speakers = [table.labels[row] for row in rows], [table.speakers[row] for row in rows]
    dealt = dealing.by_speakers(labels, speakers, parts, seed) if by_speaker else dealing.by_clips(labels, parts, seed)
    return [tuple(rows[place] for place in places) for places in dealt]


def _keep_speakers_apart(table: _Table, tests: Sequence[Rows]) -> bool:
    """Whether every speaker is known and tested in one fold only."""
    homes: defaultdict[str | None, set[int]] = defaultdict(set)
    for fold, rows in enumerate(tests):
        for row in rows:
            homes[table.speakers[row]].add(fold)
    return None not in homes and all(len(folds) == 1 for folds in homes.values())


def _split(table: _Table, test: Rows, protocol: Protocol, apart: bool, repeat: int, fold: int) -> Split:
    held = set(test)
    rest = tuple(row for row in range(len(table.labels)) if row not in held)
    if protocol.selection == "paper":
        return Split(rest, test, test)
    seed = seed_from(protocol.seed, repeat, fold, "validation")
    validation = _validation(table, rest, seed, by_speaker=apart)
    chosen = set(validation)
    return Split(tuple(row for row in rest if row not in chosen), validation, test)


def _validation(table: _Table, rest: Rows, seed: int, *, by_speaker: bool) -> Rows:
    """One fifth of the training rows: of the five parts one that leaves no class untrained and lacks fewest.

    Of these the one whose size is nearest to a fifth: parts of whole speakers differ.
    """
    units = len({table.speakers[row] for row in rest}) if by_speaker else len(rest)
    parts = min(PARTS, units, max(Counter(table.labels[row] for row in rest).values()))
    if parts < 2:
        what = "one speaker is" if by_speaker and units == 1 else "too few clips of a class are"
        raise UserError(
            f"corpus {table.corpus}: {what} left to train on, none for the validation part\n"
            f"more {'speakers' if by_speaker else 'clips'}, fewer folds, or protocol.folds: stratified"
        )
    dealt = [part for part in _dealt(table, rest, parts, seed, by_speaker=by_speaker) if part]

    def unfit(part: Rows) -> tuple[int, int, int]:
        present = {table.labels[row] for row in part}
        return len(_lost(table, rest, part)), -len(present), abs(len(part) * parts - len(rest)) // parts

    return min(dealt, key=unfit)


def _lost(table: _Table, rest: Rows, part: Rows) -> set[str]:
    """Classes that no row of `rest` outside `part` has."""
    taken = set(part)
    return {table.labels[row] for row in rest} - {table.labels[row] for row in rest if row not in taken}


# --- what is said ------------------------------------------------------------------------------------------


def _refuse_untrainable(table: _Table, splits: Sequence[Split], n_folds: int) -> None:
    for number, split in enumerate(splits):
        absent = sorted(set(table.labels) - {table.labels[row] for row in split.train})
        if absent:
            raise UserError(
                f"corpus {table.corpus}: fold {number % n_folds} has no clip of {', '.join(absent)} to train on\n"
                "use other folds (protocol.folds, --folds, --fold-seed), or leave that class out of the corpus"
            )


def _about(table: _Table, kind: str, protocol: Protocol, splits: Sequence[Split]) -> tuple[str, ...]:
    tests = [split.test for split in splits[: protocol.n_folds]]
    messages = []
    if kind == "given":
        own = "whole speakers" if _keep_speakers_apart(table, tests) else "speakers may be in several"
        asked = "" if protocol.folds == "given" else "; protocol.folds: stratified or speaker makes others"
        messages.append(f"folds: the corpus's own {protocol.n_folds} ({own}){asked}")
    elif kind == "stratified" and None not in table.speakers and not _keep_speakers_apart(table, tests):
        messages.append(
            "folds: stratified, so speakers are in training and test alike; protocol.folds: speaker parts them"
        )
    starts = range(0, len(splits), protocol.n_folds * protocol.seeds)
    different = len({frozenset(split.test for split in splits[k : k + protocol.n_folds]) for k in starts})
    if different < protocol.repeats:
        messages.append(f"repeats: {protocol.repeats}, but only {different} of them differ in their test folds")
    if protocol.selection == "paper":
        messages.append("selection: paper, so the test fold stops and selects: figures are optimistic")
    return tuple(messages)


def _absences(table: _Table, splits: Sequence[Split], protocol: Protocol) -> tuple[str, ...]:
    """One line for every class and part that miss each other: their F1 and recall leave that class out."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for number, split in enumerate(splits):
        turn, fold = divmod(number, protocol.n_folds)
        repeat, seed = divmod(turn, protocol.seeds)
        if seed:
            continue  # the same clips again
        name = f"{fold}" if protocol.repeats == 1 else f"{fold} of repeat {repeat}"
        parts = (
            {"test": split.test}
            if protocol.selection == "paper"
            else {"validation": split.validation, "test": split.test}
        )
        for part, rows in parts.items():
            for label in sorted(set(table.labels) - {table.labels[row] for row in rows}):
                found[part, label].append(name)
    return tuple(
        f"class {label!r} is absent from the {part} part of fold {', '.join(f)}" for (part, label), f in found.items()
    )


def _roles(split: Split, clips: int) -> str:
    """One letter a clip: t train, v validation, x test; b both validation and test."""
    roles = ["t"] * clips
    for row in split.test:
        roles[row] = "x"
    for row in split.validation:
        roles[row] = "b" if roles[row] == "x" else "v"
    return "".join(roles)


def _renumbered(split: Split, rows: Sequence[int]) -> Split:
    """The split in the numbers of another order of the clips."""
    parts = (split.train, split.validation, split.test)
    return Split(*(tuple(sorted(rows[row] for row in part)) for part in parts))
