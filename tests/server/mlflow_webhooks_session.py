"""What a user of MLflow 3 does with webhooks; prints what it saw as JSON."""

import json
import sys

import mlflow
from mlflow import MlflowClient

url, receiver = sys.argv[1:]
mlflow.set_tracking_uri(url)
client = MlflowClient()
events = [
    "registered_model.created", "model_version.created", "model_version_tag.set",
    "model_version_tag.deleted", "model_version_alias.created", "model_version_alias.deleted",
]  # fmt: skip
made = client.create_webhook(
    name="ci",
    url=receiver,
    events=events,
    secret="hush",  # noqa: S106 - made up
    description="the build",
)
tested = client.test_webhook(made.webhook_id)
broken = client.create_webhook(name="broken", url=receiver + "/500", events=events[:1])
failed = client.test_webhook(broken.webhook_id, event="registered_model.created")
client.create_registered_model("fare", tags={"city": "New York"}, description="taxis")
run = client.create_run("0")
client.log_dict(run.info.run_id, {"flavors": {}}, "model/MLmodel")
client.create_model_version(
    "fare", f"{run.info.artifact_uri}/model", run.info.run_id, tags={"a": "b"}, description="first"
)
client.set_model_version_tag("fare", "1", "k", "v")
client.delete_model_version_tag("fare", "1", "k")
client.set_registered_model_alias("fare", "champion", 1)
client.delete_registered_model_alias("fare", "champion")
updated = client.update_webhook(broken.webhook_id, name="broken-2", status="DISABLED")
listed = [webhook.name for webhook in client.list_webhooks(max_results=1)]
every = [webhook.name for webhook in client.list_webhooks()]
client.delete_webhook(broken.webhook_id)
try:
    client.get_webhook(broken.webhook_id)
    gone = ""
except mlflow.MlflowException as error:
    gone = error.error_code
print(
    json.dumps(
        {
            "run_id": run.info.run_id,
            "made": [made.name, made.description, str(made.status), made.secret],
            "events": sorted(str(event) for event in made.events),
            "tested": [tested.success, tested.response_status],
            "failed": [failed.success, failed.response_status],
            "updated": [updated.name, str(updated.status)],
            "listed": listed,
            "every": every,
            "gone": gone,
        }
    )
)
