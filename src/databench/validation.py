"""Validation of a handler's arguments by pydantic: the only module that imports it.

Owns the model made from the parameters and the text that says what does not fit. Knows no signal.
"""

import reprlib
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from inspect import Parameter
from pathlib import PurePath
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin
from uuid import UUID

import pydantic
from pydantic.fields import FieldInfo

from databench.errors import MismatchError

SCALARS = (
    str,
    bytes,
    bool,
    int,
    float,
    complex,
    Decimal,
    UUID,
    PurePath,
    Enum,
    date,
    datetime,
    time,
    timedelta,
    NoneType,
)
"""What one value is; of other types, such as a model or a list, a single parameter takes the payload whole."""
FAULTS = 20
"""What does not fit is said for so many places; a payload can have any number of them."""
FAULT_LENGTH = 400
CONFIG = pydantic.ConfigDict(arbitrary_types_allowed=True, extra="forbid", title="payload")


def is_scalar(annotation: Any) -> bool:
    """Whether an annotation means a single value."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return is_scalar(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return all(map(is_scalar, get_args(annotation)))
    if isinstance(annotation, NewType):
        return is_scalar(annotation.__supertype__)
    return origin is Literal or (isinstance(annotation, type) and issubclass(annotation, SCALARS))


class Validator:
    """Validates values by the annotations of parameters."""

    def __init__(self, name: str, parameters: Iterable[Parameter]) -> None:
        self._fields: dict[str, Parameter] = {}
        definitions: dict[str, Any] = {}
        for number, parameter in enumerate(parameters):
            # Not every parameter's name may be that of a field, so they are aliases.
            field = f"field{number}"
            self._fields[field] = parameter
            annotation, default = _type(parameter), parameter.default
            if parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
                default = None
            elif default is Parameter.empty:
                default = ...
            definitions[field] = (Annotated[annotation, pydantic.Field(alias=parameter.name)], default)
        self._model: type[pydantic.BaseModel] = pydantic.create_model(name, __config__=CONFIG, **definitions)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the values to pass; raises MismatchError that says all that is wrong."""
        try:
            valid = self._model.model_validate(given)
        except pydantic.ValidationError as error:
            errors = error.errors(include_url=False, include_context=False)
            faults = [_fault(dict(each)) for each in errors[:FAULTS]]
            more = [f"and {len(errors) - FAULTS:,} more"] if len(errors) > FAULTS else []
            raise MismatchError("; ".join(faults + more)) from None
        # The author's own default is passed as it is; one made by `Field(...)` comes from pydantic.
        return {
            parameter.name: getattr(valid, field)
            for field, parameter in self._fields.items()
            if field in valid.model_fields_set or isinstance(parameter.default, FieldInfo)
        }


def _type(parameter: Parameter) -> Any:
    annotation = Any if parameter.annotation is Parameter.empty else parameter.annotation
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return GenericAlias(list, (annotation,))
    return GenericAlias(dict, (str, annotation)) if parameter.kind is Parameter.VAR_KEYWORD else annotation


def _fault(error: dict[str, Any]) -> str:
    first, *more = error["loc"] or ("payload",)
    place = str(first) + "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in more)
    if error["type"] == "missing":
        fault = f"{place}: is missing"
    else:
        fault = f"{place}: {error['msg']}, not {reprlib.repr(error['input'])}"
    # A key of the payload may be part of the place, and of any length.
    return fault if len(fault) <= FAULT_LENGTH else f"{fault[:FAULT_LENGTH]}…"
