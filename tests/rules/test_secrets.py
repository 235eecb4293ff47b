"""Secrets are told by name, by shape and by look; words, paths and hashes are let be."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.rules.secrets import is_secret, is_secret_file, is_secret_name, looks_random
from loopline.rules.secrets import secrets_in as known_secrets


@pytest.mark.parametrize(
    "name",
    [
        *("TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "db.password", "apiKey", "API-KEY", "key"),
        *("clientSecret", "SSHPASS_PASSWD", "--api-key", "pwd", "GITHUB_PAT", "MY_SERVICE_KEY_2"),
        *("Authorization", "session_cookie", "DB_DSN", "credentials", "authtoken", "dbPassword"),
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "tokenizer",
            "token_type_ids",
            "sort_key",
            "primary-key",
            "monkey",
            "keyword",
            "keys_seen",
        ),
        *(
            "model",
            "batch_size",
            "oov_token",
            "pad_token",
            "compass",
            "author",
            "public_key",
            "tokenize",
            "passenger_count",
        ),
    ],
)
def test_names_that_only_resemble_them_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_a_count_of_tokens_is_no_secret_and_a_numeric_password_is() -> None:
    assert not is_secret("max_tokens", "512")
    assert not is_secret("pad_to_max_tokens", "False")
    assert is_secret("password", "123456")


@given(seed=st.integers(0, 2**32), bytes_=st.integers(20, 60))
def test_what_is_drawn_by_lot_looks_so(seed: int, bytes_: int) -> None:
    drawn = random.Random(seed).randbytes(bytes_)  # noqa: S311 - a test's chance
    assert looks_random(drawn.hex())
    text = base64.urlsafe_b64encode(drawn).decode()
    # Digits may be missing by chance, and then it could be a word.
    assert looks_random(text) or not any(map(str.isdigit, text))


@pytest.mark.parametrize(
    "text",
    [
        *("data/green_tripdata_2022-01.parquet", "ColumnTransformerWithImputer", "a" * 64),
        *("ix_ll_model_version_file_sha256", "2026-11-24T03:25:03", "wagoncab-taxifare-night-run"),
        *(
            "keras==3.15.1",
            "projects/le-wagon-ds/locations/europe-west1",
            "0" * 40,
            "batch_size_256",
        ),
    ],
)
def test_words_paths_and_times_do_not(text: str) -> None:
    assert not looks_random(text)


def test_a_hash_under_the_name_of_one_is_kept() -> None:
    commit = "3f2a0c0d9b8a7f6e5d4c3b2a1908f7e6d5c4b3a2"
    assert not is_secret("commit", commit)
    assert not is_secret("--run-id", commit[:32])
    assert is_secret("x", commit)


def test_the_secrets_of_a_process_are_the_values_of_variables_named_so() -> None:
    found = known_secrets(
        {
            "HF_TOKEN": "a-long-value",
            "PWD": "/home/ada/taxifare",
            "PASSWORD": "short",
            "DATABASE_URL": "postgresql://ada:hunter2hunter2@db/loopline",
            "MAX_TOKENS": "4096",
            "REMOTE": "ssh://git@github.com/x",
        }
    )
    assert found == {"a-long-value", "ada:hunter2hunter2", "hunter2hunter2"}


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        *((".env", True), ("app/.env.production", True), ("keys/server.pem", True)),
        *(("gcp-credentials.json", True), ("id_rsa", True), ("conf/secrets.yaml", True)),
        *((".env.example", False), ("taxifare/secrets.py", False), ("environment.yml", False)),
    ],
)
def test_files_made_for_secrets_are_known_by_name(path: str, *, is_one: bool) -> None:
    assert is_secret_file(path) is is_one
