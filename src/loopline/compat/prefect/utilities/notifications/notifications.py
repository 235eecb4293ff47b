"""``prefect.utilities.notifications.notifications``: with and without a call to choose options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.compat.prefect.refusals import refusing
from loopline.flows import notifications as ours
from loopline.flows.running.handlers import callback_factory
from loopline.flows.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["callback_factory", "gmail_notifier", "slack_notifier"]

__getattr__ = refusing(__name__)


def _either(make: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Be a state handler when called with an object and two states, or make one."""
    if len(args) == 3 and isinstance(args[2], State):  # noqa: PLR2004 - object, old and new state
        return make(**options)(*args)
    for name in ("tracked_obj", "old_state", "new_state", "backend_info", "proxies"):
        options.pop(name, None)
    return make(*args, **options)


def slack_notifier(*args: Any, **options: Any) -> Any:
    """Post to Slack at changes of state: a state handler itself, or called to make one.

    ``state_handlers=[slack_notifier]`` tells of all; ``slack_notifier(only_states=[Failed])`` of
    some. See ``loopline.flows.notifications.slack_notifier``.
    """
    return _either(ours.slack_notifier, args, options)


def gmail_notifier(*args: Any, **options: Any) -> Any:
    """Mail at changes of state: a state handler itself, or called to make one."""
    return _either(ours.gmail_notifier, args, options)
