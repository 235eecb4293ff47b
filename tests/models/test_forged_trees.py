"""Trees whose indices lead astray are found before anything follows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from loopline.errors import IntegrityError
from loopline.models.trees import check_trees

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@pytest.fixture
def rows(trips: pd.DataFrame) -> NDArray[np.float64]:
    return trips[["trip_distance", "pickup_hour"]].to_numpy()


def grown(rows: NDArray[np.float64], fares: NDArray[np.float64]) -> Any:  # noqa: ANN401
    return HistGradientBoostingRegressor(
        max_iter=2, min_samples_leaf=5, categorical_features=[1], random_state=0
    ).fit(rows, fares)


def forge(tree: Any, column: str, node: int, value: int) -> None:  # noqa: ANN401
    """Write into a compiled tree as a forged file would."""
    state = tree.__getstate__()
    state["nodes"][column][node] = value
    tree.__setstate__(state)


def test_trees_as_they_grow_are_fine(rows: NDArray[np.float64], fares: NDArray[np.float64]) -> None:
    for model in (
        DecisionTreeRegressor(max_leaf_nodes=7),
        RandomForestRegressor(3),
        GradientBoostingRegressor(n_estimators=3),
        HistGradientBoostingRegressor(max_iter=3),
    ):
        check_trees(make_pipeline(StandardScaler(), model).fit(rows, fares))
    check_trees(grown(rows, fares))


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("left_child", 10_000, "points outside itself"),
        ("right_child", -7, "points outside itself"),
        ("right_child", 0, "points outside itself"),  # A circle.
        ("feature", 2, "a feature its model does not take"),
        ("feature", -1, "a feature its model does not take"),
    ],
)
def test_a_forged_decision_tree_is_found(
    rows: NDArray[np.float64], fares: NDArray[np.float64], column: str, value: int, fault: str
) -> None:
    model = make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=3)).fit(rows, fares)
    forge(model[-1].tree_, column, 0, value)
    with pytest.raises(IntegrityError, match=fault):
        check_trees(model)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("left", 10_000, "points outside itself"),
        ("right", 0, "points outside itself"),
        ("feature_idx", 2, "a feature its model does not take"),
        ("feature_idx", -1, "a feature its model does not take"),
        ("bitset_idx", 9, "categories that are not there"),
    ],
)
def test_a_forged_boosted_tree_is_found(
    rows: NDArray[np.float64], fares: NDArray[np.float64], column: str, value: int, fault: str
) -> None:
    model = grown(rows, fares)
    nodes = model._predictors[0][0].nodes
    nodes[column][0] = value
    if column == "bitset_idx":
        nodes["is_categorical"][0] = 1
        nodes["feature_idx"][0] = int(np.flatnonzero(model._bin_mapper.is_categorical_)[0])
    with pytest.raises(IntegrityError, match=fault):
        check_trees(model)


def test_a_number_taken_for_a_category_is_found(
    rows: NDArray[np.float64], fares: NDArray[np.float64]
) -> None:
    model = grown(rows, fares)
    nodes = model._predictors[0][0].nodes
    nodes["feature_idx"][0] = int(np.flatnonzero(model._bin_mapper.is_categorical_ == 0)[0])
    nodes["is_categorical"][0] = 1
    with pytest.raises(IntegrityError, match="takes a number for a category"):
        check_trees(model)


@pytest.mark.parametrize("ensemble", [RandomForestRegressor(2), GradientBoostingRegressor()])
def test_a_tree_wider_than_its_ensemble_is_found(
    rows: NDArray[np.float64],
    fares: NDArray[np.float64],
    ensemble: Any,  # noqa: ANN401
) -> None:
    wide = DecisionTreeRegressor(max_depth=3).fit(np.hstack([rows, rows]), fares)
    ensemble.fit(rows, fares)
    members = ensemble.estimators_
    if isinstance(members, list):
        members[0] = wide
    else:
        members[0, 0] = wide
    with pytest.raises(IntegrityError, match="counts other features"):
        check_trees(ensemble)


def test_a_tree_called_past_its_model_is_found(
    rows: NDArray[np.float64], fares: NDArray[np.float64]
) -> None:
    model = DecisionTreeRegressor(max_depth=3).fit(rows, fares)
    for call in (model.predict, model.tree_.predict, partial(model.predict, check_input=False)):
        with pytest.raises(IntegrityError, match=r"past its model|belongs to no model"):
            check_trees(make_pipeline(StandardScaler(), FunctionTransformer(call)))
