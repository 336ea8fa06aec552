"""Reads the hub in a process of its own, since huggingface_hub reads its environment when imported.

Standard input: one JSON value a line. A list [dataset, subset index, split, changes of the spec's fields, changes of the subset's
fields] reads a split through `HubSource`; the answer is {"rows", "files", "revision"} or {"error": class, "message"}. A mapping
{"cme": arguments, "in": folder} runs a command there; the answer is {"exit", "stdout", "stderr", "slept": seconds}.
"""

import dataclasses
import json
import os
import sys
import time

# The clients wait between attempts, half a minute in all. Their patience is not what is tested.
slept: list[float] = []
time.sleep = slept.append

from typer.testing import CliRunner  # noqa: E402

from cme.cli.main import app  # noqa: E402
from cme.data.sources import Source, open_source  # noqa: E402
from cme.suite import dataset  # noqa: E402


def read(source: Source, name: str, number: int, split: str, of_spec: dict, of_subset: dict) -> dict:
    spec = dataclasses.replace(dataset(name), **of_spec)
    subset = dataclasses.replace(spec.subsets[number], **of_subset)
    try:
        files = [str(file) for file in source.files(spec, subset, split)]
        return {"rows": source.table(spec, subset, split).to_pylist(), "files": files, **source.provenance(spec)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}


def run(request: dict) -> dict:
    os.chdir(request["in"])
    slept.clear()
    done = CliRunner().invoke(app, request["cme"])
    return {"exit": done.exit_code, "stdout": done.stdout, "stderr": done.stderr, "slept": list(slept)}


def main() -> None:
    source = open_source("hub")
    # Whatever a library prints must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        answer = run(request) if isinstance(request, dict) else read(source, *request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
