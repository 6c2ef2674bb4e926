# plot: SVG: bars of medians, with a line from the least to the greatest, logarithmic; and curves.
import html
import math

WIDTH = 900
LEFT = 250
RIGHT = 150
BAR = 16
GAP = 6
HEAD = 54
COLORS = {"zabmq": "#1f6fb4", "limit": "#8f8f8f"}
OTHER = "#d98c3f"


def _scale(least, most):
    low = math.floor(math.log10(least))
    high = max(low + 1, math.ceil(math.log10(most)))
    floor = 10.0 ** low  # of what is too small to be seen
    return lambda value: LEFT + (math.log10(max(value, floor)) - low) / (high - low) * (WIDTH - LEFT - RIGHT)


def _document(height, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>')
    return head + "\n".join(parts) + "</svg>\n"


def _text(x, y, text, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
            f'font-weight="{weight}">{html.escape(text)}</text>')


def _bar(y, name, found, x_of, form):
    median, least, most = found
    middle = y + BAR / 2
    color = COLORS.get(name.split(" ")[0], OTHER)
    return [_text(LEFT - 8, y + BAR - 4, name, "end"),
            f'<rect x="{LEFT}" y="{y}" width="{max(1.0, x_of(median) - LEFT):.1f}" height="{BAR}" '
            f'fill="{color}"/>',
            f'<line x1="{x_of(least):.1f}" x2="{x_of(most):.1f}" y1="{middle}" y2="{middle}" '
            'stroke="#222" stroke-width="1.5"/>',
            _text(x_of(most) + 6, y + BAR - 4, form(median))]


def svg(title, subtitle, groups, form):
    """groups: [(heading, [(name, (median, least, most))])]"""
    values = [value for _, bars in groups for _, found in bars for value in found if value > 0]
    if not values:
        return None
    x_of = _scale(min(values) * 0.8, max(values))
    parts = [_text(16, 22, title, size=16, weight="bold"), _text(16, 40, subtitle, size=11)]
    y = HEAD
    for heading, bars in groups:
        y += 20
        parts.append(_text(16, y, heading, size=13, weight="bold"))
        y += 8
        for name, found in bars:
            parts += _bar(y, name, found, x_of, form)
            y += BAR + GAP
    return _document(y + 16, parts)


def curve(title, subtitle, points, means):
    """points: [(x, y)], a dot each; means: [(end of a stretch of x, y)], a line. Both from 0 on."""
    height, bottom = 360, 320
    most_x = max(x for x, _ in points)
    most_y = max(y for _, y in points) * 1.1
    left, right = 90, WIDTH - 30

    def at(x, y):
        return left + x / most_x * (right - left), bottom - y / most_y * (bottom - HEAD)

    parts = [_text(16, 22, title, size=16, weight="bold"), _text(16, 40, subtitle, size=11)]
    for fifth in range(6):
        x, _ = at(most_x * fifth / 5, 0)
        _, y = at(0, most_y * fifth / 5)
        parts += [f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
                  _text(left - 8, y + 4, f"{most_y * fifth / 5:,.0f}", "end", 11),
                  _text(x, bottom + 18, f"{most_x * fifth / 5:.1f}", "middle", 11)]
    for x, y in (at(*point) for point in points):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="#9bbfe0"/>')
    corners, begin = [], 0
    for end, mean in means:
        corners += [at(begin, mean), at(min(end, most_x), mean)]
        begin = end
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{COLORS["zabmq"]}" '
                 'stroke-width="2"/>')
    return _document(height, parts)
