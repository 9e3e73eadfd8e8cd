"""Runs in the peers' environment: a HyperQueue server and worker, and one job for each line that
arrives. Arguments: folder, tasks, cores. Answers each with a line of the mark and the seconds from
submission to the end; other lines are HyperQueue's own."""

import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

MARK = "took"


def main(folder: str, tasks: int, cores: int) -> None:
    with LocalCluster(folder, WorkerConfig(cores=cores)) as cluster:
        client = cluster.client()
        for _ in sys.stdin:
            job = Job(default_workdir=folder)
            for _ in range(tasks):
                job.program(["true"])
            began = time.monotonic()
            client.wait_for_jobs([client.submit(job)])
            print(MARK, time.monotonic() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
