"""Secrets: told by their names, their shapes and their randomness.

What is taken for a secret too easily costs a reader a word; what is not taken for one costs
somebody a password. So names decide generously.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PRIVATE_KEY",
    "SHAPES",
    "SSH",
    "URL_USER",
    "is_number",
    "is_secret",
    "is_secret_file",
    "is_secret_name",
    "is_weak_name",
    "looks_random",
    "secrets_in",
]

#: A value shorter than this, though named a secret, is not looked for elsewhere: hiding every
#: "test" would say nothing and hide much.
_SHORTEST_KNOWN = 6
#: Letters and digits below which nothing is a secret.
_SHORTEST = 3

# --- names ---

#: Enough anywhere in a name, written together: "dbPassword", "MY_API_KEY_2", "clientsecret".
_STRONG = re.compile(
    "passw|passphrase|passcode|secret|credential|apikey|accesskey|privatekey|authkey|signingkey|"
    "encryptionkey|masterkey|sharedkey|accountkey|accesstoken|refreshtoken|authtoken|apitoken|"
    "idtoken|bearer|connectionstring|connstr|webhookurl|cookie|authorization"
)
#: Enough as the last word of a name: "HF_TOKEN", "session-key", "db.pwd".
_LAST = frozenset(
    ("auth", "cred", "creds", "dsn", "key", "otp", "pass", "passwd", "pat", "pw", "pwd", "sas")
)
#: Before "key" these make a word of databases and sorting.
_HARMLESS_KEYS = frozenset(
    (
        *("cache", "column", "dict", "foreign", "group", "index", "join", "metric", "order"),
        *("param", "partition", "primary", "public", "row", "sort", "tag"),
    )
)
#: Before "token" these make a word of texts and pages.
_HARMLESS_TOKENS = frozenset(
    (
        *("bos", "cls", "end", "eos", "mask", "next", "oov", "pad", "page", "sep", "special"),
        *("start", "stop", "unk"),
    )
)
#: A random value under such a name is an identity, not a secret.
_IDENTITY = re.compile(
    "sha|md5|hash|digest|checksum|commit|revision|etag|uuid|guid|fingerprint|integrity|run[-_]?id|"
    "experiment[-_]?id|version|ref$|rev$"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_FEW_DIGITS = re.compile(r"[+-]?\d{1,7}(?:\.\d+)?\Z")
#: Stands for a value that is put in later, or was taken out already.
_PLACEHOLDER = re.compile(r"\{|\$|%|<|\*{3}|\[redacted|(?:true|false|none|null)\Z", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Tell whether what is called so is a secret: ``HF_TOKEN``, ``db.password``, ``apiKey``."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    if _STRONG.search("".join(words)):
        return True
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    if last in {"key", "keys"} and before in _HARMLESS_KEYS:
        return False
    if last in {"token", "tokens"} and before in _HARMLESS_TOKENS:
        return False
    return last in _LAST or last.endswith(("token", "tokens"))


def is_weak_name(name: str) -> bool:
    """Tell whether a secret's name is one that harmless things have too, such as ``key``."""
    return not _STRONG.search("".join(_WORD.findall(name)).lower())


def is_number(value: str) -> bool:
    """Tell whether a value is a short number, as of ``--max-tokens 512``."""
    return _FEW_DIGITS.match(value) is not None


def is_secret(name: str, value: str) -> bool:
    """Tell whether a value under a name (empty: none) is to be hidden."""
    if sum(map(str.isalnum, value)) < _SHORTEST or _PLACEHOLDER.match(value):
        return False
    if is_secret_name(name):
        return not (is_weak_name(name) and is_number(value))  # max_tokens=512
    return looks_random(value) and not _IDENTITY.search(name.lower())


# --- randomness ---

_HEX = re.compile(r"[0-9a-fA-F]{32,}\Z")
_TOKEN = re.compile(r"[A-Za-z0-9+/=_~\-]{20,}\Z")


def looks_random(text: str) -> bool:
    """Tell whether a text looks drawn by lot: long, mixed, and with no words in it.

    Two measures must agree: Shannon entropy of its characters, and how often small letters,
    capitals, digits and signs follow one another, which in words and paths is seldom.
    """
    if _HEX.match(text):
        return _entropy(text) > 3.0  # noqa: PLR2004 - of at most 4 bits a hex digit
    if not _TOKEN.match(text) or not any(map(str.isdigit, text)):
        return False
    kinds = [_kind(character) for character in text if character.isalnum()]
    changes = sum(before != after for before, after in pairwise(kinds))
    return _entropy(text) > 3.5 and changes > 0.25 * len(kinds)  # noqa: PLR2004 - tried out


