"""Proposals and pruning: functions of the space, the seeds and the results of trials ≤ n − ahead, of nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from statistics import median

import numpy as np
import optuna
import pytest

from reno_sweeps.records import Budget, Objective, Trial, UserError
from reno_sweeps.search import study
from reno_sweeps.search.study import Proposer, Racer, grid
from reno_sweeps.space import Categorical, Float, Int, applies

SPACE = {
    "lr": Float(1e-4, 1e-1, log=True),
    "width": Int(8, 64, step=8),
    "head": Categorical(("reno", "concat")),
    "beta": Float(1.05, 10.0, when=(("head", "reno"),)),
}
FINITE = {
    "lr": Float(0.1, 0.5, step=0.1),
    "head": Categorical(("reno", "concat", None)),
    "heads": Int(1, 3, when=(("head", "reno"),)),
    "symmetric": Categorical((True, False), when=(("head", "reno"), ("head", "concat"))),
}
COUNT = {"tpe": 24, "random": 24, "grid": 24, "cmaes": 24, "gp": 21}  # trials; most samplers begin with ten by chance
SAMPLERS = tuple(COUNT)
AHEAD = 4


def proposer(sampler: str, *, ahead: int = AHEAD, seed: int = 0, space=None, pruner: str = "none") -> Proposer:
    space = space or (FINITE if sampler == "grid" else SPACE)
    budget = Budget(sampler=sampler, seed=seed, pruner=pruner)
    return Proposer(space, budget, Objective(), ahead=ahead, epochs=9)


def score(proposal) -> float:
    """A smooth hill in what every space here has."""
    head = {"reno": 0.2, "concat": 0.1}.get(proposal.get("head"), 0.0)
    return head - abs(np.log10(proposal["lr"]) + 2.3) / 3 + proposal.get("width", 0) / 640


def ended(number: int, proposal, changed: float = 0.0) -> Trial:
    """One in six failed, one in five pruned, the others complete."""
    value = score(proposal) + changed
    if number % 6 == 5:
        return Trial(number, 0, "failed", proposal, reason="a reason")
    if number % 5 == 3:
        return Trial(number, 0, "pruned", proposal, curve=(value / 2, value))
    return Trial(number, 0, "complete", proposal, curve=(value / 2, value), objective=value)


def proposals(one: Proposer, count: int, *, begun=(), changed: int = -1) -> list:
    """Admit what was `begun`, then propose to `count` in all; the result of trial `changed` is another."""
    found = []

    def result(i: int) -> Trial:
        return ended(i, found[i], changed=5.0 if i == changed else 0.0)

    for proposal in begun:
        one.admit(proposal, result)
        found.append(proposal)
    while len(found) < count:
        found.append(one.propose(result))
    return found


@cache
def straight(sampler: str) -> list:
    """What a sampler proposes when nothing comes between."""
    return proposals(proposer(sampler), COUNT[sampler])


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("changed", [0, 6, 9])
def test_a_changed_result_changes_nothing_before_ahead_more_trials(sampler, changed):
    other = proposals(proposer(sampler), changed + AHEAD, changed=changed)

    assert other == straight(sampler)[: changed + AHEAD]


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "gp"])
def test_a_changed_result_changes_what_comes_after(sampler):
    assert proposals(proposer(sampler), COUNT[sampler], changed=7) != straight(sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_no_later_result_is_even_asked_for(sampler, ahead):
    one, found, asked = proposer(sampler, ahead=ahead), [], []
    for n in range(12):
        found.append(one.propose(lambda i, n=n: asked.append(n - i) or ended(i, found[i])))

    assert min(asked, default=ahead) >= ahead
    assert len(asked) == max(0, 12 - ahead)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_resume_at_any_point_proposes_the_same(sampler):
    expected = straight(sampler)
    cuts = range(len(expected)) if sampler != "gp" else (19,)

    assert all(proposals(proposer(sampler), len(expected), begun=expected[:cut]) == expected for cut in cuts)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_order_in_which_results_arrive_changes_nothing(sampler):
    one, found, done, arrivals = proposer(sampler), [], set(), random.Random(3)
    while len(found) < COUNT[sampler]:
        if one.ready(done.__contains__):
            found.append(one.propose(lambda i: ended(i, found[i])))
        else:
            done.add(arrivals.choice([i for i in range(len(found)) if i not in done]))

    assert found == straight(sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_nothing_is_proposed_before_the_results_it_depends_on(sampler):
    one, found = proposer(sampler, ahead=3), []
    for _ in range(3):
        assert one.ready(lambda _: False)
        found.append(one.propose(lambda i: ended(i, found[i])))

    assert not one.ready(lambda i: i != 0)
    assert one.ready(lambda i: i == 0)


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"grid"}))
def test_another_seed_proposes_others(sampler):
    others = proposals(proposer(sampler, seed=1), 6)

    assert all(one != other for one, other in zip(others, straight(sampler), strict=False))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_proposals_lie_in_the_space_and_meet_its_conditions(sampler):
    space = FINITE if sampler == "grid" else SPACE
    for proposal in straight(sampler):
        for name, one in space.items():
            assert (name in proposal) == applies(one, proposal)
        for name, value in proposal.items():
            one = space[name]
            inside = value in one.values if isinstance(one, Categorical) else one.low <= value <= one.high
            assert inside
            assert isinstance(one, Categorical) or type(value) is (int if isinstance(one, Int) else float)

    assert len({p.get("head") for p in straight(sampler)}) > 1


@pytest.mark.parametrize("pruner", ["median", "hyperband", "wilcoxon"])
def test_every_pruner_goes_with_proposals_and_their_resume(pruner):
    expected = proposals(proposer("tpe", pruner=pruner), 16)

    assert proposals(proposer("tpe", pruner=pruner), 16, begun=expected[:13]) == expected


@pytest.mark.parametrize("state", ["pruned", "failed"])
def test_pruned_and_failed_results_alone_are_enough_to_go_on(state):
    one, found = proposer("tpe", ahead=1), []
    for _ in range(14):
        found.append(one.propose(lambda i: Trial(i, 0, state, found[i])))

    assert len({p["lr"] for p in found}) == 14


def test_tpe_proposes_what_optunas_own_sampler_does(monkeypatch):
    space = {name: SPACE[name] for name in ("lr", "width", "head")} | {"one": Int(3, 3)}
    ours = proposals(proposer("tpe", space=space), 30)

    def own(_space, seed):
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)

    monkeypatch.setattr(study, "_Tpe", own)

    assert proposals(proposer("tpe", space=space), 30) == ours


def test_a_grid_has_every_point_once_conditions_included():
    points = grid(FINITE)
    reno, concat, none = ([p for p in points if p["head"] == head] for head in ("reno", "concat", None))

    assert len({tuple(p.items()) for p in points}) == len(points)
    assert (len(reno), len(concat), len(none)) == (5 * 3 * 2, 5 * 2, 5)
    assert proposals(proposer("grid"), len(points)) == list(points)
    assert proposer("grid").size == 45
    assert proposer("tpe").size is None


def test_a_grid_of_nothing_is_one_point():
    assert grid({}) == ({},)


def test_a_grid_tells_true_from_one():
    assert len(grid({"a": Categorical((1, True, 0, False))})) == 4


def test_a_grid_without_steps_is_refused_with_what_to_do():
    with pytest.raises(UserError, match="needs a step"):
        proposer("grid", space=SPACE)


def hill(proposal) -> float:
    """Best, 1.0, at lr 1e-3, decay 0.3 and width 32 with reno."""
    away = (np.log10(proposal["lr"]) + 3) ** 2 + (proposal["decay"] - 0.3) ** 2 * 4 + (proposal["width"] / 32 - 1) ** 2
    return float(np.exp(-away)) - (0.3 if proposal["head"] == "concat" else 0.0)


def best_of(sampler: str, ahead: int, seed: int, trials: int = 40) -> float:
    space = {
        "lr": Float(1e-5, 1e-1, log=True),
        "decay": Float(0.0, 1.0),
        "width": Int(8, 128, step=8),
        "head": Categorical(("reno", "concat")),
    }
    one, found = proposer(sampler, ahead=ahead, seed=seed, space=space), []
    for _ in range(trials):
        found.append(one.propose(lambda i: Trial(i, 0, "complete", found[i], objective=hill(found[i]))))
    return max(map(hill, found))


def test_eight_trials_ahead_cost_tpe_little_and_it_beats_chance():
    seeds = range(7)
    ahead, sequential, chance = (
        median(best_of(sampler, steps, seed) for seed in seeds)
        for sampler, steps in (("tpe", 8), ("tpe", 1), ("random", 1))
    )

    assert 1 - ahead < (1 - chance) * 0.7
    assert ahead > sequential - 0.05


# --- pruners ---

EPOCHS = 27
PRUNERS = ("median", "hyperband")


def curve(final: float, direction: str = "maximize") -> list[tuple[int, float]]:
    """Rises from 0, or falls from 1, to `final`: what is better in the end is better from the first epoch."""
    start = 0.0 if direction == "maximize" else 1.0
    return [(epoch, final + (start - final) * 0.8**epoch) for epoch in range(1, EPOCHS + 1)]


def racer(pruner: str, finals, direction: str = "maximize", seed: int = 0) -> Racer:
    """A racer that knows complete trials with these final values."""
    one = Racer(pruner, Objective(direction=direction), epochs=EPOCHS, seed=seed)
    for i, final in enumerate(finals):
        one.end(i, Trial(i, 0, "complete", {}, objective=final), curve(final, direction))
    return one


FINALS = [0.5 + 0.02 * i for i in range(10)]


@pytest.mark.parametrize("pruner", PRUNERS)
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_a_clearly_bad_trial_is_pruned_and_the_best_is_spared(pruner, direction):
    bad, best = (0.1, 0.9) if direction == "maximize" else (0.9, 0.1)
    pruning, spared = racer(pruner, FINALS, direction), racer(pruner, FINALS, direction)

    assert any(pruning.report(10, step, value) for step, value in curve(bad, direction))
    assert not any(spared.report(10, step, value) for step, value in curve(best, direction))


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_racer_that_was_told_of_ended_trials_judges_as_one_that_saw_them(pruner):
    lived = Racer(pruner, Objective(), epochs=EPOCHS, seed=0)
    for i, final in enumerate(FINALS):
        for step, value in curve(final):
            lived.report(i, step, value)
        lived.end(i, Trial(i, 0, "complete", {}, objective=final), curve(final))
    for i, final in enumerate((0.3, 0.55, 0.64, 0.9), start=len(FINALS)):
        told = racer(pruner, FINALS)
        for j in range(len(FINALS), i):
            told.end(j, Trial(j, 0, "pruned", {}), curve((0.3, 0.55, 0.64, 0.9)[j - len(FINALS)]))
        seen = [lived.report(i, step, value) for step, value in curve(final)]

        assert seen == [told.report(i, step, value) for step, value in curve(final)]


def folds(level: float) -> list[tuple[int, float]]:
    return [(fold, level + 0.01 * fold) for fold in range(5)]


def test_wilcoxon_prunes_after_four_folds_that_are_all_worse_and_not_before():
    one = Racer("wilcoxon", Objective(), epochs=EPOCHS, seed=0)
    one.end(0, Trial(0, 0, "complete", {}, objective=0.6), folds(0.58))
    verdicts = [one.report(1, step, value) for step, value in folds(0.3)]

    assert verdicts[:3] == [False, False, False]
    assert verdicts[3]
    assert not any(one.report(2, step, value) for step, value in folds(0.59))


def test_without_a_pruner_nothing_is_pruned():
    one = racer("none", FINALS)

    assert not any(one.report(10, step, value) for step, value in curve(-1.0))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_proposal_that_is_ahead_of_what_has_ended_is_admitted_and_waits(sampler):
    one, known = proposer(sampler), proposals(proposer(sampler), AHEAD + 2)
    states = ["waiting"] * len(known)

    def result(index: int) -> Trial:
        return replace(ended(index, known[index]), state=states[index])

    for proposal in known:
        one.admit(proposal, result)

    assert not one.ready(lambda index: result(index).ended)
    states[:] = ["complete"] * len(known)
    assert one.ready(lambda index: result(index).ended)
    assert one.propose(result)
