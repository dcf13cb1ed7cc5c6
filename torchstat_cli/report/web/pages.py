"""Fill the templates of pages; every text that comes from a model is escaped, and nothing is loaded from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def page(template: str, **values: Any) -> str:
    """The template of that name, filled; styles and scripts of this package stand in it as they are."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    # Only pages pay for the import.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("torchstat_cli.report.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["resource"] = _resource
    return environment


@cache
def _resource(name: str) -> Any:
    """A style or script of this package, which no template escapes."""
    from markupsafe import Markup

    return Markup(files(__package__).joinpath("templates", name).read_text(encoding="utf-8"))
