"""A run's settings: what is said is taken, what is not known or of another type is refused."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig, read_toml

SECTIONS = {
    field.name: [each.name for each in dataclasses.fields(field.default_factory)]
    for field in dataclasses.fields(RunConfig)
}
KEYS = [(section, key) for section, keys in SECTIONS.items() for key in keys]
TYPES = {
    (section, field.name): str(field.type)
    for section in SECTIONS
    for field in dataclasses.fields(getattr(RunConfig(), section))
}

texts = st.text(max_size=9)
changed_sections = st.fixed_dictionaries(
    {},
    optional={
        "data": st.fixed_dictionaries(
            {},
            optional={
                "path": texts,
                "format": texts | st.none(),
                "features": texts | st.none(),
                "min_count": st.integers(1, 9),
            },
        ),
        "model": st.fixed_dictionaries(
            {}, optional={"dropout": st.floats(0, 0.9), "tie_weights": st.booleans()}
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "epochs": st.integers(1, 99),
                "learning_rate": st.floats(1e-9, 1e9),
                "beta1": st.none() | st.floats(0, 0.99),
                "rule": st.sampled_from(["adam", "adamw"]),
            },
        ),
        "decoding": st.fixed_dictionaries({}, optional={"width": st.integers(1, 9)}),
    },
)


@settings(max_examples=30, deadline=None)
@given(changed_sections)
def test_sections_round_trip_through_the_card(sections):
    config = RunConfig.from_sections(sections, "here")
    saved = json.loads(json.dumps(config.to_sections()))
    assert RunConfig.from_sections(saved, "there") == config
    for section, keys in sections.items():
        for key, value in keys.items():
            assert getattr(getattr(config, section), key) == value


def test_nothing_said_is_the_defaults():
    assert RunConfig.from_sections({}, "here") == RunConfig()
    assert RunConfig.from_sections({"model": {}}, "here") == RunConfig()


def test_every_type_of_a_setting_is_one_that_is_checked():
    assert set(TYPES.values()) <= {"str", "int", "float", "bool", "str | None", "float | None"}


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[".".join(each) for each in KEYS])
@pytest.mark.parametrize("wrong", [[1], {"a": 1}, b"x"], ids=["list", "table", "bytes"])
def test_a_value_of_no_possible_type_is_refused_by_name(section, key, wrong):
    with pytest.raises(InputError, match=rf"^here: \[{section}\]: {key} must be .*, got "):
        RunConfig.from_sections({section: {key: wrong}}, "here")


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[".".join(each) for each in KEYS])
def test_a_value_of_another_type_is_refused_by_name(section, key):
    kind = TYPES[section, key]
    wrong = {"str": 3, "int": 2.0, "float": "0.1", "bool": 1}[kind.split(" | ")[0]]
    with pytest.raises(InputError, match=rf"^here: \[{section}\]: {key} must be .*, got {wrong!r}"):
        RunConfig.from_sections({section: {key: wrong}}, "here")
    if kind in ("int", "float", "float | None"):
        with pytest.raises(InputError, match=f"{key} must be .*, got True"):
            RunConfig.from_sections({section: {key: True}}, "here")
    if not kind.endswith("None"):
        with pytest.raises(InputError, match=f"{key} must be .*, got None"):
            RunConfig.from_sections({section: {key: None}}, "here")


def test_a_whole_number_is_a_number():
    config = RunConfig.from_sections({"training": {"clip_norm": 1, "eps": 2}}, "here")
    assert (config.training.clip_norm, config.training.eps) == (1.0, 2.0)
    assert type(config.training.clip_norm) is type(config.training.eps) is float


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan")])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(InputError, match="clip_norm must be"):
        RunConfig.from_sections({"training": {"clip_norm": value}}, "here")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"trainig": {}}, "here: section 'trainig' is unknown; did you mean training?"),
        ({"zzz": {}}, "here: section 'zzz' is unknown; there are data, model, training, decoding"),
        ({"data": {"min_cout": 1}}, "[data]: key 'min_cout' is unknown; did you mean min_count?"),
        ({"model": {"hiden": 1}}, "[model]: key 'hiden' is unknown; did you mean hidden_dim?"),
        ({"model": {"num_layers": 101}}, "num_layers must be at most 100, got 101"),
        ({"model": {"qqq": 1}}, "key 'qqq' is unknown; there are cell_type, wordvec_dim"),
        ({"training": 3}, "[training] must be a section of keys, got 3"),
    ],
)
def test_what_is_unknown_is_refused_with_the_nearest_name(sections, message):
    with pytest.raises(InputError) as caught:
        RunConfig.from_sections(sections, "here")
    assert message in str(caught.value)


def test_toml_is_read(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text('[data]\npath = "é"\n[training]\nepochs = 3\n', encoding="utf-8")
    assert read_toml(path) == {"data": {"path": "é"}, "training": {"epochs": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[data\n", "not TOML.*line 1"),
        (b"a = 1\na = 2\n", "not TOML"),
        (b"\xff", "cannot be read"),
        (b"a = " + b"9" * 5000, "not TOML"),
        (b"a = " + b"[" * 100_000, "not TOML"),
        (None, "cannot be read"),
    ],
    ids=["torn", "twice", "no text", "huge number", "deep", "missing"],
)
def test_toml_that_is_none_is_refused_by_file(tmp_path, content, message):
    path = tmp_path / "recipe.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"recipe\.toml: {message}"):
        read_toml(path)
