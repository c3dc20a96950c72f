"""Makes the subsets of DejaVu Sans in this folder: see README.md.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install fonttools
    /tmp/venv/bin/python subset.py /usr/share/fonts/truetype/dejavu
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

# ASCII, Latin-1, Greek kappa, lambda, mu and sigma; dashes, quotes, bullet, dots, primes; arrows; minus and comparisons; triangles.
CHARACTERS = [
    *range(0x20, 0x7F), *range(0xA0, 0x100), 0x3BA, 0x3BB, 0x3BC, 0x3C3,
    *range(0x2010, 0x2016), *range(0x2018, 0x2020), 0x2022, 0x2026, 0x2032, 0x2033,
    *range(0x2190, 0x2196), 0x2212, 0x2248, 0x2260, 0x2264, 0x2265, 0x25B3, 0x25BD,
]


def keep_left_bearing(font: TTFont) -> None:
    """Adds a point without area at x = 0 to each glyph.

    plotters 0.3.7 (ab_glyph) draws each glyph from the left end of its ink and so loses the gap before it. With this
    point the ink begins at x = 0, and the gap stays. A program without that fault draws the same picture.
    """
    for name in font.getGlyphOrder():
        bounds = font["glyf"][name]
        if bounds.numberOfContours == 0 or bounds.xMin <= 0:
            continue
        recording = DecomposingRecordingPen(font.getGlyphSet())
        font.getGlyphSet()[name].draw(recording)
        pen = TTGlyphPen(None)
        recording.replay(pen)
        pen.moveTo((0, bounds.yMin))
        pen.lineTo((0, bounds.yMin + 1))
        pen.closePath()
        glyph = pen.glyph()
        glyph.recalcBounds(font["glyf"])
        font["glyf"][name] = glyph
        font["hmtx"][name] = (font["hmtx"][name][0], 0)


def main(source: Path) -> None:
    options = subset.Options(hinting=False, layout_features=["kern"], legacy_kern=True, glyph_names=False)
    options.drop_tables += ["GDEF", "GSUB", "FFTM", "MATH"]
    # Copyright, names, version and licence travel with the font.
    options.name_IDs = [0, 1, 2, 4, 5, 6, 13]
    for name in ["DejaVuSans", "DejaVuSans-Bold"]:
        font = subset.load_font(str(source / f"{name}.ttf"), options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=CHARACTERS)
        subsetter.subset(font)
        keep_left_bearing(font)
        font.save(Path(__file__).parent / f"{name}-subset.ttf")


main(Path(sys.argv[1]))
