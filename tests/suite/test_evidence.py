from cme.suite import datasets
from cme.suite.evidence import EVIDENCE


def test_ten_of_the_22_datasets_have_evidence():
    assert EVIDENCE.keys() <= datasets().keys()
    assert len(EVIDENCE) == 10 and [name for name, source in EVIDENCE.items() if "note" in source] == ["mmlu"]
    assert not {"mnli", "rte", "squad_v2"} & EVIDENCE.keys()
