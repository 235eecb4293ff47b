"""Redaction: hiding secrets in what is about to be kept, in command lines, sources and diffs.

A value known to be a secret is hidden wherever it turns up. Others are found where they are
written down: under a telling name, in a telling shape, or as an assigned string that no person
made up. Texts keep their number of lines, so that a redacted diff can still be read by ``git``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from loopline.rules.secrets import (
    PRIVATE_KEY,
    SHAPES,
    SSH,
    URL_USER,
    is_number,
    is_secret,
    is_secret_file,
    is_secret_name,
    is_weak_name,
    looks_random,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["HIDDEN", "Redactor"]

#: Stands where a secret stood.
HIDDEN = "[redacted]"

#: Stands for an open value: of private use, so that no text has it.
_STAND_IN = "\uf8ff"

#: One string literal; with backslashes before its quotes where it stands inside another one.
_LITERAL = re.compile(
    r"""
    [A-Za-z]{0,2}(?:
      \"{3}(?:[^"\\]|\\.|"(?!""))*+\"{3} | '{3}(?:[^'\\]|\\.|'(?!''))*+'{3}
    | \\"(?:[^"\\\n]|\\(?!"))*+\\" | \\'(?:[^'\\\n]|\\(?!'))*+\\'
    | "(?:[^"\\\n]|\\.)*+" | '(?:[^'\\\n]|\\.)*+'
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTES = re.compile(r"\\?(?:\"{3}|'{3}|\"|')")

# What may stand between a literal and the one before it, or between a name and its literal.
#: Nothing but space, parentheses and a diff's marks: the literals are one.
_JOINED = re.compile(r"[\s\\+(\-]*\Z")
#: A name with its sign, at the end: ``name =``, ``name: str =``, ``name["x"] !=``.
_NAMED = re.compile(
    r"(?<![\w.])(?P<name>[A-Za-z_][\w.\-]*)[ \t]*(?::[ \t]*[\w.\[\]| ]{1,40}?)?[ \t]*"
    r"(?:=>|:=|[=!]=|=|:)[\s\\+(\[\-]*\Z"
)
#: The literal before is the name: ``"name": …``, ``["name"] = …``, ``"name", default=…``.
_KEYED = re.compile(
    r"\s*\]?\s*(?:=>|:=|[=!]=|=|:|,\s*(?:default|value|const|fallback)\s*=)[\s\\+(\[\-]*\Z"
)
#: As above, when a parenthesis opened before the name: ``("name", …``.
_PAIRED = re.compile(r"\s*,[\s\\+\-]*\Z")
_IS_NAME = re.compile(r"[\w.\- ]{1,80}\Z")
_LOOK_BACK = 200

_WORD = r"(?<![\w.])(?P<name>[A-Za-z_][\w.\-]*+)"
#: ``NAME=value`` inside a line, as on a command line, in a URL or in a connection string.
_PAIR = re.compile(rf"{_WORD}(?P<sign>=|:\s?(?=[^\s/]))(?P<value>[^\s&;,\"'\\)}}]+)")
#: ``NAME = value`` as a whole line: of an environment file, YAML, INI or properties.
_LINE = re.compile(
    r"^[+\- ]?[ \t]*(?:-[ \t]+)?(?:(?:export|ENV|ARG|set|%env|%set_env)[ \t]+)?"
    r"(?P<name>[A-Za-z_][\w.\-]*+)[ \t]*[:=][ \t]*(?P<value>[^\s\"'#][^\n]*)$",
    re.MULTILINE,
)
#: ``ENV NAME value`` of a Dockerfile and of IPython.
_SPACED = re.compile(
    r"^[+\- ]?[ \t]*(?:ENV|ARG|%env|%set_env)[ \t]+(?P<name>\w++)[ \t]+(?P<value>[^\s=][^\n]*)$",
    re.MULTILINE,
)
_HEADER = re.compile(
    r"(?i:\b(?:proxy-)?authorization)\\?[\"']?\s*[:=,]\s*\\?[\"']?\s*(?P<value>[^\s\"'\\,{}]+"
    r"(?:\ [^\s\"'\\,{}]+)?)"
)
#: Characters that are searched at a time.
_PIECE = 16_384
_COMMENT = re.compile(r"(?<=#)[^\n\"']+")
_PLAIN_WORDS = re.compile(r"[A-Za-z][A-Za-z_/ .]{0,40}\Z")
_CODE = (".py", ".pyi", ".ipynb", ".js", ".ts", ".java", ".scala", ".r", ".jl", ".cpp", ".c", ".go")


