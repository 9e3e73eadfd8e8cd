"""The last page of a run: numbers, times and checks."""


def _period(name: str, scores: dict) -> list[str]:
    auc, loss = scores["interval_95"]["auc"], scores["interval_95"]["log_loss"]
    lost = scores["without_label"]
    return [
        f"{name}: {scores['flights']:,} flights with a label; late {scores['late_rate']:.1%}, "
        f"predicted {scores['predicted_rate']:.1%}",
        f"  AUC       {scores['auc']:.4f}  [{auc[0]:.4f}, {auc[1]:.4f}]  (95 %, days resampled)",
        f"  log loss  {scores['log_loss']:.4f}  [{loss[0]:.4f}, {loss[1]:.4f}]  "
        f"base rate alone {scores['log_loss_of_base_rate']:.4f}",
        f"  no label  {lost['cancelled']:,} cancelled, {lost['diverted']:,} diverted "
        "(scored, not judged)",
        "  calibration by decile (predicted > observed, %):",
        "    "
        + "  ".join(
            f"{100 * d['predicted']:.0f}>{100 * d['observed']:.0f}" for d in scores["calibration"]
        )
        + f"   mean gap {100 * scores['calibration_error']:.1f} points",
    ]


def text(run, seconds: float) -> str:
    trained, october, november = (run.results(step) for step in ("train", "evaluate", "replay"))
    latency = november["latency_ms"]
    lines = [
        "",
        "Report",
        "",
        *_period("October (evaluation)", october),
        "",
        *_period("November (replay)", november),
    ]
    lines += [
        f"  served    {november['requests']:,} requests, {november['connections']} connections: "
        f"{november['requests_per_second']:,.0f} requests/s, p50 {latency['p50']:.2f} ms, "
        f"p99 {latency['p99']:.2f} ms",
        "",
        f"model       version {november['model']['version']}, {november['model']['digest']}",
        f"model.lgb   sha256:{trained['digests']['model.lgb']}",
        f"training    {trained['rows']:,} flights, sha256:{trained['training_set']['sha256']}",
        f"owner       {trained['tags']['owner']}, commit {trained['tags']['git.commit']}",
        "",
        *(f"{seconds:6.1f} s  {name}" for name, seconds in run.seconds.items()),
        f"{seconds:6.1f} s  in all",
        "",
        *(f"{'ok  ' if holds else 'FAIL'}  {what}" for holds, what in run.checks),
    ]
    return "\n".join(lines)
