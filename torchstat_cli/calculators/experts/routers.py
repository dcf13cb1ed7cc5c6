"""How many experts a token goes to: the router of experts is found, or a setting beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from torchstat_cli.calculators.experts.groups import Experts, ModuleTree, below, parent_of
from torchstat_cli.calculators.experts.picks import Pick

_REACH = 3
"""How far above its experts a router may lie, in modules."""

_TOP_K_SETTINGS = frozenset(
    (
        *("top_k", "topk", "moe_top_k", "moe_topk", "moe_k", "router_top_k", "top_k_experts", "num_selected_experts"),
        *("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "experts_per_tok"),
        *("n_activated_experts", "num_activated_experts", "num_active_experts"),
    )
)
"""What modules call the number of experts that each token goes to."""


class RouterSearch:
    """Looks for the routers of experts, and for settings beside them."""

    def __init__(self, tree: ModuleTree, picks: Sequence[Pick]) -> None:
        self.candidates = list(tree.experts({pick.scores for pick in picks}))
        self._tree = tree
        self._below: dict[str, list[Pick]] = {}
        for pick in picks:
            path = pick.path
            self._below.setdefault(path, []).append(pick)
            while path:
                path = parent_of(path)
                self._below.setdefault(path, []).append(pick)

    def choice(self, experts: Experts) -> tuple[int, str] | None:
        """How many of the experts each token goes to, and what says so; None where nothing does."""
        if not experts.are_alike:
            return None
        for distance, level in enumerate(self._levels(experts)):
            fitting = [
                pick
                for pick in self._picks(level, experts)
                if pick.by == "topk"
                and self._may_route(pick, experts, distance)
                and not self._is_of_others(pick, experts)
            ]
            numbers = {pick.picked for pick in fitting}
            if len(numbers) > 1:
                numbers &= {setting for setting, _ in self._settings(level, experts)}
            if len(numbers) == 1:
                (number,) = numbers
                return number, _said("topk", next(pick.path for pick in fitting if pick.picked == number))
        return self._choice_by_name(experts) if experts.is_named else None

    def _choice_by_name(self, experts: Experts) -> tuple[int, str] | None:
        """What a setting says beside experts that are called so, else how often ``argmax`` runs per call of the router.

        A ``topk`` among another number of scores nearby means that tokens choose among more than these experts, or that
        experts choose their tokens.
        """
        levels = self._levels(experts)
        for level, around in zip(levels, (*levels[1:], levels[-1]), strict=True):
            if any(pick.by == "topk" for pick in self._picks(around, experts)):
                return None
            settings = sorted(set(self._settings(level, experts)), key=lambda setting: setting[1])
            if settings:
                return settings[0] if len({number for number, _ in settings}) == 1 else None
            fitting = [pick for pick in self._picks(level, experts) if pick.scores == experts.count]
            if fitting:
                return (fitting[0].picked, _said("argmax", fitting[0].path)) if len(fitting) == 1 else None
        return None

    def _picks(self, level: str, experts: Experts) -> list[Pick]:
        """What picks at a level, but not inside one of the experts."""
        near = self._below.get(level, [])
        return [pick for pick in near if not any(below(pick.path, member) for member in experts.members)]

    def _levels(self, experts: Experts) -> list[str]:
        """The modules around experts in which their router may lie, the nearest first."""
        levels = [experts.path]
        while levels[-1] and len(levels) <= _REACH:
            levels.append(parent_of(levels[-1]))
        if experts.members and not experts.is_named:
            is_list = not self._tree.modules[experts.path].calls
            return levels[: 2 if is_list else 1]
        return levels

    def _may_route(self, pick: Pick, experts: Experts, distance: int) -> bool:
        """Whether a pick may be these experts' router: among as many, and right beside them or before them.

        Modules side by side may be anything, so that a router must have run before the first of them.
        """
        if pick.scores != experts.count:
            return False
        if distance <= 1 and (experts.is_named or not experts.members):
            return True
        return pick.position < self._tree.first_event(experts.members or (experts.path,))

    def _is_of_others(self, pick: Pick, experts: Experts) -> bool:
        """Whether a pick lies nearer to other experts, of as many and within its reach, than to these."""
        nearness = _shared_depth(pick.path, experts.path)
        return any(
            _shared_depth(pick.path, other.path) > nearness
            and any(
                below(pick.path, level) and self._may_route(pick, other, distance)
                for distance, level in enumerate(self._levels(other))
            )
            for other in self.candidates
            if other.count == pick.scores
        )

    def _settings(self, level: str, experts: Experts) -> Iterator[tuple[int, str]]:
        for module in self._tree.below(level):
            if any(below(module.path, member) for member in experts.members):
                continue
            for name, value in module.attrs.items():
                if name in _TOP_K_SETTINGS and type(value) is int and 1 <= value <= experts.count:
                    yield value, _said(name, module.path)


def _said(what: str, path: str) -> str:
    return f"{what} of {path or '(root)'}"


def _shared_depth(one: str, other: str) -> int:
    """How many modules lie around both."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one.split("."), other.split("."), strict=False))
    )
