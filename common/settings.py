"""Every setting of the two processes, read once from the environment and the command line into one frozen object.

It knows names, types, limits and defaults. It opens no file, no port and no model: what a value points at is checked
by the part that uses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from common.arguments import Names, SettingsError, collect
from common.describe import SettingRow, help_text, rows_of, sentence_of
from common.places import cache_folder, store_url, with_home

__all__ = ["SettingRow", "Settings", "SettingsError", "load_settings", "settings_table"]

MIB = 2**20
# gRPC takes message limits as 32-bit integers.
LARGEST_MESSAGE = 2**31 - 1
LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
TARGET_SCHEME = re.compile(r"(dns|unix|unix-abstract|ipv4|ipv6|vsock|xds):.+")
ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s,]+")
ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - recognised here, bound only where the operator asks for it
ALIASES = {"KEEP_ALIVE_INTERVAL": "keep_alive_ms"}

Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Provider: TypeAlias = Literal["auto", "cuda", "cpu"]
PrecisionChoice: TypeAlias = Literal["auto", "int4", "int8", "float16", "float32"]
Kernels: TypeAlias = Literal["auto", "off"]
ReasoningEvents: TypeAlias = Literal["openai", "openresponses"]
LogFormat: TypeAlias = Literal["auto", "console", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


def _shown(default: str) -> dict[str, Any]:
    """How a default that depends on the machine or on other settings is written in tables."""
    return {"shown": default}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _default_target(values: dict[str, Any]) -> str:
    # An address that means "all interfaces" can be listened on but not called.
    host = {ANY_IPV4: "127.0.0.1", ANY_IPV6: "::1"}.get(values["host"], values["host"])
    return f"{_bracketed(host)}:{values['grpc_port']}"


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(BaseModel):
    """The settings, checked. Constructing one reads nothing but its arguments and, for default folders, $HOME and
    the XDG variables; `load_settings` is how a process gets its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    host: str = Field(default="127.0.0.1", description="Address that both processes listen on.")
    http_port: Port = Field(default=8080, description="Port of the HTTP facade.")
    grpc_port: Port = Field(default=50051, description="Port of the gRPC service.")
    grpc_target: str = Field(
        default_factory=_default_target,
        description="Where the facade finds the service; any gRPC target.",
        json_schema_extra=_shown("host and gRPC port"),
    )
    model: str | None = Field(
        default=None,
        description="Model to serve: a GGUF file, an ONNX directory or hf:owner/name[:file].",
        json_schema_extra=_shown("the packaged SmolLM2-135M-Instruct"),
    )
    models_file: Path | None = Field(
        default=None, description="TOML file of several models to serve instead, the default one first."
    )
    models_memory: int | None = Field(
        default=None,
        ge=1,
        description="Bytes of memory for models; those longest unused are unloaded beyond it.",
        json_schema_extra=_shown("all of the machine's or container's"),
    )
    cache_dir: Path = Field(
        default_factory=lambda: cache_folder(os.environ),
        description="Folder for converted models and compiled kernels.",
        json_schema_extra=_shown("$XDG_CACHE_HOME/answerd or ~/.cache/answerd"),
    )
    store: str = Field(
        default_factory=lambda: store_url(os.environ),
        description="Where responses are kept: sqlite:///PATH; a fourth slash begins an absolute path.",
        json_schema_extra=_shown("answerd/answerd.db in $XDG_DATA_HOME or ~/.local/share"),
    )
    api_keys_file: Path | None = Field(
        default=None, description="File of lines `owner sha256-hex`; without one any key, or none, is one local owner."
    )
    allow_remote: bool = Field(default=False, description="Permit an address beyond loopback without an API keys file.")
    provider: Provider = Field(
        default="auto", description="What computes; auto takes CUDA where it works, else the CPU."
    )
    precision: PrecisionChoice = Field(
        default="auto", description="Which graph is served; auto is int4 on CPU, float16 on CUDA."
    )
    kernels: Kernels = Field(
        default="auto",
        description="Whose kernels compute GGUF models on the CPU and sample; auto: answerd's, with a C compiler.",
    )
    threads: int = Field(
        default_factory=_available_cores,
        ge=1,
        le=1024,
        description="Threads of the CPU provider.",
        json_schema_extra=_shown("all cores"),
    )
    slots: int = Field(default=16, ge=1, le=1024, description="Responses generated at the same time.")
    context: int = Field(default=4096, ge=16, description="Tokens of prompt and answer together that a slot holds.")
    deterministic: bool = Field(
        default=False, description="Equal requests with equal seeds give equal tokens, whatever else runs; slower."
    )
    speculation: bool = Field(
        default=True,
        description="A lone stream guesses tokens from its own text and grammar and checks several in one call.",
    )
    stream_interval_ms: int = Field(
        default=40,
        ge=0,
        le=10000,
        description="Least time between two pieces of a running text, which share what came meanwhile; 0 is none.",
    )
    queue: int = Field(default=128, ge=1, description="Requests that may wait for a slot; one more is refused at once.")
    max_output_tokens: int = Field(default=512, ge=1, description="Token budget of a request that names none.")
    max_body_bytes: int = Field(
        default=16 * MIB, ge=1024, le=LARGEST_MESSAGE, description="Largest request body or gRPC message (16 MiB)."
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Web origins allowed to call, separated by commas; * is any.",
        json_schema_extra=_shown("none"),
    )
    grace_seconds: float = Field(
        default=20,
        ge=0,
        le=86400,
        allow_inf_nan=False,
        description="How long running responses may go on after a stop signal.",
    )
    keep_alive_ms: int = Field(
        default=10000,
        ge=1,
        description="Pause between comments on a silent stream, and pings of a WebSocket; alias KEEP_ALIVE_INTERVAL.",
    )
    reasoning_events: ReasoningEvents = Field(default="openai", description="Whose names reasoning events have.")
    store_max_age_days: int = Field(
        default=30, ge=1, le=36500, description="Days after which a stored response expires."
    )
    store_max_responses: int = Field(default=100_000, ge=1, description="Stored responses beyond which the oldest go.")
    store_max_bytes: int = Field(
        default=1024 * MIB, ge=1, description="Stored bytes beyond which the oldest go (1 GiB)."
    )
    log_format: LogFormat = Field(default="auto", description="Log lines; auto is console on a terminal, else json.")
    log_level: LogLevel = Field(default="info", description="The least severe lines that are logged.")

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, host: str) -> str:
        if not _is_address(host) and not HOST_NAME.fullmatch(host):
            raise ValueError("an IP address or a host name")
        return host

    @field_validator("grpc_target")
    @classmethod
    def _is_a_target(cls, target: str) -> str:
        if any(character.isspace() for character in target) or not _is_target(target):
            raise ValueError("a gRPC target such as 127.0.0.1:50051 or dns:///answerd:50051")
        return target

    @field_validator("store")
    @classmethod
    def _is_a_store(cls, url: str) -> str:
        if not url.startswith("sqlite:///") or url.removeprefix("sqlite:///").strip("/") == "" or "\0" in url:
            raise ValueError("sqlite:///PATH, where a fourth slash begins an absolute path")
        return url

    @field_validator("cache_dir", "api_keys_file", "models_file")
    @classmethod
    def _with_home(cls, path: Path | None) -> Path | None:
        try:
            return path and with_home(path)
        except LookupError as error:
            raise ValueError(f"a path, and {error}") from None

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, origins: object) -> object:
        if isinstance(origins, str):
            return tuple(origin.strip() for origin in origins.split(",") if origin.strip())
        return origins

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError("* or origins such as https://example.org, separated by commas")
        return origins

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.http_port == self.grpc_port:
            raise ValueError(f"ANSWERD_HTTP_PORT and ANSWERD_GRPC_PORT are both {self.http_port}; they must differ.")
        if self.model is not None and self.models_file is not None:
            raise ValueError("ANSWERD_MODEL and ANSWERD_MODELS_FILE are both set, but either names what is served.")
        if not (self.loopback or self.api_keys_file or self.allow_remote):
            raise ValueError(
                f"ANSWERD_HOST is {self.host!r}, which other machines may reach without a key: set"
                " ANSWERD_API_KEYS_FILE, or permit it by name with ANSWERD_ALLOW_REMOTE=true."
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect. A host name other than localhost counts as reachable."""
        return ip_address(self.host).is_loopback if _is_address(self.host) else self.host.lower() == "localhost"

    @property
    def grpc_address(self) -> str:
        """`host:port` that the gRPC service binds, an IPv6 host in brackets."""
        return f"{_bracketed(self.host)}:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        """Where the facade listens, as a user would type it."""
        return f"http://{_bracketed(self.host)}:{self.http_port}"


def _is_target(target: str) -> bool:
    """A target of a scheme is gRPC's to judge; without one it is an address that it would look up in vain."""
    if TARGET_SCHEME.fullmatch(target):
        return True
    host, _, port = target.rpartition(":")
    bracketed = re.fullmatch(r"\[(.+)\]", host)
    named = _is_address(bracketed[1]) if bracketed else HOST_NAME.fullmatch(host) is not None
    return named and re.fullmatch("[0-9]{1,5}", port) is not None and 1 <= int(port) <= 65535


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def load_settings(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings of this process: flags (`argv` without the program's name) over `environ` over defaults.

    Raises SettingsError, one sentence. `--help` prints the settings and raises SystemExit.
    """
    if "--help" in argv or "-h" in argv:
        print(help_text(settings_table()))
        raise SystemExit(0)
    given = collect(argv, environ, _names())
    defaults: dict[str, object] = {"cache_dir": cache_folder(environ), "store": store_url(environ)}
    try:
        return Settings.model_validate(defaults | {setting: value.text for setting, value in given.items()})
    except ValueError as error:
        raise SettingsError(sentence_of(error, Settings.model_fields, given)) from None


def settings_table() -> tuple[SettingRow, ...]:
    """Every setting in the order of declaration: variable, default as shown to people, description."""
    return rows_of(Settings.model_fields)


def _names() -> Names:
    fields = Settings.model_fields
    switches = frozenset(name for name, field in fields.items() if field.annotation is bool)
    return Names(tuple(fields), switches, ALIASES)
