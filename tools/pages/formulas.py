r"""Formulas of the pages: LaTeX between dollar signs becomes MathML when the documentation is built.

Browsers draw MathML themselves, so that no script and no font is loaded. The converter passes over commands that it
does not know; here they are refused.
"""

import html
import re

BLOCK = re.compile(r"^( *)\$\$(.*)$")
INLINE = r"(?<![\\$\w])\$(?![\s$])([^$`]+?)(?<!\s)\$(?![\w$])"
FUNCTIONS = (
    *("arccos", "arcsin", "arctan", "cos", "cosh", "det", "exp", "ln", "log", "max", "min", "sin", "sinh", "tan"),
    *("tanh", "Im", "Re"),
)
NAME = re.compile(rf"<m[io]>({'|'.join(FUNCTIONS)})</m[io]>(?=(<mo stretchy=\"false\">(?:\(|&#x00028;)|</m))?")
TEXT_SIGNS = {"&#x027E8;": "prefix", "&#x027E9;": "postfix"}
BAR = re.compile(r"<m[io][^>]*>(?:\||&#x0007C;|&#x2223;)</m[io]>")
SIGN = re.compile(
    r"((?:<mo[^>]*>(?:[(\[|,=]|&#x000(?:28|3D|5B|2C);|&#x0005B;|&#x02208;|&#x0007B;|\{)</mo>|<mrow>)\s*)<mo>(?:-|&#x02212;)</mo>"
)
UNKNOWN = re.compile(r"\\[A-Za-z]*|(?<=>)&(?=<)")


class FormulaError(ValueError):
    """A formula that cannot be converted."""


def mathml(source: str, *, block: bool = False) -> str:
    """Return a formula as MathML, with its source as alternative text.

    Raises:
        FormulaError: the source has a command or a construct that the converter does not know.
    """
    # Imported here, because the tests read the hooks without what builds the documentation.
    from latex2mathml.converter import convert

    source = " ".join(source.split())
    if len(re.findall(r"(?<!\\)\{", source)) != len(re.findall(r"(?<!\\)\}", source)):
        raise FormulaError(f"A formula must close each brace that it opens, but {source!r} does not.")
    try:
        result = convert(source, display="block" if block else "inline")
    except Exception as error:  # the converter raises many kinds, IndexError among them
        raise FormulaError(f"A formula must be LaTeX that latex2mathml reads, but {source!r} is not.") from error
    unknown = UNKNOWN.findall(re.sub(r"<mtext>.*?</mtext>", "", result))
    if unknown:
        raise FormulaError(f"A formula must use commands that latex2mathml knows, but {source!r} has {unknown[0]!r}.")
    alternative = f'<math alttext="{html.escape(source)}" '
    return _spaced(result).replace("<math ", alternative, 1)


def _spaced(result: str) -> str:
    """Write names of functions and brackets as operators with the spaces that TeX leaves around them."""

    def function(match: re.Match[str]) -> str:
        after = "0" if match[2] else "0.1667em"
        return f'<mo form="prefix" lspace="0.1667em" rspace="{after}" movablelimits="false">{match[1]}</mo>'

    for sign, form in TEXT_SIGNS.items():
        result = result.replace(f"<mi>{sign}</mi>", f'<mo form="{form}" stretchy="false">{sign}</mo>')
    result = BAR.sub('<mo stretchy="false" lspace="0" rspace="0">|</mo>', result)
    result = SIGN.sub(r'\1<mo form="prefix" lspace="0" rspace="0">&#x02212;</mo>', result)
    return NAME.sub(function, result)


def split_blocks(lines: list[str]) -> list[str | tuple[str, str]]:
    """Return lines, and for each formula between lines of two dollar signs a pair of its indent and source.

    Raises:
        FormulaError: a formula begins and does not end.
    """
    result: list[str | tuple[str, str]] = []
    fence, indent, source = "", "", []
    inside = False
    for line in lines:
        if not inside and re.match(r" *(```|~~~)", line):
            fence = "" if fence else line.strip()[:3]
        begin = BLOCK.match(line)
        if inside:
            before, end, _ = line.partition("$$")
            source.append(before)
            inside = not end
            if end:
                result.append((indent, "\n".join(source)))
        elif begin and not fence:
            indent, rest = begin.groups()
            before, end, _ = rest.partition("$$")
            source, inside = [before], not end
            if end:
                result.append((indent, before))
        else:
            result.append(line)
    if inside:
        raise FormulaError(f"A formula must end with $$, but one that begins with {source[:2]!r} does not.")
    return result
