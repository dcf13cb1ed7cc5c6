"""What prefill and decoding of a causal language model cost, without running every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torchstat_cli.calculators.generation import series_sum
from torchstat_cli.calculators.work import add_up
from torchstat_cli.capture.generation import DecodeStep, record_decode
from torchstat_cli.errors import UsageError
from torchstat_cli.loading import InputSpec, find_model
from torchstat_cli.records import COSTS, GenerationPart, GenerationProfile, Profile, costs_of
from torchstat_cli.tasks.measurement import Measurement
from torchstat_cli.tasks.profile import measure_spec
from torchstat_cli.tasks.rungs import Rung
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.process import same_random_numbers

_TOKENS = "input_ids"


def parse_generation(text: str) -> tuple[int, int]:
    """``PROMPT,NEW`` as two numbers.

    Raises:
        UsageError: it is something else.
    """
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--generate {text!r} is not PROMPT,NEW", "write two numbers of tokens: --generate 512,128")
    return int(parts[0]), int(parts[1])


def generation_spec(
    model: str,
    given: tuple[InputSpec, ...],
    settings: Settings,
    tokens: tuple[int, int],
    arguments: Mapping[str, Any] | None = None,
    *,
    online: bool = False,
) -> tuple[Profile, tuple[str, ...]]:
    """The profile of the prefill, with the cost of decoding beside it, and notes on how it was reached.

    Args:
        model: a spec of a causal language model.
        given: at most the token ids, whose batch axis counts; their length is the prompt's.
        settings: how to run; prefill and decoding run in one placement.
        tokens: of the prompt, and to be generated; the prefill gives the first of these.
        arguments: of the factory.
        online: whether a hub may be asked.

    Raises:
        ModelstatError: see the tree; the model keeps no cache, or cannot be run.
    """
    prompt, _ = tokens
    name, batch = (given[0].name or _TOKENS, given[0].shape[0]) if given and given[0].shape else (_TOKENS, 1)
    with same_random_numbers():  # a module may be built when it is imported
        source = find_model(model, arguments, online=online)
    ids = InputSpec(name, (batch, prompt), "int64", None)
    return measure_spec(source, (ids,), _Generation(settings, name, batch, tokens))


@dataclass(frozen=True)
class _Generation(Measurement):
    """Profile the prefill on each rung, and observe decoding steps of the same model."""

    name: str  # of the argument that takes token ids
    batch: int  # sequences
    tokens: tuple[int, int]  # of the prompt, and to be generated

    def profile(self, rung: Rung, *, assume: bool) -> Profile:
        """The profile of the prefill, with decoding beside it."""
        prefill = super().profile(rung, assume=assume)
        return self._with_decoding(prefill, rung, assume)

    def _with_decoding(self, prefill: Profile, rung: Rung, assume: bool) -> Profile:
        prompt, new = self.tokens
        registry = self.settings.registry
        options = replace(self.options(rung, assume=assume), train_mode=False, memory=False, training=None)
        steps: dict[int, DecodeStep] = {}

        def cost(cached: int) -> tuple[int, ...]:
            steps[cached] = record_decode(rung.model, self.name, self.batch, cached, registry.knows, options)
            whole = add_up(steps[cached].events, registry).whole
            return tuple(costs_of(whole).values())

        decoding = new - 1
        last = prompt + decoding - 1
        parts = [GenerationPart("prefill", 1, **costs_of(prefill.total))]
        if decoding:
            known = {cached: cost(cached) for cached in {prompt, last}}
            total = series_sum(lambda n: known[n] if n in known else cost(n), prompt, last)
            parts.append(_part("first decode", 1, known[prompt]))
            parts.append(_part("last decode", 1, known[last]))
            parts.append(_part("all decodes", decoding, total))
        else:
            cost(prompt)
        cache = _cache_bytes(steps, prompt + decoding)
        generation = GenerationProfile(prompt, new, self.batch, tuple(parts), cache, len(steps))
        assumptions = (
            *prefill.provenance.assumptions,
            *(words for step in steps.values() for words in step.assumptions),
        )
        provenance = replace(prefill.provenance, assumptions=tuple(dict.fromkeys(assumptions)))
        return replace(prefill, generation=generation, provenance=provenance)


def _part(name: str, steps: int, costs: tuple[int, ...]) -> GenerationPart:
    return GenerationPart(name, steps, **dict(zip(COSTS, costs, strict=True)))


def _cache_bytes(steps: Mapping[int, DecodeStep], tokens: int) -> int:
    """Bytes of the cache that holds ``tokens`` tokens: a step with one less leaves as many behind."""
    if tokens - 1 in steps:
        return steps[tokens - 1].cache_bytes
    return steps[tokens].prompt_bytes  # nothing but a prefill was asked for: what it left to the step observed
