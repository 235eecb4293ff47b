"""The search language: MLflow's filters, and OR, NOT, parentheses and metric summaries.

::

    metrics.rmse < 4 and (params.model = 'gbm' or tags."mlflow.runName" like 'night%')
    metrics.rmse.min < 3.9 and attributes.status = 'FINISHED' and not tags.simulated is not null
    preprocessing.function = 'clean_trips' and preprocessing.step.StandardScaler.with_mean = 'True'

A word without a dot is an attribute. Keys with odd characters stand in backticks or double
quotes. The text becomes a tree of records here; ``loopline.store.search`` turns the tree into
a statement with bound values. What is said of preprocessing becomes comparisons of the tags that
hold it (``loopline.rules.preprocessing``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from loopline.errors import FilterError
from loopline.records.base import Record
from loopline.rules import preprocessing

__all__ = [
    "And",
    "Comparison",
    "Field",
    "Node",
    "Not",
    "Or",
    "OrderBy",
    "Parser",
    "parse",
    "parse_order_by",
]

ENTITIES = {
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameter": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "attr": "attribute",
    "attribute": "attribute",
    "attributes": "attribute",
    "run": "attribute",
    "dataset": "dataset",
    "datasets": "dataset",
    "preprocessing": "preprocessing",
}
NUMBER_ATTRIBUTES = ("start_time", "end_time", "created", "duration")
TEXT_ATTRIBUTES = (
    "run_id",
    "run_name",
    "status",
    "user_id",
    "experiment_id",
    "experiment",
    "parent_run_id",
    "flow_run_id",
    "task",
    "artifact_uri",
)
ALIASES = {
    "name": "run_name",
    "Run name": "run_name",
    "run name": "run_name",
    "user": "user_id",
    "User": "user_id",
    "id": "run_id",
    "created": "start_time",
    "Created": "start_time",
    "start time": "start_time",
}
DATASET_FIELDS = ("name", "digest", "context")
SUMMARIES = ("min", "max", "mean", "count", "last", "first_step", "last_step")
NUMBER_OPERATORS = (">", ">=", "!=", "=", "<", "<=")
TEXT_OPERATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL")
MEMBER_OPERATORS = ("=", "!=", "IN", "NOT IN")


class Field(Record, frozen=True, kw_only=True):
    """What is compared.

    Attributes:
        entity: ``"metric"``, ``"param"``, ``"tag"``, ``"attribute"`` or ``"dataset"``;
            ``"preprocessing"`` only while a filter is parsed.
        key: Its key or the attribute's name.
        summary: For a metric: which number of its summary, ``"last"`` by default.
    """

    entity: str
    key: str
    summary: str = "last"

    @property
    def is_number(self) -> bool:
        """Whether it is compared with numbers."""
        return self.entity == "metric" or (
            self.entity == "attribute" and self.key in NUMBER_ATTRIBUTES
        )


class Comparison(Record, frozen=True, kw_only=True):
    """A field, an operator in capitals, and the value or values (none for ``IS NULL``)."""

    field: Field
    operator: str
    value: float | str | list[str] | None = None


class And(Record, frozen=True, kw_only=True):
    """Every part holds."""

    parts: list[Node]


class Or(Record, frozen=True, kw_only=True):
    """Some part holds."""

    parts: list[Node]


class Not(Record, frozen=True, kw_only=True):
    """The part does not hold."""

    part: Node


Node = Comparison | And | Or | Not


class OrderBy(Record, frozen=True, kw_only=True):
    """A field to order by; runs without it come last either way."""

    field: Field
    descending: bool = False


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:\d+\.?\d*|(?<![\w`"'])\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<quoted>`[^`]*`)
  | (?P<operator>>=|<=|!=|<>|==|=|<|>)
  | (?P<sign>[(),.])
  | (?P<word>[\w\-/:]+)
    """,
    re.VERBOSE,
)
MAX_FILTER = 20_000
MAX_DEPTH = 50
#: Comparisons in one filter; databases have a limit of their own, and say it less well.
MAX_COMPARISONS = 300


