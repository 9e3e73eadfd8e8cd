"""Decisions of experiments: every number against SciPy, and what is refused."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import requests
from scipy import optimize, special, stats

TOLERANCE = 1e-9


def analyze(server, body: dict) -> requests.Response:
    url = server.http + "/api/v1/experiments/analyze"
    return requests.post(url, json=body, headers=server.bearer(), timeout=20)


def report(server, metrics: list[dict], arms: dict[str, list], **plan) -> dict:
    """The answer for arms of equal weight; `arms` has each arm's statistics by metric."""
    units = {arm: max(one["n"] for one in rows) for arm, rows in arms.items()}
    body = {
        "plan": {
            "arms": [{"name": arm, "weight": n} for arm, n in units.items()],
            "metrics": metrics,
            "sample": sum(units.values()),
            "minimum_sample": 2,
            **plan,
        },
        "units": [{"arm": arm, "n": n} for arm, n in units.items()],
        "statistics": [
            {"metric": metric["name"], "arm": arm, **one}
            for arm, rows in arms.items()
            for metric, one in zip(metrics, rows, strict=True)
        ],
    }
    answer = analyze(server, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def moments(*columns) -> dict:
    rows = np.array(columns)
    covariance = np.atleast_2d(np.cov(rows))
    return {
        "n": rows.shape[1],
        "mean": rows.mean(axis=1).tolist(),
        "covariance": covariance.tolist(),
    }


def close(got: float, expected: float) -> bool:
    return got == pytest.approx(expected, rel=TOLERANCE, abs=1e-300)


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(42)
    return random.gamma(3, 2, 80), random.gamma(3.4, 2.2, 111)


def test_a_difference_of_means_is_welchs_t_test(server, samples):
    control, treatment = samples
    metric = {"name": "m", "kind": "mean", "scale": "absolute"}
    arms = {"control": [moments(control)], "treatment": [moments(treatment)]}
    for alpha in (0.2, 0.05, 0.001):
        [got] = report(server, [metric], arms, alpha=alpha)["results"]
        expected = stats.ttest_ind(treatment, control, equal_var=False)
        interval = expected.confidence_interval(1 - alpha)
        assert close(got["statistic"], expected.statistic)
        assert close(got["degrees_of_freedom"], expected.df)
        assert close(got["p_value"], expected.pvalue)
        assert close(got["low"], interval.low) and close(got["high"], interval.high)


def test_the_tail_of_a_huge_difference_is_not_zero(server):
    arms = {
        "control": [{"n": 10**6, "mean": [10], "covariance": [[4]]}],
        "treatment": [{"n": 10**6, "mean": [10.1], "covariance": [[4]]}],
    }
    [got] = report(server, [{"name": "m", "kind": "mean", "scale": "absolute"}], arms)["results"]
    expected = 2 * stats.t.sf(0.1 / math.sqrt(8e-6), 2 * (10**6 - 1))
    assert 0 < expected < 1e-200
    assert got["p_value"] == pytest.approx(expected, rel=1e-8, abs=0)


def delta(parts, derivatives) -> tuple[float, list[float]]:
    """Variance and its parts of an estimate with `derivatives` by the columns of each arm."""
    each = [
        d @ np.atleast_2d(np.cov(p)) @ d / p.shape[1]
        for p, d in zip(parts, derivatives, strict=True)
    ]
    return sum(each), each


def welch(estimate: float, parts, derivatives) -> dict:
    variance, each = delta(parts, derivatives)
    degrees = variance**2 / sum(v**2 / (p.shape[1] - 1) for v, p in zip(each, parts, strict=True))
    reach = stats.t.isf(0.025, degrees) * math.sqrt(variance)
    return {
        "estimate": estimate,
        "p_value": 2 * stats.t.sf(abs(estimate) / math.sqrt(variance), degrees),
        "low": estimate - reach,
        "high": estimate + reach,
        "degrees_of_freedom": degrees,
    }


def numeric_gradient(function, parts) -> list[np.ndarray]:
    """Derivatives of a function of all arms' means, by complex steps: no algebra of ours."""
    means = [p.mean(axis=1).astype(complex) for p in parts]
    gradient = []
    for arm, mean in enumerate(means):
        row = []
        for i in range(len(mean)):
            stepped = copy.deepcopy(means)
            stepped[arm][i] += 1e-30j
            row.append(function(*stepped).imag / 1e-30)
        gradient.append(np.array(row))
    return gradient


def of_ratio(m, first=0):
    return m[first] / m[first + 1]


@pytest.mark.parametrize("scale", ["absolute", "relative"])
@pytest.mark.parametrize("shape", ["mean", "mean, cuped", "ratio", "ratio, cuped"])
def test_effects_follow_the_delta_method(server, shape, scale):
    random = np.random.default_rng(7)
    parts = []
    for n, lift in ((300, 1.0), (260, 1.06)):
        before = random.integers(1, 7, n).astype(float)
        events = before + random.integers(0, 3, n)
        old = before * (5 + random.normal(size=n))
        value = lift * (events * 5 + 0.8 * (old - 5 * before) + random.normal(size=n))
        columns = {
            "mean": [value],
            "mean, cuped": [value, old],
            "ratio": [value, events],
            "ratio, cuped": [value, events, old, before],
        }
        parts.append(np.array(columns[shape]))
    ratio, cuped = shape.startswith("ratio"), shape.endswith("cuped")

    def metric(m):
        return of_ratio(m) if ratio else m[0]

    def covariate(m):
        return of_ratio(m, 2) if ratio else m[1]

    theta = 0.0
    if cuped:  # the slope of all units together, each arm around its own mean
        flat = [np.zeros(2), np.zeros(2)]
        for p in parts:
            y = numeric_gradient(metric, [p])[0] @ (p - p.mean(axis=1, keepdims=True))
            x = numeric_gradient(covariate, [p])[0] @ (p - p.mean(axis=1, keepdims=True))
            flat[0] += [x @ y, x @ x]
        theta = flat[0][0] / flat[0][1]

    def effect(control, treatment):
        difference = metric(treatment) - metric(control)
        if cuped:
            difference = difference - theta * (covariate(treatment) - covariate(control))
        return difference / metric(control) if scale == "relative" else difference

    estimate = effect(*[p.mean(axis=1) for p in parts])
    expected = welch(estimate, parts, numeric_gradient(effect, parts))
    planned = {"name": "m", "kind": shape.split(",")[0], "covariate": cuped, "scale": scale}
    arms = {"control": [moments(*parts[0])], "treatment": [moments(*parts[1])]}
    [got] = report(server, [planned], arms)["results"]
    for name, value in expected.items():
        assert close(got[name], value), name


def restricted(x1, n1, x2, n2, delta) -> tuple[float, float]:
    """The most likely proportions that differ by delta: the root of the likelihood's cubic."""
    theta = n2 / n1
    p1, p2 = x1 / n1, x2 / n2
    cubic = [
        1 + theta,
        -(1 + theta + p1 + theta * p2 + delta * (theta + 2)),
        delta**2 + delta * (2 * p1 + theta + 1) + p1 + theta * p2,
        -p1 * delta * (1 + delta),
    ]
    low, high = max(0, delta), min(1, 1 + delta)
    roots = [r.real for r in np.roots(cubic) if abs(r.imag) < 1e-9 and low < r.real < high]
    return roots[0], roots[0] - delta


def test_proportions_have_the_score_test_and_its_interval(server):
    x2, n2, x1, n1 = 31, 300, 52, 280
    metric = {"name": "m", "kind": "proportion", "scale": "absolute"}
    arms = {"control": [{"n": n2, "successes": x2}], "treatment": [{"n": n1, "successes": x1}]}
    [got] = report(server, [metric], arms)["results"]

    def score(delta):
        a, b = restricted(x1, n1, x2, n2, delta)
        return (x1 / n1 - x2 / n2 - delta) / math.sqrt(a * (1 - a) / n1 + b * (1 - b) / n2)

    pearson = stats.chi2_contingency([[x1, n1 - x1], [x2, n2 - x2]], correction=False)
    assert close(got["p_value"], pearson.pvalue)
    assert close(got["statistic"] ** 2, pearson.statistic)
    z = stats.norm.isf(0.025)
    for name, sign, ends in (("low", 1, (-0.5, 0.08)), ("high", -1, (0.08, 0.5))):
        end = optimize.brentq(lambda d, s=sign: score(d) - s * z, *ends, xtol=1e-15)
        assert got[name] == pytest.approx(end, rel=1e-9)
    risk = stats.contingency.relative_risk(x1, n1, x2, n2)
    [relative] = report(server, [{**metric, "scale": "relative"}], arms)["results"]
    assert close(relative["estimate"], risk.relative_risk - 1)
    assert close(relative["p_value"], pearson.pvalue)


@pytest.mark.parametrize(
    "correction", ["bonferroni", "holm", "benjamini-hochberg", "benjamini-yekutieli"]
)
def test_corrections_are_the_published_ones_and_their_intervals_agree(server, correction):
    random = np.random.default_rng(3)
    metrics = [{"name": f"m{i}", "kind": "mean", "scale": "absolute"} for i in range(12)]
    lifts = np.linspace(0, 1.2, 12)
    arms = {
        "control": [moments(random.normal(10, 2, 90)) for _ in metrics],
        "treatment": [moments(random.normal(10 + lift, 2, 90)) for lift in lifts],
    }
    results = report(server, metrics, arms, correction=correction)["results"]
    p = np.array([one["p_value"] for one in results])
    order = np.argsort(p)
    expected = np.minimum(1, p * len(p))
    if correction == "holm":
        factors = len(p) - np.arange(len(p))
        expected[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    elif correction != "bonferroni":
        expected = stats.false_discovery_control(p, method="bh" if "hoch" in correction else "by")
    rejected = 0
    for one, adjusted in zip(results, expected, strict=True):
        assert close(one["adjusted_p_value"], adjusted)
        assert (one["verdict"] == "better") == (adjusted <= 0.05) == (one["low"] > 0)
        rejected += adjusted <= 0.05
    assert 0 < rejected < len(p)


def test_sequential_numbers_are_the_published_mixtures(server, samples):
    control, treatment = samples
    metric = {"name": "m", "kind": "mean", "scale": "absolute"}
    arms = {"control": [moments(control)], "treatment": [moments(treatment)]}
    total = len(control) + len(treatment)
    [got] = report(server, [metric], arms, rule="sequential", sample=500)["results"]
    rho2 = (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05))) / 500
    variance = control.var(ddof=1) / len(control) + treatment.var(ddof=1) / len(treatment)
    sigma2 = variance * total
    # Waudby-Smith et al. 2021, theorem 2.2; Johari et al. 2022, equation 5, with tau^2 by sigma^2.
    width = (
        2 * (total * rho2 + 1) / (total**2 * rho2) * math.log(math.sqrt(total * rho2 + 1) / 0.05)
    )
    difference = treatment.mean() - control.mean()
    assert close(got["high"] - got["low"], 2 * math.sqrt(sigma2 * width))
    tau2 = rho2 * sigma2
    likelihood = math.sqrt(variance / (variance + tau2)) * math.exp(
        tau2 * difference**2 / (2 * variance * (variance + tau2))
    )
    assert close(got["p_value"], min(1, 1 / likelihood))

    counts = np.array([1300.0, 1000.0])
    answer = analyze(
        server,
        {
            "plan": {"arms": [{"name": "a"}, {"name": "b"}], "metrics": [metric], "sample": 10},
            "units": [{"arm": "a", "n": 1300}, {"arm": "b", "n": 1000}],
            "statistics": [],
        },
    ).json()
    evidence = (special.gammaln(100) - special.gammaln(100 + 2300)).item()
    evidence += float(
        np.sum(special.gammaln(50 + counts) - special.gammaln(50) - counts * np.log(0.5))
    )
    assert close(answer["sample_ratio"]["p_value"], math.exp(-evidence))
    assert close(answer["sample_ratio"]["statistic"], stats.chisquare(counts).statistic)
    assert answer["decision"] == "inconclusive" and answer["results"] == []