def _any_of(values: Iterable[str]) -> str:
    found = sorted({value for value in values if value}, key=len, reverse=True)
    return "|".join(map(re.escape, found))


class Redactor:
    """Hides secrets in what is about to be kept."""

    def __init__(self, known: Iterable[str] = (), *, open_values: Iterable[str] = ()) -> None:
        """Hide secrets, and every one of the ``known`` values wherever it stands.

        Args:
            known: Secrets.
            open_values: What is no secret, however random it looks: run ids.
        """
        secrets, opened = _any_of(known), _any_of(open_values)
        self._known = re.compile(secrets) if secrets else None
        # Whole words alone: a longer one that holds an id may be a secret.
        self._open = re.compile(rf"(?<!\w)(?:{opened})(?!\w)") if opened else None

    def text(self, text: str, *, is_code: bool = False) -> str:
        """Hide secrets in a text; it keeps its number of lines.

        Args:
            text: Anything: an argument, a configuration file, a notebook's cells.
            is_code: It is source code, in which ``token = read_token()`` is no secret and only
                string literals and comments can be.
        """
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        if self._open is not None:
            # A short word stands where each of them does while secrets are looked for.
            values: list[str] = self._open.findall(text)
            hidden = self._hidden(self._open.sub(_STAND_IN, text), is_code=is_code)
            pieces = hidden.split(_STAND_IN)
            if len(pieces) == len(values) + 1:  # Else one was hidden with what is around it.
                return "".join(
                    part for pair in zip(pieces, [*values, ""], strict=True) for part in pair
                )
        return self._hidden(text, is_code=is_code)

    def line(self, text: str) -> str:
        """Hide known secrets, and what tells by its look that it is one; quick, for logs."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return "".join(map(_hide_shapes, _pieces(PRIVATE_KEY.sub(_hide_block, text))))

    def known(self, text: str) -> str:
        """Hide known secrets alone."""
        return text if self._known is None else self._known.sub(HIDDEN, text)

    def _hidden(self, text: str, *, is_code: bool) -> str:
        text = PRIVATE_KEY.sub(_hide_block, text)
        text = "".join(map(_hide_shapes, _pieces(text)))
        text = _hide_literals(text)
        hide = _hide_in_comments if is_code else _hide_in_lines
        return "".join(map(hide, _pieces(text)))

    def arguments(self, arguments: Sequence[str]) -> list[str]:
        """Hide secrets on a command line, given as its arguments."""
        kept: list[str] = []
        hide_next = False
        for argument in arguments:
            is_flag = argument.startswith("--") or re.match(r"-[A-Za-z]\Z", argument)
            if hide_next and not is_flag:
                kept.append(argument if is_number(argument) else HIDDEN)
                hide_next = False
                continue
            option = _option(argument)
            hide_next = not option.sign and argument[:1] == "-" and is_secret_name(option.name)
            if option.sign and is_secret(option.name, option.value):
                kept.append(f"{option.name}{option.sign}{HIDDEN}")
            elif not option.sign and looks_random(argument):
                kept.append(HIDDEN)
            else:
                kept.append(self.text(argument))
        return kept

    def diff(self, diff: str) -> str:
        """Hide secrets in what ``git diff`` prints; files made for secrets are left out whole."""
        sections = re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE)
        return "".join(map(self._section, sections))

    def file(self, path: str, text: str) -> str:
        """Hide secrets in a file; one made for secrets is left out whole."""
        if is_secret_file(path):
            return f"{HIDDEN}: a file for secrets\n"
        return self.text(text, is_code=path.lower().endswith(_CODE))

    def _section(self, section: str) -> str:
        heading = section.partition("\n")[0]
        path = heading.rpartition(" b/")[2].rstrip('"')
        if heading.startswith("diff --git ") and is_secret_file(path):
            return f"{heading}\n{HIDDEN}: a file for secrets\n"
        return self.text(section, is_code=path.lower().endswith(_CODE))


class _Option(NamedTuple):
    """A command-line argument taken apart: dashes and name, the sign between, the value."""

    name: str
    sign: str
    value: str


def _option(argument: str) -> _Option:
    name, sign, value = argument.partition("=")
    if sign and re.match(r"[-+~]*[\w.\-/@]+\Z", name):
        return _Option(name, sign, value)
    return _Option(argument, "", "")


def _pieces(text: str) -> Iterator[str]:
    """Cut a text at ends of lines, so that no search keeps other threads waiting for long."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


