"""How a search looks for runs: from which index it reads them, in their order, until it has enough.

A page of runs is found in one of four ways, the first that fits:

1. *Few*: a condition that only some runs meet names them; they are sorted.
2. *By a fact*: the order is that of one metric, param or tag, whose index has the runs in it.
3. *Newest*: the order is the start, which an index has.
4. *All*: anything else looks at every run of the experiments.

In the second and third the other conditions are looked up run by run until the page is full,
so they cost as much as there is between one match and the next, not as much as the store holds.
Databases merge the index ranges of several experiments (UNION ALL of ordered parts) lazily.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)

from loopline.records.base import Lifecycle
from loopline.rules.filters import And, Comparison, Node, OrderBy
from loopline.store import schema
from loopline.store.search_terms import (
    FACT_TABLES,
    compare_fact,
    condition,
    metric_column,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import CompoundSelect, Connection

__all__ = ["Hit", "Question", "count", "find"]

#: A condition that at most so many runs meet names them.
FEW = 2_000
#: Index ranges merged in one statement; a store with more experiments is searched as one.
MOST_PARTS = 100
#: Conditions asked how many runs meet them, at most.
MOST_PROBES = 4

_run = schema.run
#: What an index of facts can be asked for.
_SEEKABLE = frozenset({"=", "<", "<=", ">", ">=", "IN"})
_RANGES = frozenset({"=", "<", "<=", ">", ">="})


class Hit(NamedTuple):
    """A run found, and the values it is ordered by, which the next page begins after."""

    pk: int
    place: tuple[Any, ...]


class Question(NamedTuple):
    """A search.

    Attributes:
        experiments: Numbers of the experiments to look in; None: all there are.
        lifecycle: Only runs of this one; None: active and deleted ones.
        node: The filter.
        order: What to order by, before the start (newest first) and the id.
        after: Place of the last run of the page before.
        most: How many runs at most.
    """

    experiments: list[int] | None
    lifecycle: Lifecycle | None
    node: Node | None
    order: list[OrderBy]
    after: tuple[Any, ...] | None
    most: int


class _Key(NamedTuple):
    """One column of an order; no value of it is NULL, so that pages can be cut at it."""

    column: ColumnElement[Any]
    descending: bool = False


_NEWEST = [_Key(_run.c.start_ms, descending=True), _Key(_run.c.run_id)]


def find(connection: Connection, question: Question) -> list[Hit]:
    """Find the runs of a page, in order."""
    parts = _parts(question.node)
    order = question.order
    is_newest = _is_newest(order)
    experiments = _experiments(connection, question)
    if question.lifecycle is Lifecycle.ACTIVE and experiments is not None:
        few = _few(connection, parts, experiments)
        if few is not None:
            return _among(connection, question, few)
        is_one_fact = len(order) == 1 and order[0].field.entity in FACT_TABLES
        if is_one_fact and order[0].field.summary == "last":
            return _by_fact(connection, question, order[0], experiments)
    if is_newest and question.lifecycle is Lifecycle.ACTIVE:
        return _newest(connection, question, question.after, question.most)
    return _among(connection, question, None)


def count(connection: Connection, question: Question) -> int:
    """Count the runs that match, whatever the page."""
    query = select(func.count()).select_from(_run).where(*_scope(question), *_filter(question.node))
    experiments = _experiments(connection, question)
    if question.lifecycle is Lifecycle.ACTIVE and experiments is not None:
        few = _few(connection, _parts(question.node), experiments)
        if few is not None:
            query = query.where(_run.c.pk.in_(few))
    return int(connection.execute(query).scalar_one())


def _parts(node: Node | None) -> list[Node]:
    """List the conditions that all must hold."""
    if node is None:
        return []
    if isinstance(node, And):
        return [each for part in node.parts for each in _parts(part)]
    return [node]


def _is_newest(order: list[OrderBy]) -> bool:
    """Tell whether the order is that of the newest runs."""
    return not order or (
        len(order) == 1
        and order[0].descending
        and (order[0].field.entity, order[0].field.key) == ("attribute", "start_time")
    )


def _experiments(connection: Connection, question: Question) -> list[int] | None:
    """List the experiments whose index ranges are read; None when they are too many."""
    found = question.experiments
    if found is None:
        query = select(schema.experiment.c.id).limit(MOST_PARTS + 1)
        found = list(connection.execute(query).scalars())
    return found if len(found) <= MOST_PARTS else None


# --- 1: a condition that few runs meet -----------------------------------------------------


def _few(connection: Connection, parts: list[Node], experiments: list[int]) -> list[int] | None:
    """Read the runs that the rarest condition names, if they are few."""
    best: list[int] | None = None
    probes = 0
    for part in parts:
        if not isinstance(part, Comparison) or not _can_seek(part) or probes == MOST_PROBES:
            continue
        probes += 1
        found = list(connection.execute(_seek(part, experiments).limit(FEW + 1)).scalars())
        if len(found) <= FEW and (best is None or len(found) < len(best)):
            best = found
    return best


def _can_seek(part: Comparison) -> bool:
    return (
        part.field.entity in FACT_TABLES
        and part.field.summary == "last"
        and part.operator in _SEEKABLE
    )


def _seek(part: Comparison, experiments: list[int]) -> Select[Any]:
    """Read the runs that meet a condition from its index."""
    table = FACT_TABLES[part.field.entity]
    found = select(table.c.run_pk).where(
        table.c.experiment_id.in_(experiments),
        table.c.lifecycle == Lifecycle.ACTIVE,
        table.c.key == part.field.key,
        compare_fact(table, part),
    )
    return found.where(table.c.is_nan.is_(False)) if part.field.entity == "metric" else found


# --- 4 (and the end of 1): sort what there is ----------------------------------------------


def _among(connection: Connection, question: Question, candidates: list[int] | None) -> list[Hit]:
    """Look at the candidates, or at every run, and sort those that match."""
    keys = [key for order in question.order for key in _keys_of(order)] + _NEWEST
    columns = [key.column.label(f"key_{index}") for index, key in enumerate(keys)]
    query = select(_run.c.pk, *columns).where(*_scope(question), *_filter(question.node))
    if candidates is not None:
        query = query.where(_run.c.pk.in_(candidates))
    if question.after is not None:
        query = query.where(_after(keys, question.after))
    query = query.order_by(*map(_direction, keys)).limit(question.most)
    return [Hit(row[0], tuple(row[1:])) for row in connection.execute(query).all()]


def _scope(question: Question) -> list[ColumnElement[bool]]:
    scope: list[ColumnElement[bool]] = []
    if question.experiments is not None:
        scope.append(_run.c.experiment_id.in_(question.experiments))
    if question.lifecycle is not None:
        scope.append(_run.c.lifecycle == question.lifecycle)
    return scope


def _filter(node: Node | None) -> list[ColumnElement[bool]]:
    return [] if node is None else [condition(node)]


def _keys_of(order: OrderBy) -> list[_Key]:
    """Order by a field: runs without a value last, NaN before them, whichever direction."""
    column = value_of(order.field)
    missing: ColumnElement[int] = case((column.is_(None), 1), else_=0)
    if order.field.entity == "metric" and order.field.summary == "last":
        is_nan = metric_column(order.field, schema.metric.c.is_nan)
        missing = case((column.is_not(None), 0), (is_nan.is_(True), 1), else_=2)
    return [
        _Key(missing),
        _Key(func.coalesce(column, literal(_empty(order))), descending=order.descending),
    ]


def _empty(order: OrderBy) -> float | str:
    return 0.0 if order.field.is_number else ""


def _direction(key: _Key) -> ColumnElement[Any]:
    return key.column.desc() if key.descending else key.column.asc()


def _after(keys: list[_Key], place: tuple[Any, ...]) -> ColumnElement[bool]:
    """Select what comes after a place: greater at the first key that differs."""
    alternatives = []
    for index, key in enumerate(keys):
        same = [before.column == place[at] for at, before in enumerate(keys[:index])]
        value = literal(place[index])
        beyond = key.column < value if key.descending else key.column > value
        alternatives.append(and_(true(), *same, beyond))
    return or_(*alternatives)


# --- 3: newest first -----------------------------------------------------------------------


def _newest(
    connection: Connection,
    question: Question,
    after: tuple[Any, ...] | None,
    most: int,
    *more: ColumnElement[bool],
) -> list[Hit]:
    """Read runs from the index of starts until there are enough."""
    experiments = question.experiments
    if question.node is None and after is None and not more and experiments is not None:
        # A page of nothing but the newest, which everybody asks for, is planned once.
        given: dict[str, Any] = {f"e{index}": each for index, each in enumerate(experiments)}
        if len(experiments) <= MOST_PARTS:
            rows = connection.execute(_first_page(len(experiments)), given | {"most": most}).all()
            return _hits(question, rows)
    where = [_run.c.lifecycle == Lifecycle.ACTIVE, *_filter(question.node), *more]
    if after is not None:
        # The first term lets the index begin there; the second is exact.
        where += [_run.c.start_ms <= after[-2], _after(_NEWEST, after[-2:])]
    base = select(_run.c.pk, _run.c.start_ms.label("start"), _run.c.run_id.label("id")).where(
        *where
    )

    def of(experiment: int) -> Select[Any]:
        return base.where(_run.c.experiment_id == experiment)

    query = _merged(base, of, question.experiments, "start DESC, id")
    return _hits(question, connection.execute(query.limit(most)).all())


@lru_cache(MOST_PARTS)
def _first_page(experiments: int) -> Any:  # noqa: ANN401 - one SELECT or several
    """Write the question for the newest active runs of so many experiments."""
    base = select(_run.c.pk, _run.c.start_ms.label("start"), _run.c.run_id.label("id"))
    base = base.where(_run.c.lifecycle == Lifecycle.ACTIVE)

    def of(index: int) -> Select[Any]:
        return base.where(_run.c.experiment_id == bindparam(f"e{index}"))

    query = _merged(base, of, list(range(experiments)), "start DESC, id")
    return query.limit(bindparam("most"))


def _hits(question: Question, rows: Sequence[Any]) -> list[Hit]:
    # The start is a key of its own when it was asked for, and the last but one always.
    if _is_newest(question.order) and bool(question.order):
        return [Hit(pk, (0, start, start, run_id)) for pk, start, run_id in rows]
    return [Hit(pk, (start, run_id)) for pk, start, run_id in rows]


def _merged(
    base: Select[Any],
    of: Callable[[int], Select[Any]],
    experiments: list[int] | None,
    order: str,
) -> Select[Any] | CompoundSelect[Any]:
    """Read one index range, or those of several experiments merged in their order."""
    by: ColumnElement[Any] = literal_column(order)
    if experiments is None:
        return base.order_by(by)
    if len(experiments) == 1:
        return of(experiments[0]).order_by(by)
    if len(experiments) > MOST_PARTS:
        return base.where(_run.c.experiment_id.in_(experiments)).order_by(by)
    return union_all(*map(of, experiments)).order_by(by)


# --- 2: in the order of a metric, param or tag ----------------------------------------------


def _by_fact(
    connection: Connection, question: Question, order: OrderBy, experiments: list[int]
) -> list[Hit]:
    """Read runs in the order of a fact: those that have it, then NaN, then those without."""
    after, hits = question.after, list[Hit]()
    is_metric = order.field.entity == "metric"
    has_fact = exists().where(*_fact_of_run(order)).correlate(_run)
    stages: list[Callable[[tuple[Any, ...] | None, int], list[Hit]]] = [
        lambda place, most: _in_order(connection, question, order, experiments, place, most)
    ]
    rest = [not_(has_fact)]
    if is_metric:
        is_nan = schema.metric.c.is_nan.is_(True)
        rest.insert(0, exists().where(*_fact_of_run(order), is_nan).correlate(_run))
    for stage, which in enumerate(rest, start=1):
        stages.append(_later_stage(connection, question, order, stage, which))
    for stage, read in enumerate(stages):
        if after is not None and after[0] > stage:
            continue
        place = after if after is not None and after[0] == stage else None
        hits += read(place, question.most - len(hits))
        if len(hits) >= question.most:
            break
    return hits


def _fact_of_run(order: OrderBy) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    table = FACT_TABLES[order.field.entity]
    return table.c.run_pk == _run.c.pk, table.c.key == order.field.key


def _later_stage(
    connection: Connection,
    question: Question,
    order: OrderBy,
    stage: int,
    which: ColumnElement[bool],
) -> Callable[[tuple[Any, ...] | None, int], list[Hit]]:
    def read(place: tuple[Any, ...] | None, most: int) -> list[Hit]:
        found = _newest(connection, question, place, most, which)
        return [Hit(hit.pk, (stage, _empty(order), *hit.place[-2:])) for hit in found]

    return read


def _in_order(
    connection: Connection,
    question: Question,
    order: OrderBy,
    experiments: list[int],
    after: tuple[Any, ...] | None,
    most: int,
) -> list[Hit]:
    """Read the runs that have the fact from its index until there are enough."""
    fact = FACT_TABLES[order.field.entity].alias("fact")
    conditions = [
        fact.c.lifecycle == Lifecycle.ACTIVE,
        fact.c.key == order.field.key,
        *_terms(question.node, order, fact),
    ]
    if order.field.entity == "metric":
        conditions += [fact.c.is_nan.is_(False), fact.c.value.is_not(None)]
    if after is not None:
        keys = [_Key(fact.c.value, order.descending), *_NEWEST]
        value = literal(after[1])
        # The first term lets the index begin there; the second is exact.
        conditions += [
            fact.c.value <= value if order.descending else fact.c.value >= value,
            _after(keys, after[1:]),
        ]
    base = (
        select(
            _run.c.pk,
            fact.c.value.label("value"),
            _run.c.start_ms.label("start"),
            _run.c.run_id.label("id"),
        )
        .select_from(fact)
        .join(_run, _run.c.pk == fact.c.run_pk)
        .where(*conditions)
    )

    def of(experiment: int) -> Select[Any]:
        return base.where(fact.c.experiment_id == experiment)

    turn = "DESC" if order.descending else "ASC"
    query = _merged(base, of, experiments, f"value {turn}, start DESC, id")
    return [
        Hit(row.pk, (0, row.value, row.start, row.id))
        for row in connection.execute(query.limit(most)).all()
    ]


def _terms(node: Node | None, order: OrderBy, fact: Any) -> list[ColumnElement[bool]]:  # noqa: ANN401
    """Say the filter, with conditions on the fact at hand as ranges of its index."""
    terms = []
    for part in _parts(node):
        is_own = isinstance(part, Comparison) and part.field == order.field
        if is_own and isinstance(part, Comparison) and part.operator in _RANGES:
            terms.append(compare_fact(fact, part))
        else:
            terms.append(condition(part))
    return terms
