"""The models file: TOML, one table `[models.NAME]` a model, the default one first. Opens no model."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.describe import allowed
from common.settings import PrecisionChoice, SettingsError
from inference.quoted import printable, quoted
from service.validate.request import DEFAULT_MODEL

NAME = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)
BARE_KEY = re.compile(r"[\w-]{1,64}", re.ASCII)  # what TOML takes without quotes


class ModelEntry(BaseModel):
    """One table of the file; what is left out is as the settings say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    source: str = Field(min_length=1, description="a path, hf:owner/name[:file] or default")
    precision: PrecisionChoice | None = None
    context: int | None = Field(default=None, ge=16)
    slots: int | None = Field(default=None, ge=1, le=1024)
    at_start: bool = False


def read_models_file(path: Path) -> dict[str, ModelEntry]:
    """The models by name, in the order of the file, at least one. Raises SettingsError, one sentence."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"ANSWERD_MODELS_FILE: {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"ANSWERD_MODELS_FILE: {path} is not TOML: {printable(str(error), 200)}.") from error
    models = document.get("models")
    if set(document) != {"models"} or not isinstance(models, dict) or not models:
        raise SettingsError(f"ANSWERD_MODELS_FILE: {path} must have tables [models.NAME], at least one, and no others.")
    return {name: _entry(path, name, table) for name, table in models.items()}


def _entry(path: Path, name: str, table: object) -> ModelEntry:
    place = f"ANSWERD_MODELS_FILE: {path}, [models.{_key(name)}]"
    if not NAME.fullmatch(name):
        raise SettingsError(f"{place}: a name has 1 to 128 letters, digits or any of . _ : / @ + -.")
    if name == DEFAULT_MODEL:
        raise SettingsError(f"{place}: {DEFAULT_MODEL} stands for the first model of the file and cannot be a name.")
    if (whole := _dotted(name, table)) != name:
        raise SettingsError(f"{place}: a name with a dot is put in quotes: [models.{_key(whole)}].")
    try:
        return ModelEntry.model_validate(table)
    except ValidationError as error:
        raise SettingsError(f"{place}: {_fault(error)}.") from None


def _dotted(name: str, table: object) -> str:
    """The name that was probably meant: at a dot outside of quotes TOML begins a table within the table."""
    while isinstance(table, dict) and (inner := next((key for key in table if isinstance(table[key], dict)), None)):
        name, table = f"{name}.{inner}", table[inner]
    return name


def _key(name: str) -> str:
    """A name as it stands in the file."""
    return name if BARE_KEY.fullmatch(name) else quoted(name)


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    match first["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{_key(key)} is not a key; there are {', '.join(ModelEntry.model_fields)}"
        case _ if not key:
            return "it must be a table with the key source"
    field = ModelEntry.model_fields[key]
    return f"{key} is {quoted(first['input'])}, but must be {field.description or allowed(field)}"
