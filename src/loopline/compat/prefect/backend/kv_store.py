"""``prefect.backend.kv_store``."""

from loopline.flows.kv_store import delete_key, get_key_value, list_keys, set_key_value

__all__ = ["delete_key", "get_key_value", "list_keys", "set_key_value"]
