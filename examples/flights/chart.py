"""Two small charts as SVG text, so that they can be looked at beside the run that made them."""

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 320, 52, 40, 34, 16
INK, GRID, LINE, SOFT = "#1f2933", "#d9dee5", "#1769aa", "#c2410c"


def _frame(title: str, x_label: str, body: list[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" '
            f'font-size="11" fill="{INK}" role="img" aria-label="{title}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{LEFT}" y="20" font-size="13" font-weight="600">{title}</text>',
            f'<text x="{_x(0.5)}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>',
            *body,
            "</svg>\n",
        ]
    )


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top, 1)


def _x(part: float) -> float:
    return round(LEFT + (WIDTH - RIGHT - LEFT) * part, 1)


def _rates(top: float) -> list[str]:
    lines = []
    for step in range(int(top * 10 + 0.5) + 1):
        y = _y(step / 10, top)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}" stroke="{GRID}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{step * 10} %</text>')
    return lines


def calibration(deciles: list[dict], title: str) -> str:
    """Observed against predicted rate; on the diagonal the probabilities mean what they say."""
    top = max(0.1, *(max(d["predicted"], d["observed"]) for d in deciles))
    top = int(top * 10 + 0.999) / 10
    body = _rates(top)
    body.append(
        f'<line x1="{_x(0)}" y1="{_y(0, top)}" x2="{_x(1)}" y2="{_y(top, top)}" '
        f'stroke="{GRID}" stroke-width="2"/>'
    )
    points = [(_x(d["predicted"] / top), _y(d["observed"], top)) for d in deciles]
    line = " ".join(f"{x},{y}" for x, y in points)
    body.append(f'<polyline fill="none" stroke="{LINE}" stroke-width="2" points="{line}"/>')
    body += [f'<circle cx="{x}" cy="{y}" r="4" fill="{LINE}"/>' for x, y in points]
    body += [
        f'<text x="{_x(step / 10 / top)}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
        f"{step * 10} %</text>"
        for step in range(int(top * 10 + 0.5) + 1)
    ]
    return _frame(title, "predicted rate (deciles); vertical: observed rate", body)


def daily(days: list[dict], title: str) -> str:
    """Late rate of each day, observed (line) and predicted (dashed). A day is {"day", "observed",
    "predicted"}.
    """
    top = max(0.1, *(max(d["predicted"], d["observed"]) for d in days))
    top = int(top * 10 + 0.999) / 10
    body = _rates(top)
    at = [_x((i + 0.5) / len(days)) for i in range(len(days))]
    for key, style in (
        ("observed", f'stroke="{LINE}"'),
        ("predicted", f'stroke="{SOFT}" stroke-dasharray="5 3"'),
    ):
        points = " ".join(f"{x},{_y(d[key], top)}" for x, d in zip(at, days, strict=True))
        body.append(f'<polyline fill="none" stroke-width="2" {style} points="{points}"/>')
    body += [
        f'<text x="{x}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">{d["day"][8:]}</text>'
        for i, (x, d) in enumerate(zip(at, days, strict=True))
        if i % 3 == 0
    ]
    legend = WIDTH - RIGHT
    body.append(f'<text x="{legend - 70}" y="20" text-anchor="end" fill="{LINE}">observed</text>')
    body.append(f'<text x="{legend}" y="20" text-anchor="end" fill="{SOFT}">predicted</text>')
    return _frame(title, "day of the month", body)
