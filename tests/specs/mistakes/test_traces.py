import pytest

from snapmerge_specs import FINDINGS, Finding, finding_trace
from snapmerge_specs.mistakes.traces import findings_folder


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda one: one.name)
def test_each_finding_has_a_trace(finding: Finding) -> None:
    assert finding_trace(finding.name)


def test_no_two_findings_have_one_name() -> None:
    names = [path.stem for path in findings_folder().rglob("*.trace")]
    assert sorted(names) == sorted(set(names))


def test_a_finding_that_there_is_not_is_named() -> None:
    with pytest.raises(LookupError, match="no finding has the name nothing"):
        finding_trace("nothing")
