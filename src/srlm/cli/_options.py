"""A command's options, derived from the fields of settings dataclasses.

Knows: typer. Refuses to know: which settings there are, and what their values mean.
"""

import inspect
from collections.abc import Callable
from dataclasses import Field
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin

import typer

from srlm.records.options import Facts, facts_of


def with_options(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace parameters of a command by options.

    Args:
        groups: by the name of a parameter, a dataclass whose fields with a flag become options in its place. The
            command receives there a dictionary, by field, of what was typed; a mapping is typed as NAME=VALUE,
            repeatable, a list by repeating the option.
    """
    offered = {name: [one for one in facts_of(group) if one[1].flag] for name, group in groups.items()}

    def derive(command: Callable[..., None]) -> Callable[..., None]:
        def called(context: typer.Context, **values: Any) -> None:
            for name, options in offered.items():
                given = {one.name: _read(one, values.pop(one.name)) for one, _ in options}
                sources = {field: getattr(context.get_parameter_source(field), "name", "") for field in given}
                values[name] = {field: value for field, value in given.items() if sources[field] == "COMMANDLINE"}
            command(**values)

        parameters = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        for name, own in inspect.signature(command).parameters.items():
            derived = [_parameter(*one) for one in offered[name]] if name in offered else [own]
            parameters += [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in derived]
        called.__doc__ = command.__doc__
        called.__annotations__ = {one.name: one.annotation for one in parameters}
        called.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
        return called

    return derive


def _parameter(one: Field[Any], facts: Facts) -> inspect.Parameter:
    kind, default, shown = _kind(one), one.default, facts.shown or True
    if kind is bool:
        default, shown = False, "off"
    domain = f" {facts.domain[0].upper()}{facts.domain[1:]}." if facts.domain else ""
    metavar = "NAME=VALUE" if get_origin(kind) is dict else None
    about = typer.Option(f"--{facts.flag}", help=facts.help + domain, show_default=shown, metavar=metavar)
    annotation = Annotated[(list[str] if metavar else kind) | None, about]
    return inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _read(one: Field[Any], value: Any) -> Any:
    kind = _kind(one)
    if kind is bool:
        return not one.default
    if get_origin(kind) is dict and value:
        return {name: text for name, _, text in (typed.partition("=") for typed in value)}
    return value


def _kind(one: Field[Any]) -> Any:
    """The field's type but for None."""
    optional = isinstance(one.type, UnionType)
    return next(kind for kind in get_args(one.type) if kind is not NoneType) if optional else one.type
