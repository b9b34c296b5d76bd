"""The models file: what it says of each model, and one sentence for whatever is wrong in it."""

from pathlib import Path

import pytest

from common.settings import Settings, SettingsError
from service.models.spec import specs_of

TWO = """
[models.small]
source = "default"

[models."org/large:q4"]
source = "hf:org/large"
precision = "float16"
context = 2048
slots = 2
at_start = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "models.toml"


def test_without_a_file_the_one_model_of_the_settings_is_served() -> None:
    [spec] = specs_of(Settings(model="m.gguf", precision="int4", context=64, slots=3))
    assert (spec.name, spec.source, spec.precision, spec.context, spec.slots) == (None, "m.gguf", "int4", 64, 3)
    assert spec.at_start
    assert spec.fault("it is red") == "ANSWERD_MODEL is 'm.gguf', but it is red."


def test_models_come_in_the_order_of_the_file_and_the_first_is_loaded_at_the_start(file: Path) -> None:
    file.write_text(TWO)
    small, large = specs_of(Settings(models_file=file, context=512, slots=7))
    assert (small.name, small.source, small.precision, small.context, small.slots) == (
        "small",
        "default",
        "auto",
        512,
        7,
    )
    assert small.at_start
    assert (large.name, large.source, large.precision) == ("org/large:q4", "hf:org/large", "float16")
    assert (large.context, large.slots, large.at_start) == (2048, 2, True)
    assert large.fault("it is red").startswith(
        f"The source of the model 'org/large:q4' in {file} is 'hf:org/large', but"
    )


def test_a_later_model_waits_until_it_is_asked_for_unless_it_says_otherwise(file: Path) -> None:
    file.write_text('[models.a]\nsource = "default"\n[models.b]\nsource = "default"\n')
    assert [spec.at_start for spec in specs_of(Settings(models_file=file))] == [True, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must have tables [models.NAME], at least one, and no others."),
        ("[models]", "must have tables [models.NAME], at least one, and no others."),
        ("models = 3", "must have tables [models.NAME], at least one, and no others."),
        ('[models.a]\nsource = "x"\n[other]', "must have tables [models.NAME], at least one, and no others."),
        ("[models", "is not TOML: "),
        ("[models.a]", "[models.a]: source is missing."),
        ("[models]\na = 1", "[models.a]: it must be a table with the key source."),
        ("[models.a]\nsource = 1", "source is 1, but must be a path, hf:owner/name[:file] or default."),
        ('[models.a]\nsource = ""', "source is '', but must be a path, hf:owner/name[:file] or default."),
        ('[models.a]\nsource = "x"\nslots = 0', "slots is 0, but must be a whole number from 1 to 1024."),
        ('[models.a]\nsource = "x"\nslots = true', "slots is True, but must be a whole number from 1 to 1024."),
        ('[models.a]\nsource = "x"\ncontext = 3.5', "context is 3.5, but must be a whole number of at least 16."),
        ('[models.a]\nsource = "x"\nprecision = "int3"', "precision is 'int3', but must be one of auto, int4, "),
        ('[models.a]\nsource = "x"\nat_start = "no"', "at_start is 'no', but must be true or false."),
        ('[models.a]\nsource = "x"\nsource_ = "y"', "source_ is not a key; there are source, precision, context, "),
        (
            '[models."a b"]\nsource = "x"',
            "[models.'a b']: a name has 1 to 128 letters, digits or any of . _ : / @ + -.",
        ),
        ('[models.default]\nsource = "x"', "default stands for the first model of the file and cannot be a name."),
        ('[models.qwen2.5]\nsource = "x"', "[models.qwen2]: a name with a dot is put in quotes: [models.'qwen2.5']."),
        ('[models.a.b.c]\nsource = "x"', "[models.a]: a name with a dot is put in quotes: [models.'a.b.c']."),
        (
            '[models.a]\nsource = "x"\n[models.a.5]\nsource = "y"',
            "[models.a]: a name with a dot is put in quotes: [models.'a.5'].",
        ),
        ("a = " + "[" * 100_000, "is not TOML: "),
    ],
)
def test_what_is_wrong_in_the_file_is_one_sentence(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        specs_of(Settings(models_file=file))
    assert str(caught.value).startswith(f"ANSWERD_MODELS_FILE: {file}")
    assert told in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("hostile", [r"a\nb\u001b[31mc\u202e", "n" * 100_000], ids=["control", "long"])
@pytest.mark.parametrize(
    "text",
    [
        '[models."{}"]\nsource = "x"',
        '[models.a."{}"]\nsource = "x"',
        '[models.a]\nsource = "x"\n"{}" = 1',
        '[models.a]\nsource = "x"\nprecision = "{}"',
        '[models.a]\nsource = ["{}"]',
        '["{0}"]\n["{0}"]',
    ],
)
def test_text_of_the_file_is_shown_harmless_and_short(file: Path, text: str, hostile: str) -> None:
    file.write_text(text.format(hostile))
    with pytest.raises(SettingsError) as caught:
        specs_of(Settings(models_file=file))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(file)) + 500


def test_a_source_is_shown_harmless_and_short() -> None:
    for source in ("a\nb\x1b[31m", "n" * 100_000):
        [spec] = specs_of(Settings(model=source))
        assert spec.fault("it is red").isprintable()
        assert len(spec.fault("it is red")) < 500


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path, file: Path) -> None:
    with pytest.raises(SettingsError, match=r"ANSWERD_MODELS_FILE: .*models.toml cannot be read: No such file"):
        specs_of(Settings(models_file=file))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not TOML"):
        specs_of(Settings(models_file=file))
