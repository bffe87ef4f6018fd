"""Everything that is wrong with a spec, at once, each with its line and its cure."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver_py.errors import OperatorError
from mailserver_py.spec.load import load_site
from tests.spec.sites import SMALLEST, findings_of, spec_of, write_site

TEN_MISTAKES = """\
domains:
  example.org:
    dmark: {policy: reject}
hosts:
  mx1.example.org:
    ipv4: 10.0.0.1
accounts:
  alice@example.org:
    quota: 5
    aliases: [bob@example.org]
  bob@example.org:
  carol@exmple.org:
groups:
  team@example.org: {members: [all@example.org]}
  all@example.org: {members: [team@example.org, nobody@example.org]}
tls: {source: acmee}
dns: {publish: rfc2136}
limits: {recipients: 5}
retention: {junk: 30 dayz}
"""


def test_ten_mistakes_are_ten_findings_with_lines_and_cures() -> None:
    found = findings_of(TEN_MISTAKES)
    assert [line for line, _, _ in found] == [3, 6, 9, 11, 12, 14, 15, 16, 17, 18, 19]
    assert all(cure for _, _, cure in found)
    texts = "\n".join(f"{text} → {cure}" for _, text, cure in found)
    for words in (
        "did you mean `dmarc`?",
        "network: private",
        "has no unit",
        "bob@example.org",
        "did you mean carol@example.org?",
        "team@example.org → all@example.org → team@example.org",
        "nobody has the address nobody@example.org",
        "did you mean `acme`?",
        "rfc2136: {server: …, key_name: …}",
        "greater than or equal to 100",
        "'dayz' is no unit",
    ):
        assert words in texts


def test_the_smallest_spec_is_sound() -> None:
    spec = spec_of(SMALLEST)
    assert list(spec.accounts) == ["alice@example.org"]
    assert spec.limits.message_size == 26_214_400


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "empty"),
        ("- a\n- b\n", 1, "keys and values"),
        ("domains:\n  example.org: {\n", 3, "no YAML"),
        ("domains:\n\texample.org:\n", 2, "no YAML"),
        ("a: 'x\n", 2, "no YAML"),
        ("a: *x\n", 1, "no YAML"),
        ("a: @x\n", 1, "no YAML"),
    ],
)
def test_a_syntax_error_names_its_line(text: str, line: int, words: str) -> None:
    ((found_line, found_text, cure),) = findings_of(text)
    assert (found_line, words in found_text, cure != "") == (line, True, True)


def test_a_key_that_stands_twice_is_refused() -> None:
    found = findings_of(SMALLEST + "accounts:\n  bob@example.org:\n")
    assert found == [
        (8, "'accounts' stands here a second time; the first is in line 6", "keep one of the two")
    ]


def test_two_spellings_of_one_name_are_one() -> None:
    found = findings_of(SMALLEST + "  Alice@Example.ORG: {}\n")
    assert [(line, "same name" in text) for line, text, _ in found] == [(8, True)]


def test_merge_keys_and_tags_are_refused() -> None:
    found = findings_of(SMALLEST + "postmaster: !secret alice@example.org\nlimits:\n  <<: {}\n")
    assert [line for line, _, _ in found] == [8, 10]


def test_aliases_of_aliases_do_not_explode() -> None:
    levels = "\n".join(f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12))
    found = findings_of(f"x0: &x0 [a]\n{levels}\n")
    assert any("too large" in text for _, text, _ in found)


def test_deep_nesting_is_refused_not_followed() -> None:
    found = findings_of("a: " + "[" * 600 + "]" * 600)
    assert len(found) >= 1


def test_a_cut_part_does_not_cause_findings_of_its_own() -> None:
    found = findings_of(SMALLEST.replace("192.0.2.10", "192.0.2.1000"))
    assert [(line, "IPv4" in text) for line, text, _ in found] == [(5, True)]


def test_a_missing_section_is_named_with_its_meaning() -> None:
    found = findings_of("domains:\n  example.org:\naccounts:\n  a@example.org:\n")
    assert [text for _, text, _ in found] == ["`hosts` is missing of the spec"] or "hosts" in found[0][1]


def test_a_list_item_is_named_by_its_own_line() -> None:
    text = SMALLEST.replace(
        "alice@example.org:", "alice@example.org:\n    aliases:\n    - b@example.org\n    - c@x@y"
    )
    assert [line for line, _, _ in findings_of(text)] == [10]


def test_an_unknown_site_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path / "inventories/example")
    monkeypatch.chdir(tmp_path)
    assert load_site("example").name == "example"
    with pytest.raises(OperatorError, match="did you mean `example`"):
        load_site("exmaple")


def test_a_site_is_found_by_folder_and_by_file(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    assert load_site(tmp_path / "site").spec == load_site(tmp_path / "site/mail.yaml").spec


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mail.yaml").write_bytes(b"domains: \xff\xfe")
    with pytest.raises(OperatorError, match="UTF-8"):
        load_site(tmp_path)


KEYS = st.sampled_from(
    [
        *(
            "domains",
            "hosts",
            "accounts",
            "groups",
            "tls",
            "dns",
            "rfc2136",
            "limits",
            "verification",
            "stranger",
        ),
        *(
            "example.org",
            "mx1.example.org",
            "alice@example.org",
            "ipv4",
            "aliases",
            "catch_all",
            "retry",
            "queue",
        ),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | KEYS
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_any_tree_is_a_spec_or_findings_with_lines(tree: dict[str, object]) -> None:
    for line, text, _ in findings_of(json.dumps(tree, indent=1)):
        assert line >= 0
        assert text


@given(st.text(max_size=200))
def test_any_text_is_a_spec_or_findings(text: str) -> None:
    assert findings_of(text)


@given(
    st.integers(min_value=0, max_value=len(TEN_MISTAKES)),
    st.text(alphabet=" \t\n:-{}[]'\"#&*!|>%@`,?x", max_size=4),
)
def test_a_spec_with_anything_typed_into_it_is_findings(place: int, typed: str) -> None:
    assert findings_of(TEN_MISTAKES[:place] + typed + TEN_MISTAKES[place:])