def canary(server, control: int, treatment: int, n: int, **guardrail) -> dict:
    """Requests and what failed, with a goal that says nothing."""
    metrics = [
        {"name": "revenue", "kind": "mean"},
        {"name": "errors", "kind": "proportion", "role": "guardrail", "direction": "decrease",
         "scale": "absolute", "margin": 0.01, **guardrail},
    ]  # fmt: skip
    goal = {"n": n, "mean": [10], "covariance": [[4]]}
    arms = {
        "live": [goal, {"n": n, "successes": control}],
        "next": [goal, {"n": n, "successes": treatment}],
    }
    return report(server, metrics, arms, sample=100 * n)


def test_a_breached_guardrail_stops_long_before_the_planned_sample(server):
    assert canary(server, 2, 3, 200)["decision"] == "continue"
    stopped = canary(server, 2, 60, 200)
    assert stopped["decision"] == "stop" and not stopped["final"]
    assert "errors" in stopped["reasons"][0]


def test_goals_of_a_fixed_plan_are_read_at_its_sample_and_not_before(server):
    metric = {"name": "m", "kind": "mean"}
    arms = {
        "control": [{"n": 1000, "mean": [10], "covariance": [[4]]}],
        "treatment": [{"n": 1000, "mean": [11], "covariance": [[4]]}],
    }
    early = report(server, [metric], arms, sample=2001)
    assert early["decision"] == "continue" and early["results"] == []
    shipped = report(server, [metric], arms, sample=2000)
    assert shipped["decision"] == "ship" and shipped["arm"] == "treatment"
    stopped = report(server, [{**metric, "direction": "decrease"}], arms)
    assert stopped["decision"] == "stop"
    assert report(server, [metric], arms, sample=4000, rule="sequential")["decision"] == "ship"


