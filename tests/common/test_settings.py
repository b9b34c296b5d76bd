"""Settings: names, defaults, and one sentence for whatever is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from common.settings import Settings, SettingsError, load_settings, settings_table

HOME = {"HOME": "/home/ada"}


def refusal(*argv: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(argv, environ)
    return str(caught.value)


def test_the_defaults_are_the_documented_ones() -> None:
    settings = load_settings([], HOME)
    assert settings.model_dump(exclude={"threads"}) == {
        "host": "127.0.0.1",
        "http_port": 8080,
        "grpc_port": 50051,
        "grpc_target": "127.0.0.1:50051",
        "model": None,
        "models_file": None,
        "models_memory": None,
        "cache_dir": Path("/home/ada/.cache/answerd"),
        "store": "sqlite:////home/ada/.local/share/answerd/answerd.db",
        "api_keys_file": None,
        "allow_remote": False,
        "kernels": "auto",
        "provider": "auto",
        "precision": "auto",
        "slots": 16,
        "context": 4096,
        "deterministic": False,
        "speculation": True,
        "stream_interval_ms": 40,
        "queue": 128,
        "max_output_tokens": 512,
        "max_body_bytes": 16777216,
        "cors_origins": (),
        "grace_seconds": 20,
        "keep_alive_ms": 10000,
        "reasoning_events": "openai",
        "store_max_age_days": 30,
        "store_max_responses": 100000,
        "store_max_bytes": 1073741824,
        "log_format": "auto",
        "log_level": "info",
    }
    assert 1 <= settings.threads <= (os.cpu_count() or 1)


def test_the_xdg_folders_are_used_when_they_are_absolute() -> None:
    settings = load_settings([], HOME | {"XDG_CACHE_HOME": "/var/cache", "XDG_DATA_HOME": "relative"})
    assert settings.cache_dir == Path("/var/cache/answerd")
    assert settings.store == "sqlite:////home/ada/.local/share/answerd/answerd.db"


@pytest.mark.parametrize("variable", ["ANSWERD_CACHE_DIR", "ANSWERD_MODELS_FILE", "ANSWERD_API_KEYS_FILE"])
def test_the_home_of_a_user_that_there_is_not_is_refused_by_name(variable: str) -> None:
    assert refusal(**{variable: "~nobody-here/x"}) == (
        f"{variable} is '~nobody-here/x', but must be a path, and '~nobody-here' is nobody's home directory here."
    )


def test_variables_and_flags_of_the_same_name_mean_the_same() -> None:
    by_variable = load_settings([], {"ANSWERD_HTTP_PORT": "9000", "ANSWERD_MODEL": "m.gguf"})
    by_flag = load_settings(["--http-port", "9000", "--model=m.gguf"], {})
    assert by_variable.http_port == by_flag.http_port == 9000
    assert by_variable.model == by_flag.model == "m.gguf"


def test_a_flag_wins_over_a_variable() -> None:
    assert load_settings(["--slots=4"], {"ANSWERD_SLOTS": "8"}).slots == 4


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings([], {"ANSWERD_SLOTS": "", "ANSWERD_API_KEYS_FILE": ""}).slots == 16


def test_a_switch_needs_no_value() -> None:
    assert load_settings(["--allow-remote", "--slots", "2"], {}).allow_remote
    assert not load_settings(["--allow-remote=false"], {"ANSWERD_ALLOW_REMOTE": "true"}).allow_remote


def test_the_old_name_of_the_keep_alive_is_read_and_the_new_one_wins() -> None:
    assert load_settings([], {"KEEP_ALIVE_INTERVAL": "500"}).keep_alive_ms == 500
    assert load_settings([], {"KEEP_ALIVE_INTERVAL": "500", "ANSWERD_KEEP_ALIVE_MS": "700"}).keep_alive_ms == 700


def test_origins_are_separated_by_commas() -> None:
    settings = load_settings([], {"ANSWERD_CORS_ORIGINS": "https://a.example, http://localhost:3000"})
    assert settings.cors_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize(
    ("host", "target", "url"),
    [
        ("0.0.0.0", "127.0.0.1:50051", "http://0.0.0.0:8080"),
        ("::", "[::1]:50051", "http://[::]:8080"),
        ("::1", "[::1]:50051", "http://[::1]:8080"),
        ("answerd.local", "answerd.local:50051", "http://answerd.local:8080"),
    ],
)
def test_the_facade_calls_where_the_service_listens(host: str, target: str, url: str) -> None:
    settings = load_settings(["--allow-remote"], {"ANSWERD_HOST": host})
    assert (settings.grpc_target, settings.http_url) == (target, url)


def test_the_grpc_address_puts_an_ipv6_host_in_brackets() -> None:
    assert Settings(host="::1").grpc_address == "[::1]:50051"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert load_settings([], {"ANSWERD_HOST": host}).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "answerd.local"])
def test_beyond_loopback_needs_keys_or_permission_by_name(host: str) -> None:
    assert refusal(ANSWERD_HOST=host) == (
        f"ANSWERD_HOST is '{host}', which other machines may reach without a key: set ANSWERD_API_KEYS_FILE,"
        " or permit it by name with ANSWERD_ALLOW_REMOTE=true."
    )
    assert load_settings(["--allow-remote"], {"ANSWERD_HOST": host}).host == host
    assert load_settings([], {"ANSWERD_HOST": host, "ANSWERD_API_KEYS_FILE": "/etc/keys"}).host == host


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:50051", "answerd:1", "[::1]:65535", "dns:///answerd:50051", "dns:answerd", "unix:/run/answerd.sock"],
)
def test_any_target_that_grpc_can_call_is_taken(target: str) -> None:
    assert load_settings([], {"ANSWERD_GRPC_TARGET": target}).grpc_target == target


TARGET = "a gRPC target such as 127.0.0.1:50051 or dns:///answerd:50051"


@pytest.mark.parametrize(
    ("variable", "text", "allowed"),
    [
        ("ANSWERD_HTTP_PORT", "x", "a whole number from 1 to 65535"),
        ("ANSWERD_GRPC_PORT", "65536", "a whole number from 1 to 65535"),
        ("ANSWERD_HOST", "no host", "an IP address or a host name"),
        ("ANSWERD_HOST", "a" * 64, "an IP address or a host name"),
        ("ANSWERD_GRPC_TARGET", "a b", TARGET),
        ("ANSWERD_GRPC_TARGET", "localhost", TARGET),
        ("ANSWERD_GRPC_TARGET", "localhost:x", TARGET),
        ("ANSWERD_GRPC_TARGET", "localhost:65536", TARGET),
        ("ANSWERD_GRPC_TARGET", ":50051", TARGET),
        ("ANSWERD_GRPC_TARGET", "::1:50051", TARGET),
        ("ANSWERD_GRPC_TARGET", "http://localhost:50051", TARGET),
        ("ANSWERD_STORE", "/data/x.db", "sqlite:///PATH, where a fourth slash begins an absolute path"),
        ("ANSWERD_STORE", "sqlite:///", "sqlite:///PATH, where a fourth slash begins an absolute path"),
        ("ANSWERD_PROVIDER", "gpu", "one of auto, cuda, cpu"),
        ("ANSWERD_PRECISION", "8", "one of auto, int4, int8, float16, float32"),
        ("ANSWERD_THREADS", "0", "a whole number from 1 to 1024"),
        ("ANSWERD_CONTEXT", "1.5", "a whole number of at least 16"),
        ("ANSWERD_MODELS_MEMORY", "0", "a whole number of at least 1"),
        ("ANSWERD_QUEUE", "-1", "a whole number of at least 1"),
        ("ANSWERD_MAX_BODY_BYTES", "2147483648", "a whole number from 1024 to 2147483647"),
        ("ANSWERD_CORS_ORIGINS", "example", "* or origins such as https://example.org, separated by commas"),
        ("ANSWERD_GRACE_SECONDS", "nan", "a number from 0 to 86400"),
        ("ANSWERD_ALLOW_REMOTE", "perhaps", "true or false"),
        ("ANSWERD_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_refused_with_its_variable_and_what_is_allowed(variable: str, text: str, allowed: str) -> None:
    assert refusal(**{variable: text}) == f"{variable} is '{text}', but must be {allowed}."


def test_a_wrong_flag_value_names_the_flag_too() -> None:
    assert refusal("--slots", "many").startswith("ANSWERD_SLOTS (from --slots) is 'many'")
    assert refusal(KEEP_ALIVE_INTERVAL="0").startswith("ANSWERD_KEEP_ALIVE_MS (from KEEP_ALIVE_INTERVAL) is '0'")


def test_one_port_cannot_serve_both() -> None:
    assert refusal("--http-port=50051") == "ANSWERD_HTTP_PORT and ANSWERD_GRPC_PORT are both 50051; they must differ."


def test_what_is_served_is_said_in_one_place() -> None:
    assert refusal(ANSWERD_MODEL="a.gguf", ANSWERD_MODELS_FILE="models.toml") == (
        "ANSWERD_MODEL and ANSWERD_MODELS_FILE are both set, but either names what is served."
    )


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--htp-port", "1"], "--htp-port is not a flag; did you mean --http-port?"),
        (["--qqq"], "--qqq is not a flag; --help lists them all."),
        (["--slots"], "--slots (ANSWERD_SLOTS) needs a value."),
        (["--slots", "--queue=3"], "--slots (ANSWERD_SLOTS) needs a value."),
        (["serve"], "'serve' is not expected here: settings are flags such as --http-port 8080."),
    ],
)
def test_an_unknown_flag_is_refused(argv: list[str], sentence: str) -> None:
    assert refusal(*argv) == sentence


def test_an_unknown_variable_is_refused_with_the_one_probably_meant() -> None:
    assert refusal(ANSWERD_HTPP_PORT="1") == "ANSWERD_HTPP_PORT is not a setting; did you mean ANSWERD_HTTP_PORT?"
    assert refusal(ANSWERD_XYZZY="1") == "ANSWERD_XYZZY is not a setting; --help lists them all."


@given(
    name=st.sampled_from(sorted(set(Settings.model_fields) - {"model", "models_file", "cache_dir", "api_keys_file"})),
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
)
def test_any_text_is_taken_or_refused_in_one_line_that_names_its_variable(name: str, text: str) -> None:
    variable = f"ANSWERD_{name.upper()}"
    try:
        load_settings([], HOME | {variable: text})
        refused = None
    except SettingsError as error:
        refused = str(error)
    assert refused is None or (variable in refused and len(refused.splitlines()) == 1)


def test_the_table_has_every_setting_with_a_default_and_a_description() -> None:
    rows = settings_table()
    assert [row.name for row in rows] == [f"ANSWERD_{name.upper()}" for name in Settings.model_fields]
    assert all(row.default and row.description.endswith(".") for row in rows)
    assert {row.name: row.default for row in rows}["ANSWERD_ALLOW_REMOTE"] == "false"


def test_help_prints_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load_settings(["--help"], {})
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(row.name in text for row in settings_table())
    assert "--keep-alive-ms" in text


def test_settings_cannot_be_changed_or_misnamed() -> None:
    with pytest.raises(ValidationError):
        Settings().slots = 3
    with pytest.raises(ValidationError):
        Settings(slot=3)  # type: ignore[call-arg]


def test_importing_the_settings_loads_nothing_heavy() -> None:
    heavy = "{'asyncio', 'numpy', 'grpc', 'aiohttp', 'onnxruntime', 'structlog', 'rich'}"
    program = f"import sys, common.settings; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
