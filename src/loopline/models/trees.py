"""A look at the trees of a loaded scikit-learn model before anything follows them.

Tree files hold raw indices: of the children of a node and of the feature it asks for.
scikit-learn follows them without looking, so a forged file could make ``predict`` read memory
that is not its own. Every tree that scikit-learn builds puts children after their parents; with
that checked too, no walk can go round in circles.
"""

from __future__ import annotations

import gc
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from loopline.errors import IntegrityError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_trees"]

_LEAF = -1  # What scikit-learn writes where a leaf has no child.

#: Where the ensembles are that hand rows to their trees without looking at them again.
_UNCHECKED = {"sklearn.ensemble._forest", "sklearn.ensemble._gb", "sklearn.ensemble._iforest"}


#: Never part of a model: what leads from an object to the whole program.
_OUTSIDE = (type, ModuleType, FunctionType, str, bytes, int, float)


def check_trees(model: object) -> None:
    """Check every tree within a model, however deep in pipelines and ensembles.

    Raises:
        IntegrityError: A tree points outside itself or at a feature its model does not take,
            or is called past its model.
    """
    parts = _parts(model)
    owned = {id(tree) for part in parts for tree in _check_estimator(part)}
    for part in parts:
        if type(part).__name__ in {"Tree", "TreePredictor"}:
            _require(id(part) in owned, "belongs to no model")
        holder = getattr(part, "__self__", None)
        is_method = isinstance(part, (MethodType, BuiltinMethodType)) and holder is not None
        past = is_method and any(hasattr(holder, name) for name in ("apply", "_predictors"))
        _require(not past, "is called past its model")


def _parts(model: object) -> list[Any]:
    """Collect every object that a model is made of."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in found or isinstance(part, _OUTSIDE):
            continue
        found[id(part)] = part
        waiting.extend(gc.get_referents(part))
        if type(part).__name__ == "ndarray" and part.dtype.hasobject:
            waiting.extend(part.ravel().tolist())  # The collector does not look into arrays.
    return list(found.values())


def _check_estimator(estimator: Any) -> list[Any]:  # noqa: ANN401 - any object of a model
    """Check the trees that belong to one estimator, and tell which they are."""
    trees: list[Any] = []
    tree = getattr(estimator, "tree_", None)
    if type(tree).__name__ == "Tree":
        _check_tree(tree, int(estimator.n_features_in_))
        trees.append(tree)
    if {base.__module__ for base in type(estimator).__mro__} & _UNCHECKED:
        _check_members(estimator)
    predictors = getattr(estimator, "_predictors", None)
    if isinstance(predictors, list) and hasattr(estimator, "_bin_mapper"):
        categorical = _categorical_features(estimator)
        for predictor in (predictor for round_ in predictors for predictor in round_):
            _check_predictor(predictor, categorical)
            trees.append(predictor)
    return trees


def _check_members(ensemble: Any) -> None:  # noqa: ANN401 - no types
    """Check that the trees of an ensemble take what the ensemble hands on to them."""
    members = getattr(ensemble, "estimators_", ())
    members = members.ravel().tolist() if hasattr(members, "ravel") else list(members)
    subsets = getattr(ensemble, "estimators_features_", None)
    for position, member in enumerate(members):
        width = int(ensemble.n_features_in_) if subsets is None else len(subsets[position])
        _require(int(member.n_features_in_) == width, "counts other features than its model")


def _check_tree(tree: Any, features: int) -> None:  # noqa: ANN401 - a compiled class
    """Check a decision tree."""
    left, right = tree.children_left, tree.children_right
    split = left != _LEAF
    _require(tree.n_features == features, "counts other features than its model")
    _require(len(left) > 0, "has no nodes")
    _check_children(left, right, split)
    _check_range(tree.feature[split], features, "a feature its model does not take")


def _check_predictor(predictor: Any, categorical: NDArray[Any]) -> None:  # noqa: ANN401 - no types
    """Check a tree of histogram boosting, given which features are categories."""
    nodes = predictor.nodes
    split = nodes["is_leaf"] == 0
    _require(len(nodes) > 0, "has no nodes")
    _check_children(nodes["left"], nodes["right"], split)
    features = nodes["feature_idx"]
    _check_range(features[split], len(categorical), "a feature its model does not take")
    by_category = split & (nodes["is_categorical"] != 0)
    known = bool(categorical[features[by_category]].all())
    _require(known, "takes a number for a category")
    for bitsets in (predictor.binned_left_cat_bitsets, predictor.raw_left_cat_bitsets):
        _require(bitsets.ndim == 2 and bitsets.shape[1] == 8, "has malformed categories")  # noqa: PLR2004 - 256 bits
        _check_range(
            nodes["bitset_idx"][by_category], len(bitsets), "categories that are not there"
        )


def _categorical_features(estimator: Any) -> NDArray[Any]:  # noqa: ANN401 - no types
    """Tell which of the features that reach the trees of histogram boosting are categories."""
    mapper = estimator._bin_mapper  # noqa: SLF001 - where scikit-learn keeps it
    categorical: NDArray[Any] = mapper.is_categorical_
    known = {len(mapper.bin_thresholds_), len(categorical), int(estimator.n_features_in_)}
    _require(len(known) == 1, "counts other features than its model")
    return categorical


def _check_children(left: NDArray[Any], right: NDArray[Any], split: NDArray[np.bool_]) -> None:
    """Check that both children of each inner node are nodes after it."""
    import numpy as np

    here = np.flatnonzero(split)
    for children in (left, right):
        below = children[split].astype(np.int64)
        _require(bool((below > here).all() and (below < len(split)).all()), "points outside itself")


def _check_range(indices: NDArray[Any], length: int, what: str) -> None:
    """Check that indices lie within a length."""
    inside = bool(((indices >= 0) & (indices < length)).all())
    _require(inside, f"asks for {what}")


def _require(holds: bool, fault: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        msg = (
            f"A tree of the model {fault}: the file is damaged or forged. Fetch the model again "
            "from where it was logged, and do not use this one."
        )
        raise IntegrityError(msg)