def test_what_cannot_be_said_has_a_reason_and_the_answer_no_nan(server):
    flat = {"n": 50, "mean": [3], "covariance": [[0]]}
    near = {"n": 50, "mean": [0.01], "covariance": [[1]]}
    for control in (flat, near):
        answer = report(server, [{"name": "m", "kind": "mean"}], {"c": [control], "t": [control]})
        assert answer["decision"] == "inconclusive"
        [got] = answer["results"]
        assert not got["defined"] and got["reason"]


def test_a_changed_plan_and_bad_numbers_are_refused_with_their_field(server):
    body = {
        "plan": {
            "arms": [{"name": "a"}, {"name": "b"}],
            "metrics": [{"name": "m", "kind": "mean"}],
            "sample": 1000,
        },
        "units": [{"arm": "a", "n": 500}, {"arm": "b", "n": 500}],
        "statistics": [{"metric": "m", "arm": "a", "n": 500, "mean": [1], "covariance": [[1]]}],
    }
    digest = analyze(server, body).json()["digest"]
    assert analyze(server, {**body, "digest": digest}).status_code == 200
    changed = copy.deepcopy(body) | {"digest": digest}
    changed["plan"]["alpha"] = 0.1
    assert analyze(server, changed).status_code == 409

    def refused(field, **changes):
        bad = copy.deepcopy(body)
        for path, value in changes.items():
            part, name = path.split("__")
            (bad[part][0] if part != "plan" else bad[part])[name] = value
        answer = analyze(server, bad)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["field"] == field

    refused("statistics.n", statistics__n=501)
    refused("statistics.metric", statistics__metric="n")
    refused("statistics.arm", statistics__arm="c")
    refused("statistics.variance", statistics__covariance=[[-1]])
    refused("statistics.mean", statistics__mean=[1, 2])
    refused("units.arm", units__arm="c")
    refused("plan.arms", plan__arms=[{"name": "a"}])
    refused("plan.arms", plan__arms=[{"name": "a"}, {"name": "a"}])
    refused("plan.metrics", plan__metrics=[])
    refused("correction", plan__correction="none at all")


