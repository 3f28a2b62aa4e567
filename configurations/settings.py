"""The whole configuration: config.json with the environment over it, as frozen settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, PrivateAttr, ValidationError

from configurations.fields import (
    Expected,
    Flag,
    LogLevel,
    PluginNames,
    Text,
    TimeZone,
    suggestion,
)
from configurations.files import Document, read_json, write_json
from configurations.masking import masked, shown
from configurations.problems import path_text, plain_problems
from configurations.sections import (
    COMPATIBLE,
    BaseConfig,
    DatabaseConfig,
    LoggersConfig,
    ManagerConfig,
)
from configurations.sources import KeyPath, Place, layers, overlay
from configurations.urls import anchored_url
from core.errors import ConfigurationError, Problem

SCHEMA_KEY = "$schema"

_LOOKALIKE = 0.8


@dataclass(frozen=True, slots=True)
class Setting:
    """One value as it may be shown, and where it comes from.

    Attributes:
        value: The value, passwords masked.
        origin: ``default``, ``argument``, the file's name, ``.env`` or ``environment VARIABLE``.
    """

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration was read; no part of its value, so all origins are equal."""

    folder: Path | None = field(default=None, compare=False)
    source: Path | None = field(default=None, compare=False)
    places: dict[KeyPath, Place] = field(default_factory=dict, compare=False)


