"""Catalog files that are hostile or odd YAML: one error, at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import load_catalog, yaml_text

MANY = "has more than 250,000 values, those that aliases repeat included"
DEEP = "is nested too deeply; write it flatter"
SELF = "holds itself through an alias; write it out"


def bomb(first: str, rest: str) -> str:
    """Ten lines, of which each repeats the one before ten times."""
    lines = [f"a: &a {first}"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        aliases = ",".join([f"*{before}"] * 10)
        lines.append(f"{name}: &{name} {rest.format(aliases)}")
    return "\n".join([*lines, "features: *j\n"])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        pytest.param(
            bomb("[x,x,x,x,x,x,x,x,x,x]", "[{}]"), "6:4", MANY, id="alias bomb"
        ),
        pytest.param(bomb("{x: 1}", "{{<<: [{}]}}"), "6:12", MANY, id="merge bomb"),
        pytest.param("[" * 5000, "1:51", DEEP, id="lists in lists"),
        pytest.param("- " * 5000, "1:101", DEEP, id="blocks in blocks"),
        pytest.param("a: {" * 5000, "1:197", DEEP, id="mappings in mappings"),
        pytest.param(
            "a0: &a0 [1]\n"
            + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 5000)),
            "50:6",
            DEEP,
            id="nested by aliases",
        ),
        pytest.param("features: &a [*a]\n", "1:15", SELF, id="list of itself"),
        pytest.param(
            "&a\nfeatures: []\nplans: *a\n", "3:8", SELF, id="mapping of itself"
        ),
        pytest.param("? &a [*a]\n: 1\n", "1:7", SELF, id="key of itself"),
        pytest.param(
            "features:\n  " + "9" * 5000,
            "2:3",
            "'999999999999999999999999999...9999999999999999999999999999' "
            "cannot be read as !!int; correct it",
            id="endless integer",
        ),
        *(
            pytest.param(
                f"features:\n- {tag} {value}\n",
                "2:3",
                f"{value!r} cannot be read as {tag}; correct it",
                id=f"{tag} {value}",
            )
            for tag, value in [
                ("!!int", "abc"),
                ("!!float", "abc"),
                ("!!bool", "maybe"),
                ("!!timestamp", "nonsense"),
                ("!!timestamp", "2024-13-45"),
            ]
        ),
        *(
            pytest.param(
                f"features:\n- {tag} ''\n",
                "2:3",
                f"'' cannot be read as {tag}; correct it",
                id=f"empty {tag}",
            )
            for tag in ("!!int", "!!float", "!!bool", "!!timestamp")
        ),
        pytest.param(
            'features: "\\UFFFFFFFF"\n',
            "1:14",
            "cannot be read: an escape",
            id="no character",
        ),
        pytest.param(
            "%YAML " + "9" * 5000 + ".1\n---\na: 1\n",
            "1:7",
            "cannot be read: an escape",
            id="endless version",
        ),
        pytest.param(
            "features: []\nplans: \0\n",
            "2",
            "has the character U+0000, which YAML does not allow; remove it",
            id="forbidden character",
        ),
        pytest.param(
            "? [a, b]\n: 3\n",
            "1:3",
            "is not YAML: found unhashable key",
            id="list as key",
        ),
    ],
)
def test_file_is_refused_with_one_error_and_its_place(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(path)
    told = str(caught.value)
    assert told.startswith(f"{path}:{place}: {message}")
    assert len(told) < 500 + len(str(path))
    assert len(told.splitlines()) == 1


def test_file_just_within_the_bound_of_values_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text("features: []\nplans: &p []\ncustomers: *p\n")
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 7)
    assert load_catalog(path).customers == ()
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 6)
    with pytest.raises(ConfigurationError, match="has more than 6 values"):
        load_catalog(path)