def _kind(character: str) -> int:
    if character.isdigit():
        return 0
    return 1 if character.isupper() else 2


def _entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


# --- shapes ---

#: Tokens that tell what they are by their look.
SHAPES = re.compile(
    r"""
    \b(?:AKIA|ASIA|AGPA|AROA|AIDA|ANPA)[0-9A-Z]{16}\b        # AWS access key ids
  | \bgh[oprsu]_[0-9A-Za-z]{20,} | \bgithub_pat_\w{20,}      # GitHub
  | \bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas)-[\w.\-]{16,}  # GitLab
  | \bxox[a-z]-[\w\-]{8,} | \bxapp-[\w\-]{8,}                # Slack
  | \bhooks\.slack\.com/services/[\w/]+
  | \beyJ[\w\-]{5,}\.[\w\-]{5,}(?:\.[\w\-]*)*                # JSON web tokens
  | \bhf_[0-9A-Za-z]{16,} | \bapi_org_[0-9A-Za-z]{16,}       # Hugging Face
  | \bsk-[\w\-]{16,}                                         # OpenAI and those alike
  | \b(?:sk|rk|pk)_(?:live|test)_\w{10,} | \bwhsec_\w{16,}   # Stripe
  | \bAIza[\w\-]{30,} | \bya29\.[\w\-.]{16,}                 # Google
  | \bGOCSPX-[\w\-]{20,}
  | \bnpm_[0-9A-Za-z]{30,} | \bpypi-[\w\-]{40,}              # Package registries
  | \bSG\.[\w\-]{16,}\.[\w\-]{16,}                           # SendGrid
  | \bdapi[0-9a-f]{32} | \bdop_v1_[0-9a-f]{32,}              # Databricks, DigitalOcean
  | \bAGE-SECRET-KEY-1[0-9A-Z]{20,}
  | \bloopline_[\w\-]{40,}                                  # Our own
  | (?<=AccountKey=)[^;"'\s]+ | (?<=SharedAccessKey=)[^;"'\s]+  # Azure
  | (?i:(?<=[?&;]sig=)|(?<=[?&;]signature=)|(?<=-signature=)|(?<=-security-token=))
    [^&;\s"'<>\#]{8,}                                        # Addresses that open by themselves
  | (?i:(?<=\bbearer\ )|(?<=\bbasic\ ))[\w.~+/=\-]{8,}
    """,
    re.VERBOSE,
)
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
#: User and password in a URL; the last @ before the path counts.
URL_USER = re.compile(r"(?P<scheme>\b[A-Za-z][\w+.\-]*://)(?P<user>[^\s/@\"'<>`]+(?:@[^\s/@]+)*)@")
#: Schemes whose user is an account, not a token.
SSH = re.compile(r"(?:git\+)?ssh://\Z", re.IGNORECASE)

_SECRET_FILES = re.compile(
    r"(?:^|/)(?:\.env(?!\.(?:example|sample|template|dist)$)(?:\..*)?|[^/]*\.env|\.netrc|\.npmrc|"
    r"\.pypirc|\.pgpass|\.git-credentials|\.htpasswd|id_(?:rsa|dsa|ecdsa|ed25519)|"
    r"[^/]*\.(?:pem|key|p12|pfx|jks|keystore|kdbx)|[^/]*credentials?[^/]*\.(?:json|ya?ml|ini|toml)|"
    r"[^/]*secrets?[^/]*\.(?:json|ya?ml|ini|toml)|kubeconfig)$",
    re.IGNORECASE,
)


def is_secret_file(path: str) -> bool:
    """Tell whether a file is made to hold secrets: ``.env``, ``id_rsa``, ``server.pem``."""
    return _SECRET_FILES.search(path) is not None


def secrets_in(variables: Mapping[str, str]) -> set[str]:
    """Pick the values that are secrets out of a process's environment variables."""
    found = set()
    for name, value in variables.items():
        # PWD is a folder; so is whatever else begins with a slash and reads like one.
        is_path = value.startswith(("/", "~/", "./")) and not looks_random(value)
        if is_secret_name(name) and not is_number(value) and not is_path:
            found.add(value)
        for match in URL_USER.finditer(value):
            if not SSH.match(match["scheme"]):
                found |= {match["user"], match["user"].partition(":")[2]}
    return {value for value in found if len(value) >= _SHORTEST_KNOWN}
