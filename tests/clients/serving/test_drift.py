"""Measures of drift: every number against SciPy, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import requests
from scipy import special, stats
from scipy.spatial import distance

TOLERANCE = 1e-9
LEAST_SHARE = 1e-4


def compare(server, reference: dict, current: dict) -> requests.Response:
    return requests.post(
        server.http + "/api/v1/monitors/compare",
        json={"reference": {"columns": reference}, "current": {"columns": current}},
        headers=server.bearer(),
        timeout=60,
    )


def compared(server, reference, current) -> dict:
    answer = compare(server, {"x": list(reference)}, {"x": list(current)})
    assert answer.status_code == 200, answer.text
    [column] = answer.json()["columns"]
    return column


def shares(column: dict) -> tuple[np.ndarray, np.ndarray]:
    before = np.array([b["reference"] for b in column["bins"]], float)
    now = np.array([b["current"] for b in column["bins"]], float)
    return before / before.sum(), now / now.sum()


@pytest.mark.parametrize("shift", [0.0, 0.3, 5.0])
def test_numbers_are_as_scipy_has_them(server, shift):
    random = np.random.default_rng(5)
    before, now = random.normal(3, 2, 4000), random.normal(3 + shift, 2, 1500)
    got = compared(server, before, now)
    # Exactly, of all values.
    d = stats.ks_2samp(before, now, method="asymp").statistic
    assert got["kolmogorov_smirnov"] == pytest.approx(d, rel=TOLERANCE)
    en = len(before) * len(now) / (len(before) + len(now))
    assert got["kolmogorov_smirnov_p_value"] == pytest.approx(
        special.kolmogorov(np.sqrt(en) * d), rel=1e-7, abs=1e-300
    )
    area = stats.wasserstein_distance(before, now) / before.std(ddof=1)
    assert got["wasserstein"] == pytest.approx(area, rel=TOLERANCE)
    # In bins of equal mass.
    edges = np.concatenate([[-np.inf], np.quantile(before, np.arange(1, 32) / 32), [np.inf]])
    assert len(got["bins"]) <= 34 and got["reference_rows"] == 4000
    r, c = shares(got)
    assert got["jensen_shannon"] == pytest.approx(distance.jensenshannon(r, c), rel=TOLERANCE)
    lower_r, lower_c = np.maximum(r, LEAST_SHARE), np.maximum(c, LEAST_SHARE)
    psi = np.sum((lower_c - lower_r) * np.log(lower_c / lower_r))
    assert got["psi"] == pytest.approx(psi, rel=TOLERANCE)
    # And those bins hold what numpy counts between quantiles, within one value for the edges.
    counted = np.histogram(before, edges)[0]
    inner = [b["reference"] for b in got["bins"] if b["reference"] > 0]
    assert np.abs(np.array(inner) - counted).max() <= 1
    table = np.array([[b["reference"], b["current"]] for b in got["bins"]]).T
    if table.shape[1] == 32 and (stats.contingency.expected_freq(table) >= 5).all():
        expected = stats.chi2_contingency(table, correction=False)
        assert got["chi_squared"] == pytest.approx(expected.statistic, rel=TOLERANCE)
        assert got["degrees_of_freedom"] == expected.dof
        assert got["p_value"] == pytest.approx(expected.pvalue, rel=1e-8, abs=1e-300)


def test_categories_are_as_scipy_has_them(server):
    random = np.random.default_rng(6)
    carriers = np.array(["AA", "UA", "DL", "B6"])
    before = random.choice(carriers, 3000, p=[0.4, 0.3, 0.2, 0.1])
    now = random.choice(carriers, 1000, p=[0.3, 0.3, 0.2, 0.2])
    got = compared(server, before.tolist(), now.tolist())
    table = np.array([[(side == one).sum() for one in carriers] for side in (before, now)])
    expected = stats.chi2_contingency(table, correction=False)
    assert got["chi_squared"] == pytest.approx(expected.statistic, rel=TOLERANCE)
    assert got["degrees_of_freedom"] == expected.dof
    assert got["p_value"] == pytest.approx(expected.pvalue, rel=1e-8)
    r, c = table / table.sum(axis=1, keepdims=True)
    assert got["psi"] == pytest.approx(np.sum((c - r) * np.log(c / r)), rel=TOLERANCE)
    assert got["jensen_shannon"] == pytest.approx(distance.jensenshannon(r, c), rel=TOLERANCE)
    assert got["kolmogorov_smirnov"] is None and got["unseen"] == 0


def test_missing_and_new_values_are_told(server):
    got = compared(server, ["a"] * 50 + ["b"] * 50, ["a"] * 50 + ["c"] * 25 + [None] * 25)
    assert got["unseen"] == 0.25 and got["missing_current"] == 0.25
    assert got["missing_reference"] == 0 and got["psi"] > 1
    numbers = compared(server, [1, 2, 3] * 40, [1, 2, None] * 40)
    assert numbers["missing_current"] == pytest.approx(1 / 3)


def test_what_cannot_be_compared_has_a_reason(server):
    answer = compare(
        server,
        {"gone": [1, 2], "text": [1, 2], "empty": [None, None], "constant": [7, 7]},
        {"text": ["1", "2"], "empty": [1], "constant": [7, 7]},
    )
    columns = {one["name"]: one for one in answer.json()["columns"]}
    assert columns["gone"]["reason"] == "no such column in the current data"
    assert columns["text"]["reason"] == "one side has numbers and the other texts"
    assert columns["empty"]["reason"] == "no values in the reference"
    assert columns["constant"]["psi"] == 0 and columns["constant"]["wasserstein"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reference"),
        ({"reference": {"columns": {}}, "current": {"columns": {}}}, "columns"),
        ({"reference": {"columns": {"x": 1}}, "current": {"columns": {}}}, "x"),
        ({"reference": {"columns": {"x": [1, "a"]}}, "current": {"columns": {}}}, "x[1]"),
        ({"reference": {"columns": {"x": [[1]]}}, "current": {"columns": {}}}, "x[0]"),
    ],
)
def test_bad_columns_are_refused_by_name(server, body, field):
    answer = requests.post(
        server.http + "/api/v1/monitors/compare", json=body, headers=server.bearer(), timeout=20
    )
    assert answer.status_code == 400, answer.text
    assert field in answer.json()["error"]["message"]


def test_the_command_compares_two_queries(server):
    done = server.strata(
        "monitor",
        "compare",
        "--reference",
        "SELECT i % 10 AS x, (i % 3)::VARCHAR AS y FROM range(1000) t(i)",
        "--current",
        "SELECT i % 5 AS x, (i % 3)::VARCHAR AS y FROM range(999) t(i)",
        "-o",
        "json",
    )
    columns = {one["name"]: one for one in json.loads(done.stdout)["columns"]}
    assert columns["x"]["psi"] > 1 and columns["y"]["psi"] < 0.01
