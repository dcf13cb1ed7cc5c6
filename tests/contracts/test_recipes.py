"""The recipes of docs/ARCHITECTURE.md hold: a toy that was added through the places that a recipe names works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.contracts.recipes import (
    EVERY_RECIPE,
    add_command,
    add_derived_metric,
    add_device,
    add_extractor,
    add_format,
    add_formula,
    add_library,
    add_limit,
    add_metric,
    add_private_name,
    add_rule,
    run,
)
from tests.docs.test_architecture import PAGE, ROOT, section


def test_a_metric(tmp_path: Path) -> None:
    copy = add_metric(tmp_path)
    lines = copy.python(
        """
        import json, torchstat_cli as ms
        from nets import NET, X
        from torchstat_cli.report.profile.saved import from_json

        report = ms.profile(NET, X)
        print(report.total.toy, [row.toy for row in report.rows], [total.toy for total in report.operators])
        print(report.at("").toy, [row.toy for row in report.folded(0).rows])
        print([list(report.to_pandas(by)["toy"]) for by in ("module", "type", "operator")])
        print(report.to_csv().splitlines()[0].count("toy"), report.to_html().count(">toys<"), str(report).count("toys"))
        saved = json.loads(report.to_json())
        print(saved["totals"]["toy"], saved["rows"][1]["toy"], saved["operators"][1]["toy"])
        print(from_json(report.to_json()).total == report.total)
        del saved["totals"]["toy"]
        try:
            from_json(json.dumps(saved))
        except ms.ModelstatError as error:
            print(error.hint)
        training = json.loads(ms.profile(NET, X, train=True).to_json())["training"]
        print([phase["toy"] for phase in training["phases"] if phase["phase"] == "forward"])
        """
    )
    assert lines == [
        "24 [12, 12] [12, 12]",
        "24 [24]",
        "[[12, 12], [12, 12], [12, 12]]",
        "1 1 1",
        "24 12 12",
        "True",
        "write it anew: modelstat MODEL --format json --output FILE",
        "[25, 25]",  # the loss is one number more
    ]
    (table,) = copy.commands("nets:NET --input 4,2 --by operator --columns op,toy --sort toy")
    assert table.splitlines()[0].split() == ["operator", "toys"]


def test_a_metric_that_follows_from_others(tmp_path: Path) -> None:
    views = (("module", "path"), ("type", "type"), ("operator", "op"))
    line = "nets:NET --input 4,2 --by {} --columns {},toy --format csv"
    printed = add_derived_metric(tmp_path).commands(*(line.format(*view) for view in views))
    for (_, name), text in zip(views, printed, strict=True):
        heading, *rows = text.splitlines()
        assert heading == f"{name},toy"
        # Linear: 2 * 2 * 3 operations and 3 for the bias, per sample; ReLU: 1 per number.
        assert [row.rpartition(",")[2] for row in rows] == ["60.0", "12.0"]


def test_a_number_that_the_gate_limits(tmp_path: Path) -> None:
    lines = add_limit(tmp_path).python(
        """
        from dataclasses import replace
        from tests.gate.profiles import entry, profile, row
        from torchstat_cli.gate.baseline.json import read_baseline, write_baseline
        from torchstat_cli.gate.compare import compare_profiles
        from torchstat_cli.gate.judge import judge_model, take_snapshot

        model, before, after = entry(toy="+10%"), profile(row("a", mem_write=100)), profile(row("a", mem_write=111))
        base = read_baseline(write_baseline({"tiny": take_snapshot(model, before)}))["tiny"]
        print(base.totals["toy"])
        grown = judge_model(model, after, base, None, against=False)
        print(grown.state.name, [check.metric for check in grown.checks if check.broken])
        print(grown.explanation.changes[0].deltas["toy"])
        older = replace(base, totals={name: number for name, number in base.totals.items() if name != "toy"})
        print(judge_model(model, before, older, None, against=False).state.name)
        totals = compare_profiles(before, after, ("a", "b")).totals
        print([total.delta for total in totals if total.metric == "toy"])
        """
    )
    assert lines == ["100", "FAIL ['toy']", "11", "NEW", "[11]"]


def test_an_operator_formula(tmp_path: Path) -> None:
    copy = add_formula(tmp_path)
    formula, free = copy.commands("ops toys.* --format csv", "ops aten.toys_only_move --format csv")
    assert formula.splitlines()[1].startswith("toys.twice,7 per number,")
    assert "free by definition" in free
    lines = copy.python(
        """
        import torch, torchstat_cli as ms

        library = torch.library.Library("toys", "DEF")
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")

        class Net(torch.nn.Module):
            def forward(self, x):
                return torch.ops.toys.twice(x)

        report = ms.profile(Net(), torch.ones(4, 2))
        print(report.total.flops, report.unknown)
        """
    )
    assert lines == ["56 ()"]


def test_a_fast_rule_for_a_meta_kernel(tmp_path: Path) -> None:
    lines = add_rule(tmp_path).python(
        """
        import torch, torchstat_cli as ms

        class Net(torch.nn.Module):
            def forward(self, x):
                return torch.sinc(x)

        report = ms.profile(Net(), torch.ones(4, 2))
        from torchstat_cli.capture.dispatch.meta_kernels.toy import ASKED
        print(ASKED, report.rows[0].output_shape)
        """
    )
    assert lines == ["[(4, 2)] ((4, 2),)"]


def test_an_output_format(tmp_path: Path) -> None:
    line = "nets:NET --input 4,2 --format toy"
    printed, written, help_text = add_format(tmp_path).commands(line, f"{line} --output toy.txt", "profile --help")
    assert (printed, written, (tmp_path / "toy.txt").read_text()) == ("Sequential: 9\n", "", "Sequential: 9\n")
    assert "|html|toy|" in "".join(help_text.split())


def test_a_command(tmp_path: Path) -> None:
    done, refused, help_text, misspelled = add_command(tmp_path).commands(
        "toy resnet18", "toy none", "--help", "toyy resnet18"
    )
    assert done == "playing with resnet18\n"
    assert refused == "error: there is no toy\n  take another\n"
    assert "Play with a model." in help_text
    assert "did you mean toy?" in misspelled


def test_a_model_library(tmp_path: Path) -> None:
    copy = add_library(tmp_path)
    assert copy.commands("toys/toynet") == ["error: toylib is not installed\n  pip install toylib\n"]
    (tmp_path / "toylib.py").write_text(
        "from torch import nn\nMODELS = {'toynet': lambda width=3: nn.Linear(2, width)}\n"
    )
    show = "--arg width=5 --columns params --format csv"
    named, bare, wrong, wrong_bare, no_library = copy.commands(
        f"toys/toynet {show}", f"toynet {show}", "toys/toynett", "toyne", "nolib/net"
    )
    assert (named, bare.partition("note:")[0]) == ("params\n15\n", "params\n15\n")
    assert wrong == (
        "error: toys has no model 'toynett'; did you mean toynet?\n  it has 1 models; toylib.MODELS lists them\n"
    )
    assert "did you mean toynet?" in wrong_bare
    assert ", toys/, " in no_library


def test_an_extractor(tmp_path: Path) -> None:
    lines = add_extractor(tmp_path).python(
        """
        import torchstat_cli as ms
        from nets import NET, X

        print(ms.Toy is ms.activations.Toy, "Toy" in ms.__all__, "Toy" in dir(ms))
        print(ms.Toy(NET, "1")(X).equal(NET(X)))
        """
    )
    assert lines == ["True True True", "True"]


def test_a_way_to_touch_torch(tmp_path: Path) -> None:
    lines = add_private_name(tmp_path).python(
        """
        import torch
        from torchstat_cli.errors import UnsupportedTorchError
        from torchstat_cli.torch_access.internals import broken_toy, toy

        print(toy is torch._assert)
        try:
            broken_toy(1)
        except UnsupportedTorchError as error:
            print(error.message.partition(" lacks ")[2])
        """
    )
    assert lines == ["True", "torch._toy_of_old, which modelstat needs for broken toys"]


def test_a_known_device(tmp_path: Path) -> None:
    (fitted,) = add_device(tmp_path).commands("fit nets:NET --input 4,2 --gpu toy --format json")
    assert '"budget": 3000000000' in fitted
    assert "https://example.com/toy" in fitted


def test_every_recipe_of_the_page_is_tried(tmp_path: Path) -> None:
    chapter = PAGE.partition("\n## How to add something\n")[2].partition("\n## ")[0]
    recipes = {section(PAGE, heading) for heading in re.findall(r"^### (.+)$", chapter, re.MULTILINE)}
    assert {add(tmp_path).recipe for add in EVERY_RECIPE} == recipes


def test_the_walls_stand_around_all_toys(tmp_path: Path) -> None:
    """With a row for every new file on the page, and nothing else beside what the recipes say."""
    for folder in ("tests/contracts", "tests/docs", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests" / "__init__.py", tmp_path / "tests")
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for add in EVERY_RECIPE:
        add(tmp_path)
    page = tmp_path / "docs" / "ARCHITECTURE.md"
    for path in sorted(tmp_path.glob("torchstat_cli/**/toy*.py")):
        folder = path.parent.relative_to(tmp_path / "torchstat_cli").as_posix()
        table = f"# Inside {folder}\n\n| file | idea |\n| --- | --- |\n"
        assert table in page.read_text()
        page.write_text(page.read_text().replace(table, f"{table}| `{path.name}` | a toy |\n"))
    walls = [f"tests/contracts/test_{name}.py" for name in ("imports", "sub_rooms", "sizes", "private_names")]
    pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *walls, "tests/docs/test_architecture.py")
    done = run(tmp_path, str(tmp_path), *pytest)
    assert done.returncode == 0, done.stdout