def test_the_command_line_shows_the_decision_and_a_table(server, tmp_path):
    sums = {"n": 1000, "covariance": [[4]]}
    body = {
        "plan": {
            "arms": [{"name": "old"}, {"name": "new"}],
            "metrics": [{"name": "revenue", "kind": "mean"}],
            "sample": 2000,
        },
        "units": [{"arm": "old", "n": 1000}, {"arm": "new", "n": 1000}],
        "statistics": [
            {"metric": "revenue", "arm": "old", "mean": [10], **sums},
            {"metric": "revenue", "arm": "new", "mean": [11], **sums},
        ],
    }
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(body))
    shown = server.strata("experiment", "analyze", str(file)).stdout
    assert shown.startswith("ship new\n") and "+10 %" in shown and "better" in shown
    whole = json.loads(server.strata("experiment", "analyze", str(file), "-o", "json").stdout)
    assert whole == analyze(server, body).json()
    file.write_text("{")
    assert server.strata("experiment", "analyze", str(file), check=False).returncode == 2
    assert server.strata("experiment", "analyze", "missing", check=False).returncode == 3


def planned(server, **question) -> requests.Response:
    url = server.http + "/api/v1/experiments/plan"
    return requests.post(url, json=question, headers=server.bearer(), timeout=20)


