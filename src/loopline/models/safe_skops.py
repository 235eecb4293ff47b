"""Reading and writing scikit-learn models with skops: no code from the file ever runs.

skops rebuilds objects of known types only. A few types of scikit-learn itself it leaves to the
reader's judgement; ``REVIEWED`` has ours. Trees are among them because their files hold raw
indices that scikit-learn follows without looking, so ``loopline.models.trees`` looks first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import MissingExtraError, UnsafeModelError
from loopline.models.trees import check_trees

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["REVIEWED", "read_skops", "write_skops"]

#: Types that are safe to rebuild, and why, beyond those that skops always takes.
REVIEWED: dict[str, str] = {
    "functools.partial": "only stores a function, which is examined by its own name",
    "sklearn.compose._column_transformer.make_column_selector": "holds a pattern and type names",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": "indices are checked",
    "sklearn.metrics._scorer._PassthroughScorer": "asks the estimator it holds, examined itself",
    "sklearn.model_selection._split.KFold": "holds numbers",
    "sklearn.model_selection._split.StratifiedKFold": "holds numbers",
    "sklearn.tree._tree.Tree": "indices are checked",
    "sklearn.utils._bunch.Bunch": "a dict whose values are examined themselves",
    "sklearn.utils.validation.check_array": "looks at an array and changes nothing",
} | {
    f"sklearn.gaussian_process.kernels.{kernel}": "holds numbers and other kernels"
    for kernel in (
        "CompoundKernel",
        "ConstantKernel",
        "DotProduct",
        "ExpSineSquared",
        "Exponentiation",
        "Matern",
        "Product",
        "RBF",
        "RationalQuadratic",
        "Sum",
        "WhiteKernel",
    )
}


def write_skops(model: object, path: Path, *, trusted: Iterable[str] = ()) -> list[str]:
    """Write a model, having made sure that it can be read back safely.

    Args:
        model: A fitted estimator or pipeline.
        path: The file to write.
        trusted: Names of further types that the caller vouches for.

    Returns:
        The types in it, beyond those skops always takes, that a reader must trust.

    Raises:
        UnsafeModelError: It holds types that would not be loaded safely.
    """
    io = _skops_io()
    advice = (
        "Save it with serialization_format='cloudpickle' (loading it then needs "
        "allow_pickle=True), or vouch for types of your own with skops_trusted_types=[...]."
    )
    try:
        data = io.dumps(model)
        asked = set(io.get_untrusted_types(data=data))
    except Exception as error:
        msg = f"{type(model).__name__} has no safe form: {error} {advice}"
        raise UnsafeModelError(msg) from error
    unknown = sorted(asked - REVIEWED.keys() - set(trusted))
    if unknown:
        msg = (
            f"{type(model).__name__} holds types that cannot be loaded safely: "
            f"{', '.join(unknown)}. {advice}"
        )
        raise UnsafeModelError(msg)
    path.write_bytes(data)
    return sorted(asked)


def read_skops(path: Path, *, trusted: Iterable[str] = (), trust_all: bool = False) -> Any:  # noqa: ANN401 - any estimator
    """Read a model; what its own MLmodel claims to be trusted does not count.

    Args:
        path: The file.
        trusted: Names of further types that the caller vouches for.
        trust_all: The caller allows any code in the file.

    Raises:
        UnsafeModelError: It holds types that nobody vouched for.
        IntegrityError: A tree in it points outside itself.
    """
    io = _skops_io()
    asked = set(io.get_untrusted_types(file=path))
    unknown = sorted(asked - REVIEWED.keys() - set(trusted))
    if unknown and not trust_all:
        msg = (
            f"{path.name} holds types that could run code when loaded: {', '.join(unknown)}. If "
            "you know where it comes from, name them with skops_trusted_types=[...], or allow "
            "everything in it with allow_pickle=True."
        )
        raise UnsafeModelError(msg)
    model = io.load(path, trusted=sorted(asked))
    if asked:
        check_trees(model)
    return model


def _skops_io() -> Any:  # noqa: ANN401 - a module without types
    try:
        import skops.io
    except ImportError:
        purpose = "The safe format of scikit-learn models"
        raise MissingExtraError(package="skops", extra="sklearn", purpose=purpose) from None
    return skops.io
