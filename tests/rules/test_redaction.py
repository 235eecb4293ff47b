"""Wherever a secret is written down, it is hidden; what is none stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.rules.redaction import HIDDEN, Redactor

CANARY = "canary-7f"
NAMES = ("API_KEY", "hf_token", "db_password", "clientSecret", "MY_KEY", "aws_secret_access_key")
CODE = (
    '{name} = "{secret}"',
    "{name}: str = '{secret}'",
    'os.environ["{name}"] = "{secret}"',
    'config = {{"{name}": "{secret}", "model": "gbm"}}',
    'os.getenv("{name}", "{secret}")',
    'parser.add_argument("--{name}", default="{secret}")',
    'connect(host="db", {name}="{secret}")',
    "{name} = (\n    '{secret}'\n    'two'\n)",
    '{name} = """\n{secret}\nmore"""',
    'self.{name} = b"{secret}"',
    'if {name} == "{secret}":\n    pass',
    'run("{name}={secret} python train.py")',
    'run("train.py --{name}={secret} -v")',
    "# {name}={secret}",
    'url = "https://host/path?{name}={secret}&page=2"',
    'json = "{{\\"{name}\\": \\"{secret}\\"}}"',
)
CONFIGURATION = (
    "{name}={secret}",
    "export {name}={secret}",
    "{name}: {secret}",
    "  - {name}: {secret}",
    "{name} = {secret} and more",
    '"{name}": "{secret}",',
    "ENV {name} {secret}",
    "%env {name} {secret}",
)
#: Tokens in the shapes of their makers; written in two parts, so that nobody takes them for real.
SHAPES = (
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "github_pat_" + "11ABCDEFG0a1b2c3d4e5f6",
    "glpat-" + "a1b2c3d4e5f6g7h8i9j0",
    "xoxb-" + "1234567890-abcdefGHIJ",
    "https://hooks.slack.com/services/" + "T000/B000/XXXXXXXX",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "sk-proj-" + "abcdefghijklmnopqrstuvwx",
    "sk-ant-api03-" + "abcdefghijklmnopqrstuvwx",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "npm_" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "pypi-" + "AgEIcHlwaS5vcmcCJDU3NzM4abcdefghijklmnopqrstuvwxyz",
    "dapi" + "0123456789abcdef0123456789abcdef",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", CODE)
def test_a_secret_in_source_code_is_hidden(template: str, name: str) -> None:
    text = "import os\n" + template.format(name=name, secret=CANARY) + "\nmodel = 'gbm'\n"
    hidden = Redactor().text(text, is_code=True)
    assert CANARY not in hidden
    assert "model = 'gbm'" in hidden
    assert hidden.count("\n") == text.count("\n")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", CONFIGURATION)
def test_a_secret_in_a_configuration_file_is_hidden(template: str, name: str) -> None:
    text = "model: gbm\n" + template.format(name=name, secret=CANARY) + "\nepochs: 3\n"
    hidden = Redactor().text(text)
    assert CANARY not in hidden
    assert hidden.startswith("model: gbm\n")
    assert hidden.endswith("\nepochs: 3\n")


@pytest.mark.parametrize("token", SHAPES)
@pytest.mark.parametrize("text", ["{}", "log({!r})", "see <{}>.", "x = f'{}'", "a,{},b", "# {}"])
def test_a_token_is_hidden_by_its_shape_alone(text: str, token: str) -> None:
    assert token not in Redactor().text(text.format(token), is_code=True)
    assert token not in Redactor().text(text.format(token))
    assert token not in " ".join(Redactor().arguments(["train.py", text.format(token)]))


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=6, max_size=40),
    around=st.lists(st.text(max_size=30), min_size=2, max_size=2),
)
def test_a_known_secret_is_hidden_wherever_it_stands(secret: str, around: list[str]) -> None:
    redactor = Redactor([secret])
    text = f"{around[0]}{secret}{around[1]}"
    assert secret not in redactor.text(text, is_code=True).replace(HIDDEN, "\n")
    assert all(secret not in word for word in redactor.arguments([text]) if word != HIDDEN)


@given(st.text())
def test_any_text_keeps_its_number_of_lines(text: str) -> None:
    for is_code in (False, True):
        assert Redactor().text(text, is_code=is_code).count("\n") == text.count("\n")


def test_private_keys_are_hidden_whole_also_when_their_end_is_cut_off() -> None:
    begin = "-----BEGIN RSA PRIVATE " + "KEY-----"
    for end in ("\n-----END RSA PRIVATE " + "KEY-----\nmodel = 'gbm'", ""):
        hidden = Redactor().text(f"KEY = '''\n{begin}\nMIIcanary\nAAcanary{end}", is_code=True)
        assert "canary" not in hidden
        assert "gbm" in hidden or not end


def test_a_command_line_keeps_all_but_its_secrets() -> None:
    hidden = Redactor().arguments(
        [
            *("train.py", "--api-key", CANARY, f"--password={CANARY}", "-v", f"db.pwd={CANARY}"),
            *("--tokenizer", "bert-base", "--max-tokens", "512", "--sort-key", "fare_amount"),
            *("--token", f"-{CANARY}", "--use-token", "--epochs", "3", f"+hf_token={CANARY}"),
            *("--header", f"Authorization: Bearer {CANARY}", f'{{"secret": "{CANARY}"}}'),
            *(f"https://ada:{CANARY}@example.org/trips", "data/green_tripdata_2022-01.parquet"),
        ]
    )
    assert CANARY not in " ".join(hidden)
    assert hidden[:3] == ["train.py", "--api-key", HIDDEN]
    assert hidden[6:12] == [
        *("--tokenizer", "bert-base", "--max-tokens", "512", "--sort-key", "fare_amount")
    ]
    assert hidden[14:17] == ["--use-token", "--epochs", "3"]
    assert hidden[-2:] == ["https://example.org/trips", "data/green_tripdata_2022-01.parquet"]


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ada:canary@github.com/x/y.git", "https://github.com/x/y.git"),
        ("https://canary@github.com/x/y.git", "https://github.com/x/y.git"),
        ("ssh://git:canary@host:22/x", "ssh://git@host:22/x"),
        ("git@github.com:x/y.git", "git@github.com:x/y.git"),
        ("postgresql://ada:can@ary@db/loopline", "postgresql://db/loopline"),
    ],
)
def test_a_remote_loses_its_credentials_and_stays_a_remote(url: str, kept: str) -> None:
    assert Redactor().text(url) == kept


def test_ordinary_code_stays_as_it_is() -> None:
    code = '''
def fit(tokenizer, key="rmse", max_tokens=512):
    """Fit; ``key: the metric``, token: how many words."""
    token = read_token(os.environ["HF_TOKEN"])
    password = getpass.getpass()
    frame.sort_values(sort_key, key=lambda column: column.str.lower())
    return {"model": "gbm", "sort_key": "fare_amount", "commit": "3f2a0c0d9b8a7f6e5d4c3b2a1908f7e6"}
'''
    assert Redactor().text(code, is_code=True) == code


def test_a_difference_hides_secrets_by_the_kind_of_each_file() -> None:
    diff = "\n".join(
        [
            *("diff --git a/train.py b/train.py", "--- a/train.py", "+++ b/train.py"),
            *("@@ -1,2 +1,2 @@", f'-API_KEY = "old-{CANARY}"', f'+API_KEY = "{CANARY}"'),
            *("+token = read_token()", "diff --git a/.env b/.env", "--- a/.env", "+++ b/.env"),
            *("@@ -1 +1 @@", f"+X={CANARY}", "diff --git a/conf.yaml b/conf.yaml"),
            *("--- a/conf.yaml", "+++ b/conf.yaml", "@@ -1 +1 @@", f"+  token: {CANARY}", ""),
        ]
    )
    hidden = Redactor().diff(diff)
    assert CANARY not in hidden
    assert f'+API_KEY = "{HIDDEN}"' in hidden
    assert "+token = read_token()" in hidden
    assert f"diff --git a/.env b/.env\n{HIDDEN}" in hidden
    assert f"+  token: {HIDDEN}" in hidden


@pytest.mark.parametrize(
    "address",
    [
        "https://taxi.blob.core.windows.net/trips?sv=2022-11-02&sig={secret}&se=2030",
        "s3://x?X-Amz-Credential=a&X-Amz-Signature={secret}",
        "https://storage/trips.parquet?X-Goog-Signature={secret}&x=1",
    ],
)
def test_an_address_that_opens_by_itself_loses_its_signature(address: str) -> None:
    for secret in ("aZ3%2Bq9%2FxWv8%3D", "0a" * 32, "abcdefgh"):
        shown = Redactor().text(f"read {address.format(secret=secret)} now")
        assert secret not in shown
        assert "?" in shown  # The rest stays.
        assert shown.endswith(" now")
