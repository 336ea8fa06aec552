"""Reads splits through `HubSource` in a process of its own, since huggingface_hub reads its environment when imported.

Standard input: a JSON list of [dataset, part index, split, changes of the spec's fields, changes of the part's fields].
Standard output: a JSON list, for each of them either {"rows", "revision"} or {"error": class, "message"}.
"""

import dataclasses
import json
import sys
import time

# The clients wait between attempts, half a minute in all. Their patience is not what is tested.
time.sleep = lambda seconds: None

from cme.data.sources import open_source  # noqa: E402
from cme.suite import dataset  # noqa: E402


def main() -> None:
    source = open_source("hub")
    answers = []
    for name, number, split, of_spec, of_part in json.load(sys.stdin):
        spec = dataclasses.replace(dataset(name), **of_spec)
        part = dataclasses.replace(spec.parts[number], **of_part)
        try:
            rows = source.table(spec, part, split).to_pylist()
            answers.append({"rows": rows, **source.provenance(spec)})
        except Exception as error:
            answers.append({"error": type(error).__name__, "message": str(error)})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
