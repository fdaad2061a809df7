"""Declared dependencies: the lowest versions are those that the check installs, and licences are listed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = [
    Requirement(text)
    for text in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
]
LOWEST = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / ".ci/lowest.txt").read_text(), re.MULTILINE)
}
LICENCES = dict(re.findall(r"^\| (\S+) \| (.+) \|$", (ROOT / "LICENCES.md").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_lower_bounds_are_the_versions_that_are_tested(requirement):
    bounds = [Version(one.version) for one in requirement.specifier if one.operator == ">="]
    assert [LOWEST[canonicalize_name(requirement.name)]] == bounds


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_licences_of_direct_dependencies_are_listed(requirement):
    assert LICENCES[canonicalize_name(requirement.name)] != "not stated"


def test_security_shows_the_faults_as_they_were_injected() -> None:
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    told = re.findall(r"```text\n(kill -9 .*?)```", page, re.DOTALL)
    assert told
    assert all(re.search(r"injected +\d+ kills", block) for block in told)
    lost = re.findall(r"lost +(\d+)", told[0])
    assert len(lost) >= 2 and set(lost) == {"0"}
