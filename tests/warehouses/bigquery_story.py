"""A story of BigQuery's warehouse, told in an environment that has the emulator; prints JSON.

Run with the ports of the emulator's REST and gRPC servers.
"""

import json
import sys

import google.auth.credentials
import grpc
import pyarrow as pa
from google.api_core.client_options import ClientOptions
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
    BigQueryReadGrpcTransport,
)

from loopline.errors import LooplineError
from loopline.warehouses.bigquery import BigQueryWarehouse


def main(rest: str, rpc: str) -> dict[str, object]:
    """Fill, ask and read a table."""
    client = bigquery.Client(
        project="wagoncab",
        credentials=google.auth.credentials.AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=f"http://127.0.0.1:{rest}"),
    )
    client.create_dataset("taxi", exists_ok=True)
    options = [("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(f"127.0.0.1:{rpc}", options)
    storage = BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
    # The emulator gives tables through the Storage API, and answers of queries by REST alone.
    direct = BigQueryWarehouse("bigquery://wagoncab/taxi", client=client, storage=storage)
    taxi = BigQueryWarehouse("bigquery://wagoncab/taxi", client=client, storage=False)

    trips = pa.table({"number": range(2_500), "fare": [n % 50 + 2.5 for n in range(2_500)]})
    told: dict[str, object] = {"appended": taxi.append("trips", trips)}
    told["again"] = taxi.append("trips", trips.slice(0, 500))
    told["tables"], told["schema"] = taxi.tables(), taxi.schema("trips")
    asked = "SELECT count(*) FILTER (WHERE fare > $f) AS dear, max(fare) AS most FROM trips"
    told["query"] = taxi.query(asked, {"f": 50}).rows()
    batches = list(taxi.read("trips", ["number"], index="number", chunk_size=1_000))
    told["batches"] = [batch.num_rows for batch in batches]
    numbers = pa.Table.from_batches(batches)["number"].to_pylist()
    told["is_ordered"] = numbers == sorted(numbers)
    whole = list(direct.read("trips", ["fare"], chunk_size=2_000))
    told["direct"] = [batch.num_rows for batch in whole]
    told["direct_sum"] = sum(sum(batch["fare"].to_pylist()) for batch in whole)
    for name, act in (
        ("unfit", lambda: taxi.append("trips", {"number": [1], "fare": ["n/a"]})),
        ("missing", lambda: taxi.schema("trip")),
    ):
        try:
            act()
        except LooplineError as error:
            told[name] = str(error)
    told["replaced"] = taxi.replace("trips", trips.slice(0, 10))
    told["after"] = taxi.query("SELECT count(*) AS n FROM trips").rows()
    return told


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
