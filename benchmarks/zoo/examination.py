"""One model, profiled by modelstat and counted by torch."""

from __future__ import annotations

import re
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import torch

from benchmarks.zoo.configurations import configurations
from benchmarks.zoo.outcomes import Outcome
from benchmarks.zoo.reference import SEED, count_parameters, counts
from benchmarks.zoo.subjects import IMPORTERS, Subject, source_of, source_of_configuration
from torchstat_cli.errors import BuildError, InputError, ModelstatError
from torchstat_cli.foreign_text import one_line, text_of
from torchstat_cli.loading import ModelSource
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

_WANTS_MORE = re.compile(
    r"missing \d+ required|(have to|must|should) (specify|be provided)|must be provided|cannot be `None`|be not-None"
    r"|'NoneType' object|Input must be a 5D|indices' \(position 2\) must be Tensor|not enough values to unpack",
)
"""What models say where the usual inputs are not all that they want."""

SECONDS = 300  # for one model, both runs together


def examine(subject: Subject) -> Outcome:
    """What came of one model."""
    with _limited(SECONDS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        IMPORTERS[subject.library]()
        if subject.library == "transformers":
            return _examine_type(subject)
        return compare(subject, source_of(subject))


def _examine_type(subject: Subject) -> Outcome:
    """What came of the first configuration of a type with which torch can run its model."""
    outcome = _outcome(subject, verdict="not built", remark="no configuration")
    try:
        for words, configuration in configurations(subject.name):
            try:
                outcome = compare(subject, source_of_configuration(configuration), words)
            except ModelstatError as error:
                outcome = _outcome(subject, verdict="not built", remark=_words(error), configuration=words)
            if outcome.verdict not in ("not built", "torch fails"):
                return outcome
    except TimeoutError:
        raise
    except Exception as error:  # the type's own code, asked for its configuration
        return _outcome(subject, verdict="not built", remark=_words(error))
    return outcome


def compare(subject: Subject, source: ModelSource, configuration: str = "") -> Outcome:
    """What came of a model that ``source`` builds."""
    outcome = partial(_outcome, subject, configuration=configuration)
    try:
        params = count_parameters(source)
    except BuildError as error:
        return outcome(verdict="not built", remark=_words(error))
    except InputError as error:
        return outcome(verdict="no input", remark=_words(error))
    counted = counts(source)
    try:
        torchs = next(counted)
    except TimeoutError:
        raise
    except Exception as error:  # a model may raise anything; torch fails on it without modelstat
        wants_more = _WANTS_MORE.search(text_of(error))
        return outcome(verdict="no input" if wants_more else "torch fails", remark=_words(error))
    outcome = partial(outcome, counted=torchs.madds, counted_on=torchs.place)
    try:
        torch.manual_seed(SEED)
        profile, _ = profile_spec(source, None, Settings())
    except Exception as error:  # whatever it is, it is a crash of modelstat's
        return outcome(verdict="crash", remark=_words(error))
    if torchs.place.startswith("fake") and torchs.madds != profile.total.madds:
        torchs = next((count for count in counted if count.place == "cpu"), torchs)
    remark = faults(profile, params, torchs.madds)
    return outcome(
        verdict="wrong" if remark else "right",
        params=profile.total.params,
        madds=profile.total.madds,
        counted=torchs.madds,
        counted_on=torchs.place,
        place=profile.provenance.placement,
        remark=remark or "; ".join(profile.provenance.assumptions),
    )


def faults(profile: Profile, params: int, counted: int) -> str:
    """What is not right in a profile, in words; empty where all is."""
    words = []
    if profile.total.params != params:
        words.append(f"{params} parameters by numel, not {profile.total.params}")
    if profile.total.madds != counted:
        words.append(f"{counted} MAdds by torch, not {profile.total.madds}")
    if profile.total.params != sum(row.params for row in profile.rows):
        words.append("the rows' parameters do not sum to the total")
    if profile.total.flops != sum(row.flops for row in profile.rows):
        words.append("the rows' FLOPs do not sum to the total")
    if profile.unknown:
        words.append(f"unknown: {', '.join(operator.op for operator in profile.unknown)}")
    return "; ".join(words)


def _outcome(subject: Subject, **values: object) -> Outcome:
    return Outcome(library=subject.library, name=subject.name, variant=subject.variant, **values)


def _words(error: BaseException) -> str:
    return without_places(one_line(f"{type(error).__name__}: {text_of(error)}", 300))


def without_places(text: str) -> str:
    """An error's words without the folders of the machine that it came from."""
    return re.sub(r" ?\(?(in )?/[\w.+-]+/[^\s)]*\)?", "", re.sub(r"hf/+[^\s:]+ ?", "", text))


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after so many seconds."""

    def over(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
