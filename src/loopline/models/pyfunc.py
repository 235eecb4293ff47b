"""Models of every flavor behind one ``predict`` that checks the signature first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.errors import InvalidInputError
from loopline.models.enforce import enforce_params, enforce_schema
from loopline.models.fetch import fetch_folder
from loopline.models.load import find_flavor
from loopline.models.mlmodel import read_mlmodel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopline.models.mlmodel import MLModel
    from loopline.models.schema import Signature

__all__ = ["PyFuncModel", "load_model"]


class PyFuncModel:
    """A loaded model that only needs data.

    Attributes:
        metadata: Its MLmodel file.
        native: The object that was logged.
    """

    def __init__(self, native: Any, metadata: MLModel, predict: Callable[..., Any]) -> None:  # noqa: ANN401 - any model
        self.native = native
        self.metadata = metadata
        self._predict = predict

    @property
    def signature(self) -> Signature | None:
        """What the model takes and gives, if that was logged."""
        return self.metadata.signature

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - any kind of data
        """Ask the model.

        Args:
            data: A DataFrame, an array, a dict of columns or of arrays, or a list of dicts.
            params: Parameters of the model's own ``predict`` that its signature names.

        Returns:
            What the model gives, usually an array with one row for each row of ``data``.

        Raises:
            InvalidInputError: The data do not fit the signature; the message names the column.
        """
        return self.predict_checked(*self._checked(data, params))

    def predict_checked(self, data: Any, options: dict[str, Any]) -> Any:  # noqa: ANN401 - any kind of data
        """Ask the model without looking at the signature.

        Args:
            data: As ``enforce_schema`` gives them.
            options: As ``enforce_params`` gives them.
        """
        return self._predict(data, **options)

    def _checked(
        self,
        data: Any,  # noqa: ANN401 - any kind of data
        params: dict[str, Any] | None,
    ) -> tuple[Any, dict[str, Any]]:
        """Bring data and parameters into the form that the signature asks for."""
        signature = self.signature
        if params and (signature is None or not signature.params):
            msg = (
                f"The model takes no parameters, and {', '.join(params)} was given. Log it with "
                "signature=infer_signature(..., params={...}) to allow them."
            )
            raise InvalidInputError(msg)
        if signature is None:
            return data, {}
        options = enforce_params(params, signature.params)
        if signature.inputs is not None:
            data = enforce_schema(data, signature.inputs)
        return data, options

    def __repr__(self) -> str:
        return f"<PyFuncModel {type(self.native).__name__} {self.metadata.model_uuid}>"


def load_model(model_uri: str | Path, *, allow_pickle: bool = False) -> PyFuncModel:
    """Load a model of any flavor for scoring.

    Args:
        model_uri: ``models:/name/3``, ``models:/name/Production``, ``models:/name@alias``,
            ``runs:/<run id>/model``, or the path of a folder.
        allow_pickle: Allow code from the file to run, where its format needs that.

    Raises:
        NotFoundError: There is no such model.
        IntegrityError: A file of it is not the one that was logged.
        UnsafeModelError: Loading would run code from the file, and nobody allowed that.
        UnsupportedError: Loopline cannot load any of its flavors.
    """
    folder = fetch_folder(model_uri)
    model = read_mlmodel(folder)
    flavor = find_flavor(model)
    native = flavor.load_folder(folder, model, allow_pickle=allow_pickle)
    return PyFuncModel(native, model, flavor.predictor(native, model))