class Xcorecfg(BaseConfig):
    """All settings of a container, frozen; ``Xcorecfg()`` is the defaults and reads nothing.

    Keys of config.json that are not ours belong to the application and are attributes too:
    ``config.premium_features_enabled``. A public name that the file does not have reads as
    ``None``; one that is close to a key of ours, or starts with ``_``, is an AttributeError.
    The names of the methods and properties below stay theirs: an application key of such a
    name is read as ``config.application["folder"]``.
    """

    model_config = ConfigDict(extra="allow")

    app_name: Text = Field("taskrack", description="Name of the application, for displays.")
    debug: Flag = Field(default=False, description="Say more in logs and error pages.")
    log_level: LogLevel = Field(
        "INFO", description="Lowest level that is logged, in any case of letters."
    )
    timezone: TimeZone = Field(
        "UTC", description="IANA name of the zone in which schedules are meant."
    )
    background_tasks: Flag = Field(
        default=False, description="Gate of the fluent queue; BACKGROUND_TASKS in the environment."
    )
    background_jobs_enabled: Flag = Field(
        default=True,
        description="Gate of timed occurrences; BACKGROUND_JOBS_ENABLED in the environment.",
    )
    plugins: PluginNames = Field(
        default_factory=list, description="Plugin modules to load beside the tasks directory."
    )
    database: Annotated[DatabaseConfig, Expected("an object of settings")] = Field(
        default_factory=DatabaseConfig, description="Where the ledger is."
    )
    manager: Annotated[ManagerConfig, Expected("an object of settings")] = Field(
        default_factory=ManagerConfig, description="What the container runs, and how much of it."
    )
    loggers: Annotated[LoggersConfig, Expected("an object of settings")] = Field(
        default_factory=LoggersConfig, description="Where log lines go, and which of them."
    )

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Read the file at *path*, the ``.env`` beside it over it, the environment over both.

        Raises:
            ConfigurationError: The file cannot be read, or values are wrong; it names them all.
        """
        file = Path(path)
        document = read_json(file)
        origin = Origin(file.absolute().parent, file.absolute(), _places(document.data, file.name))
        return cls._assembled(document, origin, str(path))

    @classmethod
    def from_env(cls) -> Self:
        """Read the ``.env`` of the current folder and the environment over it, and no file.

        Raises:
            ConfigurationError: Variables are wrong; it names them all.
        """
        return cls._assembled(Document({}, []), Origin(Path.cwd()), "the environment")

    @classmethod
    def _assembled(cls, document: Document, origin: Origin, name: str) -> Self:
        found, unread = layers(origin.folder or Path())
        places, misnamed = overlay(document.data, found, cls)
        origin.places.update(places)
        problems = [*document.problems, *_schema_problems(document.data)]
        try:
            config = cls.model_validate(document.data)
        except ValidationError as error:
            known = {problem.where for problem in problems}
            wrong = plain_problems(error, cls, origin.places)
            problems += [problem for problem in wrong if problem.where not in known]
        problems += [*unread, *misnamed]
        if problems:
            raise ConfigurationError(name, problems)
        config._origin = origin  # noqa: SLF001 - the configuration under construction
        return config

    def to_file(self, path: str | Path) -> None:
        """Write all settings as JSON that ``from_file`` reads back as an equal configuration.

        The file is replaced in one step. Passwords are in it in clear, and then only its owner
        may read it.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        values = self.model_dump(include=set(type(self).model_fields))
        for key, info in ManagerConfig.model_fields.items():
            if info.description == COMPATIBLE and key not in self.manager.model_fields_set:
                del values["manager"][key]
        extra = self.model_extra or {}
        head = {SCHEMA_KEY: extra[SCHEMA_KEY]} if SCHEMA_KEY in extra else {}
        write_json(Path(path), {**head, **values, **self.application})

    @property
    def folder(self) -> Path:
        """The folder from which relative paths count: the file's, or else the current one."""
        return self._origin.folder or Path.cwd()

    @property
    def source(self) -> Path | None:
        """The file that was read, or ``None``."""
        return self._origin.source

    @property
    def application(self) -> dict[str, Any]:
        """The keys of the file that are not ours, as a copy."""
        extra = self.model_extra or {}
        return {name: value for name, value in extra.items() if name != SCHEMA_KEY}

    @property
    def database_url(self) -> str:
        """``database.url`` with a relative SQLite path counted from the folder."""
        return anchored_url(self.database.url, self.folder)

    def resolve(self, path: str | Path) -> Path:
        """Return *path*, counted from the folder where it is relative."""
        return self.folder / path

    def describe(self) -> dict[str, Setting]:
        """Return each value as it may be shown, by its dotted key, and where it comes from."""
        settings: dict[str, Setting] = {}
        for name in (*type(self).model_fields, *self.application):
            section = self.__dict__.get(name)
            if isinstance(section, BaseConfig):
                for key in type(section).model_fields:
                    place = self._origin.places.get((name, key))
                    settings[f"{name}.{key}"] = _setting(section, key, place)
            else:
                settings[name] = _setting(self, name, self._origin.places.get((name,)))
        return settings

    def hints(self) -> list[Problem]:
        """Return what is allowed in the file and yet looks like a mistake.

        These are application keys that are close to a key of ours, and those that a method or
        property of this class hides.
        """
        found = []
        for name in self.application:
            if close := suggestion(name, type(self).model_fields, _LOOKALIKE):
                found.append(Problem(path_text((name,)), f"is taken as the application's{close}"))
            elif any(name in vars(owner) for owner in type(self).__mro__):
                told = f"is hidden by the configuration's own; read config.application[{name!r}]"
                found.append(Problem(path_text((name,)), told))
        return found

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the application's own values
        if name in type(self).__private_attributes__:
            return super().__getattr__(name)  # type: ignore[misc]
        if name.startswith("_"):
            raise AttributeError(f"the configuration has no {name!r}", name=name, obj=self)
        extra = self.model_extra or {}
        if name in extra:
            return extra[name]
        if close := suggestion(name, type(self).model_fields, _LOOKALIKE):
            raise AttributeError(f"the configuration has no {name!r}{close}", name=name, obj=self)
        return None


def _places(data: dict[str, Any], file_name: str) -> dict[KeyPath, Place]:
    found: dict[KeyPath, Place] = {}
    for name, value in data.items():
        found[(name,)] = Place(file_name)
        if isinstance(value, dict):
            found |= {(name, key): Place(file_name) for key in value}
    return found


def _schema_problems(data: dict[str, Any]) -> list[Problem]:
    reference = data.get(SCHEMA_KEY, "")
    if isinstance(reference, str):
        return []
    text = f"expected the address of a JSON schema, got {shown(reference)}"
    return [Problem(SCHEMA_KEY, text)]


def _setting(owner: BaseConfig, key: str, place: Place | None) -> Setting:
    given = "argument" if key in owner.model_fields_set else "default"
    values = owner.__dict__ if key in owner.__dict__ else owner.model_extra or {}
    return Setting(masked(values[key], key), str(place or given))