def power_of(n, difference, alpha, ratio, deviation=None, baseline=None) -> float:
    null = error = deviation and deviation * math.sqrt(1 / n + 1 / (n * ratio))
    if baseline is not None:
        other = baseline + difference
        pooled = (baseline + ratio * other) / (1 + ratio)
        null = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / (n * ratio)))
        error = math.sqrt(baseline * (1 - baseline) / n + other * (1 - other) / (n * ratio))
    critical = stats.norm.isf(alpha / 2) * null
    return stats.norm.sf((critical - abs(difference)) / error) + stats.norm.cdf(
        (-critical - abs(difference)) / error
    )


@pytest.mark.parametrize("ratio", [1, 0.25])
@pytest.mark.parametrize("kind", ["mean", "proportion"])
def test_a_plan_has_the_least_units_and_the_least_effect_of_its_power(server, kind, ratio):
    mean = kind == "mean"
    asked = {"kind": kind, "baseline": 20 if mean else 0.1, "alpha": 0.01, "ratio": ratio}
    extra = {"deviation": 7, "correlation": 0.6} if mean else {}
    known = {"deviation": 7 * 0.8} if mean else {"baseline": 0.1}
    for effect in (-0.05, 0.05):
        difference = effect * asked["baseline"]
        got = planned(server, **asked, **extra, effect=effect, power=0.9).json()
        n = got["control"]
        assert close(got["power"], power_of(n, difference, 0.01, ratio, **known))
        assert got["power"] >= 0.9 > power_of(n - 1, difference, 0.01, ratio, **known)
        assert got["treatment"] == math.ceil(n * ratio)
        same = planned(server, **asked, **extra, effect=effect, sample=n).json()
        assert close(same["power"], got["power"])
    least = planned(server, **asked, **extra, sample=5000, power=0.9).json()["effect"]
    reached = power_of(5000, least * asked["baseline"], 0.01, ratio, **known)
    assert close(reached, 0.9)


def test_what_cannot_be_planned_is_refused_with_its_field(server):
    for field, question in {
        "baseline": {"kind": "proportion", "baseline": 1.5, "effect": 0.1},
        "deviation": {"kind": "mean", "baseline": 5, "effect": 0.1},
        "scale": {"kind": "mean", "baseline": 0, "deviation": 1, "effect": 0.1},
        "effect": {"kind": "proportion", "baseline": 0.5, "effect": 2},
        "sample": {"kind": "proportion", "baseline": 0.9, "sample": 3},
        "ratio": {"kind": "proportion", "baseline": 0.5, "effect": 0.1, "ratio": 0},
    }.items():
        answer = planned(server, **question)
        assert answer.status_code == 400
        assert answer.json()["error"]["field"] == field
    assert planned(server, kind="mean", baseline=5, deviation=1).status_code == 400