def parse(text: str, kind: type[Parser] | None = None) -> Node | None:
    """Parse a filter; an empty one is None.

    Args:
        text: The filter.
        kind: The parser that knows the fields there are; those of runs when None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    if not text.strip():
        return None
    parser = (kind or Parser)(text)
    node = parser.alternatives(0)
    parser.expect_end()
    return node


def parse_order_by(text: str, kind: type[Parser] | None = None) -> OrderBy:
    """Parse one ordering such as ``metrics.rmse DESC``.

    Args:
        text: The ordering.
        kind: The parser that knows the fields there are; those of runs when None.

    Raises:
        FilterError: With the character and what was expected there.
    """
    parser = (kind or Parser)(text)
    field = parser.field()
    descending = False
    word = parser.take_word("ASC", "DESC")
    if word:
        descending = word == "DESC"
    parser.expect_end("ASC, DESC or the end")
    if field.entity in {"dataset", "preprocessing"}:
        raise FilterError(text, 0, "a metric, param, tag or attribute to order by")
    return OrderBy(field=field, descending=descending)


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_FILTER:
        raise FilterError(text[:80] + "…", 80, f"at most {MAX_FILTER:,} characters in all")
    found = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            sign = text[position]
            what = "a field, operator or value"
            raise FilterError(
                text, position, f"a closing {sign} for the quote" if sign in "'\"`" else what
            )
        if match.lastgroup != "space":
            found.append(_Token(match.lastgroup or "", match.group(), position))
        position = match.end()
    found.append(_Token("end", "", len(text)))
    return found


class Parser:
    """Recursive descent: OR binds least, then AND, then NOT.

    Attributes:
        text: What is parsed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._comparisons = 0

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    @property
    def position(self) -> int:
        """Index of the character that comes next."""
        return self._now.position

    def _next(self) -> _Token:
        token = self._now
        self._at += 1
        return token

    def _fail(self, expected: str, token: _Token | None = None) -> FilterError:
        return FilterError(self.text, (token or self._now).position, expected)

    def take_word(self, *words: str) -> str:
        """Take one of some keywords, in any case; empty when another token comes."""
        if self._now.kind == "word" and self._now.text.upper() in words:
            return self._next().text.upper()
        return ""

    def _take_sign(self, sign: str) -> bool:
        if self._now.kind == "sign" and self._now.text == sign:
            self._at += 1
            return True
        return False

    def expect_end(self, expected: str = "AND, OR or the end") -> None:
        """Fail unless the text is used up."""
        if self._now.kind != "end":
            raise self._fail(expected)

    def alternatives(self, depth: int) -> Node:
        """Parse parts joined with OR."""
        parts = [self._conditions(depth)]
        while self.take_word("OR"):
            parts.append(self._conditions(depth))
        return parts[0] if len(parts) == 1 else Or(parts=parts)

    def _conditions(self, depth: int) -> Node:
        parts = [self._condition(depth)]
        while self.take_word("AND"):
            parts.append(self._condition(depth))
        return parts[0] if len(parts) == 1 else And(parts=parts)

    def _condition(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._fail(f"at most {MAX_DEPTH} parentheses and NOTs inside one another")
        if self.take_word("NOT"):
            return Not(part=self._condition(depth + 1))
        if self._take_sign("("):
            node = self.alternatives(depth + 1)
            if not self._take_sign(")"):
                raise self._fail("AND, OR or a closing parenthesis")
            return node
        return self._comparison()

    def field(self) -> Field:
        """Parse what is compared."""
        first = self._next()
        if first.kind not in {"word", "quoted", "string"}:
            raise self._fail("a field such as metrics.rmse", first)
        if not self._take_sign("."):
            return self.attribute(_unquote(first), first.position)
        entity = ENTITIES.get(first.text.lower())
        if entity is None:
            known = "metrics, params, tags, attributes, datasets or preprocessing"
            raise self._fail(f"{known} before the dot", first)
        start = self._now
        key = self._key()
        if entity == "attribute":
            return self.attribute(key, start.position)
        if entity == "dataset" and key not in DATASET_FIELDS:
            raise self._fail("name, digest or context of a dataset", start)
        if entity == "preprocessing" and key.partition(".")[0] not in preprocessing.KINDS:
            raise self._fail("function, step or digest of preprocessing", start)
        if entity == "metric":
            head, _, tail = key.rpartition(".")
            if head and tail in SUMMARIES and start.kind == "word":
                return Field(entity=entity, key=head, summary=tail)
            if self._take_sign("."):
                summary = self.take_word(*(name.upper() for name in SUMMARIES)).lower()
                if not summary:
                    raise self._fail("min, max, mean, count, last, first_step or last_step")
                return Field(entity=entity, key=key, summary=summary)
        return Field(entity=entity, key=key)

    def _key(self) -> str:
        """Parse a key: quoted, or words joined with dots."""
        first = self._next()
        if first.kind in {"quoted", "string"}:
            return _unquote(first)
        if first.kind not in {"word", "number"}:
            raise self._fail("a key", first)
        key = first.text
        end = first.position + len(first.text)
        while self._now.text == "." and self._now.position == end:
            following = self._tokens[self._at + 1]
            if following.kind not in {"word", "number"} or following.position != end + 1:
                break
            self._at += 2
            key += "." + following.text
            end = following.position + len(following.text)
        return key

    def attribute(self, name: str, position: int) -> Field:
        """Make the field of an attribute whose name begins at a character."""
        name = ALIASES.get(name, name)
        if name not in NUMBER_ATTRIBUTES and name not in TEXT_ATTRIBUTES:
            known = ", ".join((*TEXT_ATTRIBUTES, *NUMBER_ATTRIBUTES))
            expected = (
                "metrics.…, params.…, tags.…, datasets.…, preprocessing.… or an attribute "
                f"({known})"
            )
            raise FilterError(self.text, position, expected)
        return Field(entity="attribute", key=name)

    def _comparison(self) -> Node:
        self._comparisons += 1
        if self._comparisons > MAX_COMPARISONS:
            raise self._fail(f"at most {MAX_COMPARISONS} comparisons")
        field = self.field()
        token = self._now
        operator = self._operator()
        is_member = field.entity == "preprocessing" and field.key in preprocessing.KINDS
        allowed: tuple[str, ...] = NUMBER_OPERATORS if field.is_number else TEXT_OPERATORS
        if is_member:
            allowed = MEMBER_OPERATORS
        if operator not in allowed:
            kind = "a number" if field.is_number else "text"
            raise self._fail(f"one of {', '.join(allowed)}, as {field.key} is {kind}", token)
        comparison = self._compared(field, operator)
        if field.entity != "preprocessing":
            return comparison
        node = _used(comparison) if is_member else _set_to(comparison)
        self._comparisons += _count(node) - 1
        if self._comparisons > MAX_COMPARISONS:
            raise self._fail(f"at most {MAX_COMPARISONS} comparisons", token)
        return node

    def _compared(self, field: Field, operator: str) -> Comparison:
        """Parse what a field is compared with."""
        if operator in {"IS NULL", "IS NOT NULL"}:
            return Comparison(field=field, operator=operator)
        if operator in {"IN", "NOT IN"}:
            return Comparison(field=field, operator=operator, value=self._list())
        value = self._next()
        if field.is_number:
            if value.kind != "number":
                raise self._fail("a number without quotes", value)
            return Comparison(field=field, operator=operator, value=float(value.text))
        if value.kind != "string":
            raise self._fail("text in quotes", value)
        return Comparison(field=field, operator=operator, value=_unquote(value))

    def _operator(self) -> str:
        if self._now.kind == "operator":
            text = self._next().text
            return {"<>": "!=", "==": "="}.get(text, text)
        word = self.take_word("LIKE", "ILIKE", "IN", "IS", "NOT")
        if word == "IS":
            negated = bool(self.take_word("NOT"))
            if not self.take_word("NULL"):
                raise self._fail("NULL")
            return "IS NOT NULL" if negated else "IS NULL"
        if word == "NOT":
            if not self.take_word("IN"):
                raise self._fail("IN")
            return "NOT IN"
        if not word:
            raise self._fail("an operator such as = or <")
        return word

    def _list(self) -> list[str]:
        if not self._take_sign("("):
            raise self._fail("a list such as ('a', 'b')")
        values = []
        while True:
            token = self._next()
            if token.kind != "string":
                raise self._fail("text in quotes", token)
            values.append(_unquote(token))
            if self._take_sign(")"):
                return values
            if not self._take_sign(","):
                raise self._fail("a comma or a closing parenthesis")


def _used(comparison: Comparison) -> Node:
    """Say that a run used a function, step or digest: the tag that is named after it is there."""
    kind = comparison.field.key
    value = comparison.value
    names = value if isinstance(value, list) else [str(value)]
    parts: list[Node] = [
        Comparison(field=_tag(preprocessing.tag_key(f"{kind}.{name}")), operator="IS NOT NULL")
        for name in names
    ]
    node = parts[0] if len(parts) == 1 else Or(parts=parts)
    return Not(part=node) if comparison.operator in {"!=", "NOT IN"} else node


def _set_to(comparison: Comparison) -> Node:
    """Compare an attribute that may have several values in one run: one of them must do.

    ``!=`` and ``NOT IN`` hold when the run has the attribute and none of its values is meant.
    """
    first, *others = (_tag(key) for key in preprocessing.variants(comparison.field.key))
    operator = comparison.operator
    if operator in {"IS NULL", "IS NOT NULL"}:
        return Comparison(field=first, operator=operator)
    positive = {"!=": "=", "NOT IN": "IN"}.get(operator, operator)
    some = Or(
        parts=[
            Comparison(field=field, operator=positive, value=comparison.value)
            for field in (first, *others)
        ]
    )
    if positive == operator:
        return some
    return And(parts=[Comparison(field=first, operator="IS NOT NULL"), Not(part=some)])


def _tag(key: str) -> Field:
    return Field(entity="tag", key=key)


def _count(node: Node) -> int:
    """Count the comparisons of a tree."""
    match node:
        case And() | Or():
            return sum(map(_count, node.parts))
        case Not():
            return _count(node.part)
        case Comparison():
            return 1


def _unquote(token: _Token) -> str:
    if token.kind == "quoted":
        return token.text[1:-1]
    if token.kind == "string":
        return re.sub(r"\\(.)", r"\1", token.text[1:-1])
    return token.text
