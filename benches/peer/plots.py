"""Small line plots as SVG: logarithmic axes with units, a legend, readable on light and on dark pages."""

import math
import os

from tables import setting

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 74, 16, 56, 52

# Seen well on white and on black.
COLORS = ("#2f7ed8", "#e0662b", "#3a9d5d", "#9a5fc9")

STYLE = """<style>
  text { font: 13px sans-serif; fill: #24292f } .title { font-weight: bold; font-size: 15px }
  .grid { stroke: #8c959f; stroke-opacity: .35 } .line { fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
</style>"""


def plain(value):
    """A number on an axis: 0.5, 20, 1 k, 10 M."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


class Axis:
    """A logarithmic axis: from the values to a place between two pixels, and the values that get a mark."""

    def __init__(self, values, low_pixel, high_pixel):
        self.low_pixel, self.high_pixel = low_pixel, high_pixel
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        if self.high - self.low < 0.6:  # nearly flat: not to be shown as steep
            middle = (self.low + self.high) / 2
            self.low, self.high = middle - 0.5, middle + 0.5

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.low_pixel + share * (self.high_pixel - self.low_pixel), 1)

    def marks(self):
        decades = range(math.floor(self.low) - 1, math.ceil(self.high) + 1)
        steps = (1, 2, 5) if self.high - self.low < 2.5 else (1,)
        marks = [step * 10.0**decade for decade in decades for step in steps]
        return [mark for mark in marks if self.low - 1e-9 <= math.log10(mark) <= self.high + 1e-9]


def plot(title, x_label, y_label, lines):
    """An SVG document of `lines`: {name: [(x, y), ...]}, all above 0. x marks stand at the points themselves."""
    lines = {name: points for name, points in lines.items() if points}
    xs = sorted({x for points in lines.values() for x, _ in points})
    ys = [y for points in lines.values() for _, y in points]
    across, up = Axis(xs, LEFT + 12, WIDTH - RIGHT - 24), Axis(ys, HEIGHT - BOTTOM - 8, TOP + 8)
    bottom, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">', STYLE]
    out.append(f"<title>{title}</title>")
    out.append(f'<text class="title" x="{LEFT}" y="20">{title}</text>')
    for mark in up.marks():
        y = up.at(mark)
        out.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{plain(mark)}</text>')
    for x in xs:
        out.append(f'<path class="grid" d="M{across.at(x)} {TOP}V{bottom}"/>')
        out.append(f'<text x="{across.at(x)}" y="{bottom + 18}" text-anchor="middle">{plain(x)}</text>')
    out.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{x_label}</text>')
    out.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">{y_label}</text>')
    legend = LEFT
    for color, (name, points) in zip(COLORS, lines.items()):
        places = [(across.at(x), up.at(y)) for x, y in sorted(points)]
        out.append(f'<path class="line" stroke="{color}" d="M{" L".join(f"{x} {y}" for x, y in places)}"/>')
        out += [f'<circle cx="{x}" cy="{y}" r="4" fill="{color}"/>' for x, y in places]
        out.append(f'<circle cx="{legend + 5}" cy="38" r="5" fill="{color}"/>')
        out.append(f'<text x="{legend + 15}" y="42">{name}</text>')
        legend += 30 + 8 * len(name)
    return "\n".join([*out, "</svg>", ""])


def draw(file, title, x_label, y_label, lines):
    """Writes the plot into the folder PLOTS (docs/performance), and prints what shows it on a page beside that."""
    folder = setting("PLOTS", os.path.join("docs", "performance"))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{file}.svg"), "w", encoding="utf-8") as out:
        out.write(plot(title, x_label, y_label, lines))
    print(f"![{title}](performance/{file}.svg)\n", flush=True)
