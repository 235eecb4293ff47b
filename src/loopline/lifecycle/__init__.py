"""Lifecycle: is the model in a stage still good, is a new version better, and then what."""

from __future__ import annotations

from loopline.lifecycle.drift import drift, log_drift
from loopline.lifecycle.live import LiveCheck, check_live
from loopline.lifecycle.loop import Loop, Turn, build_flow
from loopline.lifecycle.notify import notify
from loopline.lifecycle.policies import delete_policy, get_policy, list_policies, set_policy
from loopline.lifecycle.promotion import (
    approve,
    get_decision,
    list_decisions,
    promote,
    refuse,
    roll_back,
)
from loopline.lifecycle.scoring import Evaluation, compare, evaluate
from loopline.records.decisions import Comparison, Decision, KeptDecision
from loopline.records.drift import DriftReport
from loopline.records.policies import (
    Approval,
    Bound,
    Gain,
    Latency,
    Policy,
    Rollback,
    Size,
    Slices,
)
from loopline.rules.drift import Thresholds
from loopline.rules.gates import decide_nothing

__all__ = [
    "Approval",
    "Bound",
    "Comparison",
    "Decision",
    "DriftReport",
    "Evaluation",
    "Gain",
    "KeptDecision",
    "Latency",
    "LiveCheck",
    "Loop",
    "Policy",
    "Rollback",
    "Size",
    "Slices",
    "Thresholds",
    "Turn",
    "approve",
    "build_flow",
    "check_live",
    "compare",
    "decide_nothing",
    "delete_policy",
    "drift",
    "evaluate",
    "get_decision",
    "get_policy",
    "list_decisions",
    "list_policies",
    "log_drift",
    "notify",
    "promote",
    "refuse",
    "roll_back",
    "set_policy",
]
