"""Serves the champion as an endpoint that follows the alias, and waits until it answers with
the registered version.
"""

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from client import RequestError, connect  # noqa: E402
from project import ENDPOINT, MODEL, hand_over, taken_from  # noqa: E402

CONFLICT = 5  # exit status of the command line: the endpoint is already there
WAIT_SECONDS = 60


def wait_for(platform, version: int) -> dict:
    """The endpoint's metadata as soon as it answers with that version."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            served = platform.get(f"/v2/models/{ENDPOINT}")
            state = f"it serves version {', '.join(served['versions'])}"
            if str(version) in served["versions"]:
                return served
        except RequestError as error:
            state = str(error)
        if time.monotonic() > deadline:
            raise SystemExit(
                f"after {WAIT_SECONDS} s the endpoint lacks version {version}: {state}"
            )
        time.sleep(0.2)


def main() -> None:
    registered = taken_from("register")
    command = [
        "strata",
        "endpoint",
        "create",
        ENDPOINT,
        "--model",
        f"models:/{MODEL}@champion",
        "--wait",
    ]
    created = subprocess.run(command, capture_output=True, text=True)
    if created.returncode not in (0, CONFLICT):
        raise SystemExit(
            f"{' '.join(command)} failed ({created.returncode}): {created.stderr.strip()}"
        )
    platform = connect()
    served = wait_for(platform, registered["version"])
    hand_over(
        "deploy",
        {"endpoint": ENDPOINT, "url": f"{platform.url}/v2/models/{ENDPOINT}", "metadata": served},
    )
    print(
        f"  serving    {platform.url}/v2/models/{ENDPOINT}/infer, version {registered['version']}"
    )


if __name__ == "__main__":
    main()
