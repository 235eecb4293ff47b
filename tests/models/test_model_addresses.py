"""Addresses of models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.errors import InvalidInputError
from loopline.models.address import (
    FolderAddress,
    LoggedModelAddress,
    RegistryAddress,
    RunAddress,
    parse_model_address,
)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("models:/taxifare_model/3", RegistryAddress("taxifare_model", version=3)),
        (
            "models:/taxifare_model/production",
            RegistryAddress("taxifare_model", stage="Production"),
        ),
        ("models:/taxifare_model/Canary", RegistryAddress("taxifare_model", stage="Canary")),
        ("models:/taxifare_model@champion", RegistryAddress("taxifare_model", alias="champion")),
        ("models:/taxifare_model/latest", RegistryAddress("taxifare_model", latest=True)),
        ("models:/m-0123abcd", LoggedModelAddress("m-0123abcd")),
        ("models:/m-0123abcd/", LoggedModelAddress("m-0123abcd")),
        ("models:/m-fare/3", RegistryAddress("m-fare", version=3)),
        ("models:/m-fare@best", RegistryAddress("m-fare", alias="best")),
        ("runs:/0123abcd/model", RunAddress("0123abcd", "model")),
        ("runs:/0123abcd/models/fare/", RunAddress("0123abcd", "models/fare")),
        ("models/fare", FolderAddress("models/fare")),
        ("file:///data/my%20model", FolderAddress("/data/my model")),
    ],
)
def test_each_form_means_one_thing(uri: str, address: object) -> None:
    assert parse_model_address(uri) == address


@pytest.mark.parametrize(
    "uri",
    [
        "models:/taxifare_model",
        "models:/taxifare_model/Live!",
        "models:/taxifare_model/0",
        "models:/taxifare_model/3/4",
        "models:/@champion",
        "models:/",
        "runs:/0123abcd",
        "s3://bucket/model",
    ],
)
def test_what_is_no_address_is_shown_the_forms(uri: str) -> None:
    with pytest.raises(InvalidInputError, match="models:/NAME/STAGE"):
        parse_model_address(uri)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    for uri in (text, f"models:/{text}", f"runs:/{text}"):
        try:
            parse_model_address(uri)
        except InvalidInputError as error:
            assert "no address of a model" in str(error)  # noqa: PT017 - either is right
