"""Which models are to be served, as the settings say it: their names, sources and sizes. Opens no model."""

from __future__ import annotations

from dataclasses import dataclass

from common.settings import PrecisionChoice, Settings
from inference.quoted import quoted
from service.models.models_file import read_models_file


@dataclass(frozen=True)
class ModelSpec:
    """One model that may be served.

    name: what requests call it, or None for what its file or folder is called. source: a path,
    `hf:owner/name[:file]`, or None for the packaged model. context: tokens of a slot. at_start: loaded before requests
    are taken, and not only when it is first asked for. setting: where all this was said, as the beginning of a
    sentence.
    """

    name: str | None
    source: str | None
    precision: PrecisionChoice
    context: int
    slots: int
    at_start: bool
    setting: str

    def fault(self, reason: str) -> str:
        """One sentence about a source that cannot be served; the reason is a clause."""
        return f"{self.setting} is {quoted(self.source or 'default', 300)}, but {reason}."


def specs_of(settings: Settings) -> tuple[ModelSpec, ...]:
    """The models of the settings, the default one first, of which there is at least one.

    Raises SettingsError for a models file that cannot be read or understood.
    """
    if settings.models_file is None:
        return (
            ModelSpec(
                None, settings.model, settings.precision, settings.context, settings.slots, True, "ANSWERD_MODEL"
            ),
        )
    entries = read_models_file(settings.models_file)
    return tuple(
        ModelSpec(
            name,
            entry.source,
            entry.precision or settings.precision,
            entry.context or settings.context,
            entry.slots or settings.slots,
            entry.at_start or place == 0,
            f"The source of the model {name!r} in {settings.models_file}",
        )
        for place, (name, entry) in enumerate(entries.items())
    )
