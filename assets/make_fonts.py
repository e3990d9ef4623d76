"""Make fonts/: Inter with tabular digits, and JetBrains Mono, cut to the characters the program shows.

    python make_fonts.py /usr/share/fonts/opentype/inter /usr/share/fonts/truetype/jetbrains-mono

The folders are those of the Debian packages fonts-inter (4.0~beta7+ds-1) and fonts-jetbrains-mono
(2.242+ds-3). Both are under the SIL Open Font License 1.1 with no reserved font name; the changed
Inter still gets a family name of its own, so that nobody takes it for the original.

egui cannot switch OpenType features on, so the digits and the signs + and minus that `tnum` would
choose become the default glyphs (of one advance: columns of numbers line up). Inter's cubic
outlines become quadratic ones, so that the file is plain TrueType. JetBrains Mono draws the circled
dot as U+2299 only: the sun sign U+2609 is pointed at the same glyph.

Needs fonttools.
"""

import os
import sys

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, newTable

HERE = os.path.dirname(os.path.abspath(__file__))
RANGES = [
    (0x20, 0x7E), (0xA0, 0x24F), (0x2B0, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x45F), (0x1E00, 0x1EFF),
    (0x2000, 0x206F), (0x2070, 0x209F), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2150, 0x215F), (0x2190, 0x21FF),
    (0x2200, 0x22FF), (0x2300, 0x23FF), (0x2500, 0x259F), (0x25A0, 0x25FF), (0x2600, 0x26FF), (0x2700, 0x27BF),
]  # fmt: skip
UNICODES = [code for first, last in RANGES for code in range(first, last + 1)]


def cut(font, features):
    """Keep the characters of RANGES and the given layout features."""
    options = subset.Options()
    options.layout_features = features
    options.hinting = False
    options.name_IDs = ["*"]
    options.notdef_outline = True
    options.desubroutinize = True
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=UNICODES)
    cutter.subset(font)


def tabular(font):
    """Point digits, plus and minus at the glyphs that `tnum` puts in their place."""
    gsub = font["GSUB"].table
    swap = {}
    for record in gsub.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for table in gsub.LookupList.Lookup[index].SubTable:
                    swap.update(getattr(table, "ExtSubTable", table).mapping)
    for code in [*range(0x30, 0x3A), 0x2B, 0x2212]:
        for table in font["cmap"].tables:
            if table.isUnicode() and code in table.cmap:
                table.cmap[code] = swap.get(table.cmap[code], table.cmap[code])
    cmap = font.getBestCmap()
    # The semi-bold is three units of 2816 off in some digits.
    widths = [font["hmtx"][cmap[code]][0] for code in range(0x30, 0x3A)]
    assert max(widths) - min(widths) < 5, widths
    for code in range(0x30, 0x3A):
        font["hmtx"][cmap[code]] = (max(widths), font["hmtx"][cmap[code]][1])


def quadratic(font):
    """Turn CFF outlines into TrueType ones (error at most 1/2816 em)."""
    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    drawn = {}
    for name in order:
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, 1.0, reverse_direction=True))
        drawn[name] = pen.glyph()
    font["loca"] = newTable("loca")
    font["glyf"] = glyf = newTable("glyf")
    glyf.glyphOrder, glyf.glyphs = order, drawn
    for name in order:
        glyph = drawn[name]
        glyph.recalcBounds(glyf)
        font["hmtx"][name] = (font["hmtx"][name][0], getattr(glyph, "xMin", 0))
    maxp = font["maxp"]
    maxp.tableVersion = 0x00010000
    maxp.maxZones, maxp.maxTwilightPoints, maxp.maxStorage = 1, 0, 0
    maxp.maxFunctionDefs = maxp.maxInstructionDefs = maxp.maxStackElements = 0
    maxp.maxSizeOfInstructions = maxp.maxComponentElements = 0
    font["post"].formatType = 3.0
    for tag in ("CFF ", "VORG"):
        if tag in font:
            del font[tag]
    font.sfntVersion = "\000\001\000\000"


def rename(font, family, style):
    """Give the changed font a family name of its own."""
    names = {1: family, 2: style, 3: f"{family} {style}", 4: f"{family} {style}", 6: f"{family}-{style}".replace(" ", ""), 16: family, 17: style}
    for record in list(font["name"].names):
        if record.nameID in names:
            font["name"].setName(names[record.nameID], record.nameID, record.platformID, record.platEncID, record.langID)


def save(font, name):
    path = os.path.join(HERE, "fonts", name)
    font["head"].modified = font["head"].created
    font.recalcTimestamp = False
    font.save(path)
    print(f"{name}: {os.path.getsize(path)} bytes, {len(font.getBestCmap())} characters")


def main(inter, mono):
    os.makedirs(os.path.join(HERE, "fonts"), exist_ok=True)
    for style in ("Regular", "SemiBold"):
        font = TTFont(os.path.join(inter, f"Inter-{style}.otf"))
        tabular(font)
        cut(font, ["kern", "mark", "mkmk", "ccmp"])
        quadratic(font)
        rename(font, "Inter Tabular", style)
        save(font, f"Inter-{style}.ttf")
    font = TTFont(os.path.join(mono, "JetBrainsMono-Regular.ttf"))
    for table in font["cmap"].tables:
        if table.isUnicode() and 0x2299 in table.cmap:
            table.cmap[0x2609] = table.cmap[0x2299]
    cut(font, ["mark", "mkmk", "ccmp"])
    save(font, "JetBrainsMono-Regular.ttf")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
