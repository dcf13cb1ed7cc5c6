"""docs/zoo.md: the outcomes of every model, in tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.zoo.outcomes import Outcome, read_outcomes, read_versions

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
_OPENING = """\
# Every model of the libraries

`make zoo` profiles every model that timm (also with `features_only`), torchvision and transformers register, with their
usual inputs, and compares two numbers with torch's own:

- **params** with `sum(p.numel() for p in model.parameters())`;
- **MAdds** with half of what `torch.utils.flop_counter.FlopCounterMode` counts. It counts two products as nothing,
  grouped ones of experts and those inside `cdist`, so the comparison gives it a rule for each (`benchmarks/exact.py`).

A model of transformers is built from the default configuration of its type with two layers, a small vocabulary and
narrow widths, or from a small one written by hand (`tests/coverage/transformers.json`). Where such a model does not
run, its widths are left, and then all of the default configuration is.

With {versions}:
**{checked} models compared, {wrong} wrong or crashed**.

The outcome of each is a line of `benchmarks/zoo/results.jsonl`, from which this page is made. `make zoo` goes on where
it was stopped and runs none again that has an outcome; after an update of a library it begins anew.
`tests/benchmarks/test_zoo.py` examines a sample, another one each week: the seed is in the names of its tests, and
`ZOO_SEED` sets it.
"""

_KINDS = ("timm", "timm, features_only", "torchvision", "transformers")
_APART = {
    "no input": """\
These want more inputs than modelstat makes up for them; its error says which. Give them with `--inputs`.
""",
    "torch fails": """\
The bare forward pass on modelstat's usual inputs fails as well: on meta, on fake tensors and, where real tensors may
help and less than 1 GiB is needed, for real. Either sizes in the default configuration do not fit together, or the
usual inputs do not fit the model, which wants its own with `--input` or `--inputs`.
""",
    "not built": """\
transformers does not build them: the type is a part that has no model of its own, its default configuration is
incomplete, or another package is missing.
""",
}
_REASON = 110  # characters


def page(outcomes: Sequence[Outcome], versions: Mapping[str, str]) -> str:
    """The page."""
    return "\n".join([*_opening(outcomes, versions), *_table(outcomes), *_places(outcomes), *_lists(outcomes)]) + "\n"


def write_page() -> None:
    """Rewrite docs/zoo.md from the results."""
    PAGE.write_text(page(list(read_outcomes().values()), read_versions()), encoding="utf-8")


def _opening(outcomes: Sequence[Outcome], versions: Mapping[str, str]) -> Iterator[str]:
    said = ", ".join(f"{package} {version}" for package, version in versions.items())
    checked = sum(outcome.verdict in ("right", "wrong", "crash") for outcome in outcomes)
    wrong = sum(outcome.verdict in ("wrong", "crash") for outcome in outcomes)
    yield _OPENING.format(versions=said, checked=f"{checked:,}", wrong=wrong)


def _table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    counts = {kind: Counter[str]() for kind in _KINDS}
    for outcome in outcomes:
        counts[_kind(outcome)][outcome.verdict] += 1
    yield "| library | models | right | wrong | crash | no input | torch fails | not built |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for kind, verdicts in counts.items():
        names = ("right", "wrong", "crash", "no input", "torch fails", "not built")
        yield f"| {kind} | {verdicts.total()} | {' | '.join(str(verdicts[name]) for name in names)} |"
    yield ""


def _places(outcomes: Iterable[Outcome]) -> Iterator[str]:
    right = [outcome for outcome in outcomes if outcome.verdict == "right"]
    places = Counter(outcome.place for outcome in right)
    ran = ", ".join(f"{count:,} on {place}" for place, count in places.most_common())
    yield f"Of the right ones modelstat ran {ran}."
    counted = Counter(outcome.counted_on for outcome in right)
    yield f"torch counted {', '.join(f'{count:,} on {_place(place)}' for place, count in counted.most_common())}."
    yield ""


def _place(name: str) -> str:
    return {"fake": "fake tensors", "fake, bfloat16": "fake tensors of bfloat16"}.get(name, name)


def _lists(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for verdict in ("wrong", "crash", *_APART):
        some = [outcome for outcome in outcomes if outcome.verdict == verdict]
        if not some:
            continue
        yield f"## {verdict.capitalize()}"
        yield ""
        if verdict in _APART:
            yield _APART[verdict]
        yield "| library | model | why |"
        yield "| --- | --- | --- |"
        for outcome in sorted(some, key=lambda outcome: outcome.key):
            yield f"| {_kind(outcome)} | `{outcome.name}` | {_reason(outcome.remark)} |"
        yield ""


def _kind(outcome: Outcome) -> str:
    return "timm, features_only" if outcome.variant else outcome.library


def _reason(remark: str) -> str:
    """The cause as one cell."""
    if "Couldn't load custom C++ ops" in remark:
        return "needs torchvision's compiled operators, which do not load beside a CPU build of torch"
    if "wants None" in remark:
        return "a part without a model of its own"
    text = re.sub(r"^(Build|Spec|Input)Error: (raised |the configuration of )?", "", remark)
    text = re.split(r" call it once| change it with|; did you mean", text)[0]
    text = text if len(text) <= _REASON else text[: _REASON - 1] + "…"
    return "`" + text.replace("`", "'").replace("|", "/") + "`"
