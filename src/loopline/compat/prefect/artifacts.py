"""``prefect.artifacts``, its names without the last word."""

from loopline.flows.artifacts import create_link_artifact as create_link
from loopline.flows.artifacts import create_markdown_artifact as create_markdown
from loopline.flows.artifacts import delete_artifact
from loopline.flows.artifacts import update_link_artifact as update_link
from loopline.flows.artifacts import update_markdown_artifact as update_markdown

__all__ = ["create_link", "create_markdown", "delete_artifact", "update_link", "update_markdown"]
