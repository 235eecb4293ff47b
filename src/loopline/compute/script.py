"""The start-up script of a machine: install, run one flow run, end the machine whatever happens.

It is plain bash, which Compute Engine runs as ``startup-script`` and cloud-init, on every other
cloud, as user data.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.records.vm import VMRun

__all__ = ["Job", "start_script"]

_SCRIPT = """\
#!/bin/bash
# Runs flow run {flow_run} of Loopline, then ends this machine.
set -u
umask 077
code=1
shutdown -P +{minutes} 'the time of this machine is up' || true
finish() {{
  code=$?
  trap - EXIT
  echo "loopline: ended with code $code"
{delete}
  shutdown -P now || poweroff -f
}}
trap finish EXIT
trap 'exit 143' TERM INT
cd "$(mktemp -d)" || exit 1
export HOME="${{HOME:-/root}}"
{exports}
{before}
{install}
echo "loopline: starting"
"$python" -P -m loopline.cli worker --flow-run {flow_run} --token {token}
"""

_DELETE_ON_GOOGLE = """\
  if [ "$code" = 0 ]; then
    # Deleted by itself where its account may; else it stops, and whoever started it deletes it.
    at="http://${{GCE_METADATA_HOST:-metadata.google.internal}}/computeMetadata/v1/instance"
    token="$(curl -sf -m 5 -H 'Metadata-Flavor: Google' "$at/service-accounts/default/token" \\
      | sed -n 's/.*"access_token" *: *"\\([^"]*\\)".*/\\1/p')"
    zone="$(curl -sf -m 5 -H 'Metadata-Flavor: Google' "$at/zone")"
    if [ -n "$token" ] && [ -n "$zone" ]; then
      curl -sf -m 20 -X DELETE -H "Authorization: Bearer $token" \\
        "${{LOOPLINE_GCE_API:-https://compute.googleapis.com}}/compute/v1/$zone/instances/{name}" \\
        > /dev/null || true
    fi
  fi"""

_INSTALL = """\
if ! python3 -m venv tools; then
  (apt-get update && apt-get install -y python3-venv) || dnf install -y python3-pip \\
    || zypper --non-interactive install python3-pip
  python3 -m venv tools || exit 1
fi
tools/bin/python -m pip install --quiet uv || exit 1
tools/bin/uv venv --quiet --python {version} flow || exit 1
tools/bin/uv pip install --quiet --python flow/bin/python {packages} || exit 1
python="$PWD/flow/bin/python\""""


class Job(NamedTuple):
    """What a machine is for.

    Attributes:
        name: The machine's.
        flow_run_id: What it runs.
        token: Fencing token that it runs under.
        server: Address of the server.
        api_token: API token for it; empty: the server asks for none.
        python: Minor version that the flow was registered from.
        requirements: The packages that it imports, as pip reads them.
        loopline: Version of Loopline that registered it.
    """

    name: str
    flow_run_id: str
    token: int
    server: str
    api_token: str
    python: str
    requirements: Sequence[str]
    loopline: str


def start_script(vm: VMRun, job: Job) -> str:
    """Write the script."""
    exports = {**vm.env, "LOOPLINE_URI": job.server}
    if job.api_token:
        exports["LOOPLINE_TOKEN"] = job.api_token
    return _SCRIPT.format(
        flow_run=shlex.quote(job.flow_run_id),
        token=job.token,
        minutes=max(-(-vm.deadline_s // 60), 1),
        delete=_DELETE_ON_GOOGLE.format(name=job.name) if vm.provider == "gce" else "  :",
        exports="\n".join(f"export {key}={shlex.quote(value)}" for key, value in exports.items()),
        before=vm.before,
        install=_install(vm, job),
    )


def _install(vm: VMRun, job: Job) -> str:
    if vm.install == "nothing":
        return f"python={shlex.quote(vm.python)}"
    wanted = [vm.loopline or (f"loopline=={job.loopline}" if job.loopline else "loopline")]
    wanted += [*job.requirements, *vm.packages]
    return _INSTALL.format(
        version=shlex.quote(job.python or "3"),
        packages=" ".join(map(shlex.quote, wanted)),
    )
