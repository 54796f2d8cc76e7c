"""A finding in plain language: who is better and by how much, that there is no evidence, or why nothing was tested."""

from __future__ import annotations

from reno_sweeps.compare.finding import Finding, Posterior

LOWER_IS_BETTER = frozenset({"cross_entropy"})  # and not a share: said as it is, not in points


def verdict(
    found: Finding,
    a: str,
    b: str,
    *,
    metric: str = "macro_f1",
    adjusted: float | None = None,
    comparisons: int = 1,
) -> str:
    """One sentence on the difference a − b. `adjusted` is Holm's p among `comparisons`; without it p itself decides.

    Points are percentage points: 0.021 of macro-F1 is 2.1 points.
    """
    if found.refused:
        return f"not tested: {found.refused} ({a} − {b} = {_signed(found.estimate, metric)})"
    if found.posterior is not None:
        return _believed(found.posterior, found.level, a, b, metric)
    if found.p is None:
        return f"{a} − {b} = {_signed(found.estimate, metric)}{_interval(found, metric)}"
    deciding = found.p if adjusted is None else adjusted
    basis = f"({found.method}, {found.n} {found.unit}, {_chance(found.p, adjusted, comparisons)})"
    if deciding > 1 - found.level:
        gap = f"{a} − {b} = {_signed(found.estimate, metric)}"
        return f"no evidence of a difference: {gap}{_interval(found, metric)} {basis}"
    winner, turn = (a, 1) if a_is_better(found.estimate, metric) else (b, -1)
    by = amount(abs(found.estimate), metric)
    sign = turn if base_metric(metric) not in LOWER_IS_BETTER else -turn
    return f"{winner} is better by {by}{_interval(found, metric, sign)} {basis}"


def single(found: Finding, *, metric: str = "macro_f1") -> str:
    """One score with its interval: '56.7 %, 95 % interval 54.1 to 59.0'."""
    value = f"{found.estimate:.3f}" if base_metric(metric) in LOWER_IS_BETTER else f"{100 * found.estimate:.1f} %"
    return f"{value}{_interval(found, metric)}" + ("" if found.interval else f" ({found.remark})")


def a_is_better(difference: float, metric: str) -> bool:
    """Whether a − b speaks for a."""
    return (difference < 0) == (base_metric(metric) in LOWER_IS_BETTER) and difference != 0


def base_metric(metric: str) -> str:
    """The metric without the part that it was measured on: macro_f1 of test_macro_f1."""
    return metric.removeprefix("test_").removeprefix("val_")


def amount(value: float, metric: str) -> str:
    """'2.1 points' of a share, '0.021' of anything else."""
    return f"{_number(value, metric)}{'' if base_metric(metric) in LOWER_IS_BETTER else ' points'}"


def _believed(posterior: Posterior, level: float, a: str, b: str, metric: str) -> str:
    """What the posterior says, decided where one of its three parts reaches the level."""
    up, down = posterior.right, posterior.left
    if base_metric(metric) in LOWER_IS_BETTER:
        up, down = down, up
    width = amount(posterior.width, metric)
    for name, chance in ((a, up), (b, down)):
        if chance >= level:
            return f"{name} is better by more than {width} with probability {_percent(chance)}"
    if posterior.rope >= level:
        return f"{a} and {b} are practically equal: within ±{width} with probability {_percent(posterior.rope)}"
    parts = f"{a} better {_percent(up)}, within ±{width} {_percent(posterior.rope)}, {b} better {_percent(down)}"
    return f"undecided: {parts}"


def _chance(p: float, adjusted: float | None, comparisons: int) -> str:
    if adjusted is None or comparisons == 1:
        return f"p {_p(p)}"
    corrected = _p(adjusted).removeprefix("= ")
    return f"p {_p(p)}; {corrected} by Holm's correction for {comparisons} comparisons"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %" if 0.005 <= chance <= 0.995 or chance in {0, 1} else _extreme(chance)


def _extreme(chance: float) -> str:
    return "> 99 %" if chance > 0.5 else "< 1 %"


def _interval(found: Finding, metric: str, sign: int = 1) -> str:
    """', 95 % interval 0.4 to 3.8', turned around where the other is the better one."""
    if found.interval is None:
        return ""
    low, high = sorted(sign * end for end in found.interval)
    kind = "credible interval" if found.posterior else "interval"
    return f", {100 * found.level:g} % {kind} {_number(low, metric)} to {_number(high, metric)}"


def _signed(value: float, metric: str) -> str:
    return f"{'+' if value > 0 else ''}{amount(value, metric)}"


def _number(value: float, metric: str) -> str:
    """One digit of points, three of anything else; two significant ones where these would be zero."""
    scaled, digits = (value, 3) if base_metric(metric) in LOWER_IS_BETTER else (100 * value, 1)
    text = f"{scaled:.{digits}f}"
    if scaled and float(text) == 0:
        text = f"{scaled:.1g}"
    return text.replace("-", "−")
