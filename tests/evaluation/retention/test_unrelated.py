"""wikitext-2 from a loopback hub, and what happens without one."""

import hashlib
import json
import subprocess
import sys

from cme.evaluation.retention.unrelated import find_text
from tests.data.hub_server import REVISION, HubServer, card, client_environment, parquet

ROWS = [{"text": text} for text in ("", " = Mills = \n", "", " A mill grinds corn . \n")]
CONFIG = "wikitext-2-raw-v1"
FILES = {
    f"{CONFIG}/test-00000-of-00001.parquet": parquet(ROWS),
    f"{CONFIG}/train-00000-of-00001.parquet": parquet([{"text": "not asked for"}]),
    "README.md": card({CONFIG: {name: f"{CONFIG}/{name}-*.parquet" for name in ("test", "train")}}),
}

_SCRIPT = """
import json
from cme.evaluation.retention.unrelated import find_text
text, remark = find_text(None, "hub")
print(json.dumps([text and [text.name, text.content, text.sha256], remark]))
"""


def ask(endpoint, home):
    environment = client_environment(endpoint, home, CME_LOCK=str(home / "cme.lock"))
    made = subprocess.run([sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True)
    return json.loads(made.stdout)


def test_wikitext_comes_from_the_hub(tmp_path):
    with HubServer({"Salesforce/wikitext": FILES}) as hub:
        text, remark = ask(hub.endpoint, tmp_path)
        fetched = [path for _, path in hub.log if "parquet" in path]
    content = " = Mills = \n A mill grinds corn . \n"
    assert text == [
        f"Salesforce/wikitext/{CONFIG}/test@{REVISION[:12]}",
        content,
        hashlib.sha256(content.encode()).hexdigest(),
    ]
    assert remark == "" and not any("train" in path for path in fetched if "resolve" in path)


def test_without_a_hub_there_is_a_remark(tmp_path):
    with HubServer({}) as hub:
        endpoint = hub.endpoint
        missing, remark = ask(endpoint, tmp_path)
    assert missing is None and "wikitext-2 could not be read" in remark and "Salesforce/wikitext" in remark
    gone, remark = ask(endpoint, tmp_path)
    assert gone is None and "could not be" in remark and "\n" not in remark


def test_other_sources_ask_no_hub():
    text, remark = find_text(None, "mini")
    assert text is None and "the source mini has none" in remark


def test_the_remark_names_a_mirror_and_not_its_folder(tmp_path):
    from cme.data.sources import open_source

    (tmp_path / "rte").mkdir()
    for given in (f"mine={tmp_path}", str(tmp_path)):
        name = open_source(given).name
        text, remark = find_text(None, given)
        assert text is None and f"the source {name} has none" in remark and str(tmp_path.parent) not in remark
