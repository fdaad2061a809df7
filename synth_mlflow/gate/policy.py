"""The validation policy: which checks a batch must pass, with which thresholds, and what people accepted beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from synth_mlflow.checks import Check
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.statement import Statement
from synth_mlflow.data.task import SCORED
from synth_mlflow.errors import StatementError, SynthError, closest
from synth_mlflow.plugins import BUILT_IN, find, installed

ALWAYS = ("contamination", "fidelity", "utility")
LOWER_IS_LOOSER = frozenset(
    {"alpha", "clean_share", "gain_share", "part_gain_share", "detectable_share", "agreement_kappa"}
)
FALSE_ALARM_RATE = 0.005  # of a check whose thresholds name no `alpha`


@dataclass(frozen=True)
class Policy:
    """What is asked of every batch of a project."""

    required: tuple[str, ...]
    thresholds: Mapping[str, Mapping[str, float]]
    """Check name to its complete thresholds."""
    accepted: Mapping[str, str]
    """Check name to the reason why an inconclusive verdict of it is accepted."""
    benchmarks: tuple[str, ...] = ()
    """Files whose texts no batch may hold."""
    tokenizer: str = ""
    """``module:callable`` that tokenizes texts; empty for the built-in one."""

    def to_json(self) -> dict[str, Any]:
        """As JSON values; what texts alone need is left out where it is not said."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if value or name not in ("benchmarks", "tokenizer")}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Policy:
        """Read back what `to_json` wrote."""
        files = tuple(fields.get("benchmarks", ()))
        return cls(
            tuple(fields["required"]), fields["thresholds"], fields["accepted"], files, fields.get("tokenizer", "")
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the policy."""
        return json_digest(self.to_json())

    def alpha(self, check: str) -> float:
        """The false-alarm rate that one check may spend on all its probes together."""
        return self.thresholds[check].get("alpha", FALSE_ALARM_RATE)


def load_check(name: str) -> Check:
    """An installed check by its name."""
    check: Check = find("checks", name).load()
    return check


def declared_check(name: str) -> Any:
    """What an installed check says of itself: version, defaults, and whether they may be loosened."""
    return find("checks", name).declared()


def looser_than_default(policy: Policy) -> tuple[str, ...]:
    """In which points a policy lets more through than the default, in words; empty if it does not.

    Only thresholds of built-in checks are compared: of others nobody here knows which direction is the looser one.
    """
    words = []
    for check in policy.required:
        if find("checks", check).origin != BUILT_IN:
            continue
        defaults = declared_check(check).defaults
        for name, value in sorted(policy.thresholds[check].items()):
            is_looser = _lets_more_through(check, name, value, defaults[name])
            words += [f"{check} {name} {value:g} (default {defaults[name]:g})"] if is_looser else []
    return (*words, *(f"{check} may be inconclusive" for check in policy.accepted))


def reads_ratings(name: str) -> bool:
    """Whether an installed check looks at answers to blind sheets, and at no row; False where none is installed."""
    try:
        return bool(getattr(declared_check(name), "reads_ratings", False))
    except SynthError:
        return False


def check_version(name: str) -> str:
    """The version of an installed check; verdicts count for no other."""
    return str(declared_check(name).version)


def counts_here(name: str, version: str) -> bool:
    """Whether a verdict of that version of a check counts: that of the installed one, or any where none is installed.

    What is not installed here opens no gate, since no policy that asks for it can be read; its recorded verdicts are
    shown all the same.
    """
    try:
        return check_version(name) == version
    except SynthError:
        return True


def policy_of(statement: Statement) -> Policy:
    """The policy that a statement asks for.

    Raises
    ------
    StatementError
        If ``validation`` names checks or thresholds that do not exist, or values that make no sense.
    """
    rules = dict(statement.facts.validation)
    accepted = _accepted(rules.pop("accept_inconclusive", {}))
    extra = _names(rules.pop("required", []))
    always = [name for name in ALWAYS if name != "utility" or statement.facts.task != SCORED]
    required = [*always, *(["privacy"] if statement.privacy_matters else [])]
    required += [name for name in extra if name not in required]
    known = installed("checks")
    for name in {*extra, *accepted, *rules}:
        if name not in known:
            options = [*known, "required", "accept_inconclusive"]
            raise StatementError(f"`validation` names {name!r}, which is no check. {closest(name, options)}")
    idle = [name for name in rules if name not in required]
    if idle:
        raise StatementError(
            f"`validation.{idle[0]}` sets thresholds of a check that no batch has to pass here.",
            f"Add it, `required: [{idle[0]}]`, or take its thresholds out.",
        )
    _refuse_doubt(accepted)
    thresholds = {name: _thresholds(name, rules.get(name, {})) for name in required}
    facts = statement.facts
    return Policy(tuple(required), thresholds, accepted, tuple(facts.benchmarks), facts.tokenizer or "")


def _refuse_doubt(accepted: Mapping[str, str]) -> None:
    """A StatementError where people would let evaluation rows into training because nobody could tell."""
    for name in accepted:
        if getattr(declared_check(name), "always_decides", False):
            raise StatementError(
                f"`validation.accept_inconclusive` names {name!r}: without its verdict no score of the project holds.",
                f"Take {name} out of `accept_inconclusive`, and make batches large enough for it.",
            )


def _refuse_looser(check: str, key: str, value: float, default: float) -> None:
    """A StatementError where a threshold lets more through than the default, of a check that forbids it."""
    stricter = _stricter(check).get(key)
    if stricter is not None and _lets_more_through(check, key, value, default):
        raise StatementError(
            f"`validation.{check}.{key}` is {value:g}; thresholds of this check can be tightened only, and the default "
            f"is {default:g}.",
            f"Give a {stricter} value, or leave it out.",
        )


def _lets_more_through(check: str, key: str, value: float, default: float) -> bool:
    stricter = _stricter(check).get(key, "higher" if key in LOWER_IS_LOOSER else "lower")
    return value > default if stricter == "lower" else value < default


def _stricter(check: str) -> Mapping[str, str]:
    """The thresholds that a check lets people tighten only, each with the direction that is the stricter one."""
    stricter: Mapping[str, str] = getattr(declared_check(check), "stricter", {})
    return stricter


def _accepted(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(why, str) and why.strip() for why in value.values()):
        raise StatementError('`validation.accept_inconclusive` needs a reason for each check: `{privacy: "why"}`.')
    return {str(name): why.strip() for name, why in value.items()}


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise StatementError(f"`validation.required` needs a list of checks, found {value!r}.")
    return value


def _thresholds(name: str, overrides: Any) -> dict[str, float]:
    defaults = dict(declared_check(name).defaults)
    all_shares = find("checks", name).origin == BUILT_IN  # and rates, AUCs, distances from 0 to 1
    if not isinstance(overrides, dict):
        raise StatementError(f"`validation.{name}` needs `threshold: number` pairs, found {overrides!r}.")
    for key, value in overrides.items():
        if key not in defaults:
            raise StatementError(f"`validation.{name}` has no threshold {key!r}. {closest(str(key), defaults)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise StatementError(f"`validation.{name}.{key}` needs a number, found {value!r}.")
        if key == "alpha" and not 0 < value < 0.5:
            raise StatementError(f"`validation.{name}.alpha` needs a rate between 0 and 0.5, found {value!r}.")
        if all_shares and not 0 <= value <= 1:
            raise StatementError(f"`validation.{name}.{key}` needs a number from 0 to 1, found {value!r}.")
        if key == "detectable_share" and value == 1:
            raise StatementError(f"`validation.{name}.{key}` is 1: nobody can see a batch that has lost nothing.")
        _refuse_looser(name, key, float(value), defaults[key])
    return {**defaults, **{key: float(value) for key, value in overrides.items()}}
