"""Gates and decisions in words, the same on pages, in the shell and in notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.records.policies import Approval, Bound, Gain, Latency, Rollback, Size, Slices

if TYPE_CHECKING:
    from loopline.records.policies import Gate, Policy

__all__ = ["gate_words", "policy_words", "rollback_words"]


def gate_words(gate: Gate, metric: str) -> str:
    """Say what a gate asks for."""
    match gate:
        case Bound():
            limits = [
                f"{word} {limit:.4g}"
                for word, limit in (("at most", gate.at_most), ("at least", gate.at_least))
                if limit is not None
            ]
            return f"{metric} is {' and '.join(limits)}"
        case Gain():
            sure = f"sure at {gate.confidence * 100:.3g} %"
            return f"at least {gate.at_least * 100:.3g} % less error, {sure}"
        case Slices():
            return (
                f"by {gate.by}, nowhere surely worse by more than {gate.at_most_worse * 100:.3g} %"
            )
        case Latency():
            return f"at most {gate.at_most_ms:.3g} ms a row"
        case Size():
            return f"at most {gate.at_most_mb:.3g} MB"
        case Approval():
            return f"{' or '.join(gate.by) or 'a person'} says yes"


def rollback_words(rule: Rollback) -> str:
    """Say when a model goes back by itself."""
    return (
        f"its live error is {rule.at_most_worse * 100:.3g} % above that of the version before it "
        f"for {rule.for_s / 60:.3g} min, on {rule.min_rows:,} rows or more"
    )


def policy_words(policy: Policy) -> list[tuple[str, str]]:
    """Say what a policy is, as pairs of a name and words."""
    gates = [gate_words(gate, policy.metric) for gate in policy.gates]
    worse = policy.retrain_when_worse_by
    pairs = [
        ("Model", policy.model),
        ("Stage", policy.stage),
        ("Metric", policy.metric),
        ("Target", policy.target),
        ("Features", ", ".join(policy.features)),
        ("Feed", policy.feed),
        ("Evaluated on", f"the last {policy.window}"),
        ("Trained on", policy.train_window and f"the {policy.train_window} before"),
        ("Retrained when", "" if worse is None else f"it is worse by {worse * 100:.3g} %"),
        ("Gates", "\n".join(gates) or "none: every challenger takes the place"),
        ("Rolled back when", rollback_words(policy.rollback) if policy.rollback else ""),
        ("Tells", ", ".join(policy.notify)),
    ]
    return [pair for pair in pairs if pair[1]]
