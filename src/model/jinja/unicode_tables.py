#!/usr/bin/env python3
"""Writes unicode_tables.inc: what Python's str methods know about characters, as sorted ranges.

Usage: unicode_tables.py > unicode_tables.inc   (the tables are those of this Python's Unicode version)
"""
import sys
import unicodedata

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def ranges(predicate):
    out = []
    for c in ALL:
        if not predicate(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def emit_ranges(name, predicate):
    print(f"constexpr Range {name}[] = {{")
    emit([f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(predicate)])


def emit(cells):
    line = " "
    for cell in cells:
        if len(line) + len(cell) + 2 > 120:
            print(line)
            line = " "
        line += f" {cell},"
    print(line)
    print("};")


def emit_case(name, convert):
    """Runs (first, last, step, delta) where every step-th character moves by delta; several characters: a table apart."""
    runs, special = [], []
    for c in ALL:
        to = convert(chr(c))
        if to == chr(c):
            continue
        if len(to) > 1:
            special.append((c, to))
            continue
        delta = ord(to) - c
        last = runs[-1] if runs else None
        if last and last[3] == delta and c - last[1] in (1, 2) and (last[0] == last[1] or last[2] == c - last[1]):
            last[2] = c - last[1]
            last[1] = c
        else:
            runs.append([c, c, 1, delta])
    print(f"constexpr CaseRun {name}[] = {{")
    emit([f"{{0x{a:X}, 0x{b:X}, {s}, {d}}}" for a, b, s, d in runs])
    print(f"constexpr CaseSpecial {name}Special[] = {{")
    emit(["{0x%X, {%s}}" % (c, ", ".join(f"0x{ord(x):X}" for x in to)) for c, to in special] or ["{0, {0}}"])


def final_sigma(before):
    return (before + "\u03a3").lower()[-1] == "\u03c2"


print(f"// Written by unicode_tables.py from Python {sys.version.split()[0]}, Unicode {unicodedata.unidata_version}.")
emit_ranges("kAlpha", str.isalpha)
emit_ranges("kDecimal", str.isdecimal)
emit_ranges("kDigit", str.isdigit)
emit_ranges("kNumeric", str.isnumeric)
emit_ranges("kSpace", str.isspace)
emit_ranges("kUpper", str.isupper)
emit_ranges("kLower", str.islower)
emit_ranges("kTitle", lambda c: unicodedata.category(c) == "Lt")
emit_ranges("kUnprintable", lambda c: not c.isprintable())
emit_ranges("kCased", lambda c: (c + "a").title()[-1] == "a")
emit_ranges("kCaseIgnorable", lambda c: final_sigma("A" + c) and not final_sigma("1" + c))
emit_case("kToUpper", str.upper)
emit_case("kToLower", str.lower)
emit_case("kToTitle", str.title)
emit_case("kToFold", str.casefold)
