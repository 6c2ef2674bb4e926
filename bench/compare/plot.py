# plot: bars of medians, with a line from the least to the greatest, as SVG. Logarithmic.
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
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 16}" '
            'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>')
    return head + "\n".join(parts) + "</svg>\n"