def _hide_shapes(text: str) -> str:
    text = URL_USER.sub(_without_user, SHAPES.sub(HIDDEN, text))
    return _HEADER.sub(_hide_value, text)


def _hide_in_lines(text: str) -> str:
    for pattern in (_LINE, _SPACED, _PAIR):
        text = pattern.sub(_hide_if_secret, text)
    return text


def _hide_in_comments(text: str) -> str:
    return _COMMENT.sub(lambda match: _PAIR.sub(_hide_in_prose, match[0]), text)


def _hide_value(match: re.Match[str]) -> str:
    start, end = match.start("value") - match.start(), match.end("value") - match.start()
    return match[0][:start] + HIDDEN + match[0][end:]


def _hide_if_secret(match: re.Match[str]) -> str:
    return _hide_value(match) if is_secret(match["name"], match["value"].strip()) else match[0]


def _hide_in_prose(match: re.Match[str]) -> str:
    """Hide a pair in words for people, where ``key: the column`` is none."""
    is_prose = match["sign"] != "=" and _PLAIN_WORDS.match(match["value"])
    return match[0] if is_prose and is_weak_name(match["name"]) else _hide_if_secret(match)


def _without_user(match: re.Match[str]) -> str:
    user = match["user"].partition(":")[0]
    # ssh://git@host names an account; https://x@host is a token by itself.
    return match["scheme"] + (f"{user}@" if SSH.match(match["scheme"]) else "")


def _hide_block(match: re.Match[str]) -> str:
    return _over_lines(match[0])


def _over_lines(text: str) -> str:
    """Hide a text line by line, keeping a diff's mark at the front of each."""
    _, *others = text.split("\n")
    is_diff = any(line[:1] in {"+", "-"} for line in others[:-1])
    return "\n".join([HIDDEN, *(line[:1] if is_diff else "" for line in others)])


def _hide_literals(text: str) -> str:
    """Hide string literals that are secrets by name or look, and pairs inside the others."""
    parts = []
    end = 0
    before = name = ""
    is_opened = False
    for literal in _LITERAL.finditer(text):
        gap = text[max(end, literal.start() - _LOOK_BACK) : literal.start()]
        named = _NAMED.search(gap)
        if end and _JOINED.match(gap):
            pass  # The same string goes on, under the same name.
        elif (
            end
            and _IS_NAME.match(before)
            and (_KEYED.match(gap) or (is_opened and _PAIRED.match(gap)))
        ):
            name = before
        else:
            name = named["name"] if named else ""
        is_opened = gap.rstrip().endswith("(")
        quotes = _QUOTES.search(literal[0])
        assert quotes is not None  # noqa: S101 - a literal has quotes
        before = literal[0][quotes.end() : -len(quotes[0])]
        kept = _inside(name, before)
        parts += [text[end : literal.start()], literal[0][: quotes.end()], kept, quotes[0]]
        end = literal.end()
    return "".join([*parts, text[end:]])


def _inside(name: str, text: str) -> str:
    is_bare_key = name.rpartition(".")[2].lower() == "key"  # As in log_metric(key="rmse", ...).
    if is_secret(name, text) and not (is_bare_key and _PLAIN_WORDS.match(text)):
        return _over_lines(text)
    if '"' in text or "'" in text:
        text = _hide_literals(text)  # A notebook's source, or code that writes code.
    return _PAIR.sub(_hide_in_prose, text)
