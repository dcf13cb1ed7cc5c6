"""Operators that pick the best of several scores for every token, as routers do."""

from __future__ import annotations

from typing import NamedTuple

from torchstat_cli.records import OpRecord, Recording


class Pick(NamedTuple):
    """An operator that picks the best of several scores, for every token."""

    position: int  # among the events of the run
    path: str  # of the module that ran it
    scores: int  # of one token; 0 where it picks among tokens
    picked: int
    by: str  # "topk", "argmax"


def picks_of(recording: Recording) -> list[Pick]:
    """Everything in a run that picks from the scores of a token."""
    calls = {module.path: module.calls or 1 for module in recording.modules}
    picks: list[Pick] = []
    best: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for position, event in enumerate(recording.events):
        if event.op.name not in ("aten.topk", "aten.argmax"):
            continue
        scores = _scores_of_a_token(event.op)
        if event.op.name == "aten.topk":
            picks.append(Pick(position, event.path, scores or 0, event.op.arguments["k"], "topk"))
        elif scores is not None:
            best.setdefault((event.path, scores), []).append((position, event.calls))
    for (path, scores), runs in best.items():  # the best, then the best of the others
        picked = sum(times for _, times in runs) // calls[path]
        picks.append(Pick(runs[0][0], path, scores, picked, "argmax"))
    return [pick for pick in picks if pick.picked >= 1]


def _scores_of_a_token(op: OpRecord) -> int | None:
    """Along how many scores an operator picks; None where it picks among tokens, across the innermost axis."""
    scores, axis = op.tensor("self"), op.arguments.get("dim", -1 if op.name == "aten.topk" else None)
    if not scores.shape or not isinstance(axis, int) or scores.stride[axis] != 1:
        return None
    return scores.shape[axis]
