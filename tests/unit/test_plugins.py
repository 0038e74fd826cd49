"""Rules from other distributions: found, loaded only where they are used, refused with a sentence if they can't be."""

from __future__ import annotations

import importlib
import re
import sys
from itertools import count
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from routegen.cli import cli
from routegen.common.problems import InputError
from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen.explain import knowledge
from routegen.explain.gateway import Request
from routegen.explain.report import explain
from routegen.spec.schema import json_schema
from routegen_router.config import ConfigError, dump, load
from routegen_router.decide import Route, Step, decide
from routegen_router.refusals import Reject
from routegen_router.rules import Prefer, Rule
from routegen_router.rules.table import FORMS, table
from support.distributions import distribution, rule
from support.policy import BACKENDS, config, facts, view

HEAD = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  backends:
    vllm: {endpoints: [10.0.0.1:8000], ownedBy: vllm, models: [m]}
    sglang: {endpoints: [10.0.0.2:8000], ownedBy: sglang, models: [m]}
  rules:
"""
TAKE = """\
left = tuple(one for one in standing.candidates if any(one in standing.bearing(name) for name in self.to))
return Narrow(left, lambda: "taken") if left else Pass(lambda: "not taken")
"""
VERBS = ", ".join(FORMS)
AT = "routes.yaml:9 $.spec.rules[0]"
INSTEAD = "let authentication set its own header"
NUMBER = count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    return Installer(tmp_path, monkeypatch)


class Installer:
    """Makes distributions, each with a module name that no other test has used."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch

    def __call__(self, verb: str, code: str, *, name: str = "", reference: str = "R") -> str:
        """Install one; its name."""
        name = name or f"acme-{verb.lower()}-{next(NUMBER)}"
        module = name.replace("-", "_")
        folder = distribution(self.folder / name, name, {verb: f"{module}:{reference}"}, code)
        self._patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return name


def problems(rules: str) -> list[str]:
    with pytest.raises(InputError) as raised:
        compile_text(HEAD + rules, "routes.yaml")
    return [str(problem) for problem in raised.value.problems]


def test_its_verb_is_used_like_a_built_in_one(install: Installer) -> None:
    name = install("take", rule("take", TAKE))
    plan = compile_text(HEAD + "    - {name: mine, take: [sglang], when: {model: m}}\n    - split: {vllm: 1}\n", "r")
    made = router_config(plan)
    assert made.requires == (name,)
    assert load(dump(made)) == made
    report = explain(plan, knowledge.static(made), Request("POST", plan.paths[0], (), b'{"model": "m"}'), lambda: 0.0)
    assert (report.backend, report.rule) == ("sglang", "mine")


def test_its_mistakes_have_lines_like_those_of_a_built_in_one(install: Installer) -> None:
    install("take", rule("take", TAKE))
    assert problems(
        "    - take: [gold]\n    - {take: [vllm], onUnknown: next}\n    - {take: 1}\n    - {tak: [vllm]}\n"
    ) == [
        'routes.yaml:9 $.spec.rules[0].take[0]: unknown name "gold"; known: sglang, vllm',
        "routes.yaml:10 $.spec.rules[1].onUnknown: goes with body or header or query, not with take",
        "routes.yaml:11 $.spec.rules[2].take: must be a list, not 1; one entry is written […]",
        f'routes.yaml:12 $.spec.rules[3]: unknown verb "tak"; did you mean "take"? known: {VERBS}, take',
    ]


def test_headers_and_fields_that_it_reads_are_checked_and_forwarded(install: Installer) -> None:
    fields = "by: Annotated[Source, Verb('pick', 'Where.')]\n    else_by: Annotated[Source | None, Key('Or.')] = None"
    install("pick", rule("pick", "return Pass(lambda: 'no')", fields))
    assert problems("    - {pick: {header: cookie}, elseBy: {body: model.x}}\n") == [
        f'{AT}.elseBy.body: "model" can\'t be text and hold "model.x" as well; rules may read one of the two',
        f'{AT}.pick.header: "cookie" holds credentials, which the router never sees; {INSTEAD}',
    ]
    plan = compile_text(HEAD + "    - {pick: {header: X-A}, elseBy: {body: b.c}}\n    - split: {vllm: 1}\n", "r")
    assert [str(source) for source in plan.rules[0].sources()] == ["header: x-a", "body: b.c"]


def test_nothing_is_loaded_that_the_file_does_not_use(install: Installer) -> None:
    name = install("boom", "raise RuntimeError('loaded')")
    compile_text(HEAD + "    - prefer: [vllm]\n    - split: {vllm: 1}\n", "routes.yaml")
    assert name.replace("-", "_") not in sys.modules
    (problem,) = problems("    - boom: [vllm]\n")
    assert problem == (f"routes.yaml:9 $.spec.rules[0].boom: boom of {name} can't be loaded: RuntimeError: loaded")


@pytest.mark.parametrize("verb", ["take", "split"])
def test_a_verb_that_is_claimed_twice_names_both(install: Installer, verb: str) -> None:
    first = install(verb, rule(verb, TAKE))
    second = "routegen" if verb == "split" else install(verb, rule(verb, TAKE))
    claimed = " and by ".join(sorted([first, second])[:: -1 if verb == "split" else 1])
    told = f'"{verb}" is claimed by {claimed}; uninstall all but one of them'
    assert problems(f"    - prefer: [vllm]\n    - {verb}: [vllm]\n") == [
        f"routes.yaml:10 $.spec.rules[1].{verb}: {told}"
    ]
    compile_text(HEAD + "    - prefer: [vllm]\n    - reject: No.\n", "routes.yaml")
    listed = CliRunner().invoke(cli, ["plugins"])
    assert listed.exit_code == 1
    assert told in listed.stderr


@pytest.mark.parametrize(
    ("code", "reference", "told"),
    [
        ("R = 1", "R", "is no rule: it must be a subclass of routegen_router.rules.Rule"),
        ("class R(Rule, frozen=True, kw_only=True, tag='odd'): pass", "R", "has no field with a Verb"),
        (rule("other", TAKE).replace('"other"', '"odd"', 1), "R", 'is written with other; its entry point says "odd"'),
        (rule("odd", TAKE, "to: int"), "R", "doesn't say how it is written: R.to has neither a Key nor a Verb"),
        (
            rule("odd", TAKE, "to: Annotated[str, Verb('odd', 'O.')]\n    split: Annotated[str, Key('S.')] = ''"),
            "R",
            'its key "split" is a verb, or a key that every rule has',
        ),
        (rule("odd", TAKE), "Missing", "can't be loaded: AttributeError"),
        (rule("odd", TAKE).replace("'odd'", "'even'"), "R", "is written with even"),
        (rule("odd", TAKE).replace('tag="odd"', 'tag="even"'), "R", "must be declared with"),
    ],
)
def test_what_is_no_rule_is_refused(install: Installer, code: str, reference: str, told: str) -> None:
    install("odd", code, reference=reference)
    (problem,) = problems("    - odd: [vllm]\n")
    assert told in problem
    assert CliRunner().invoke(cli, ["plugins"]).exit_code == 1


@pytest.mark.parametrize("verb", ["when", "name", "values", "stickyBy"])
def test_a_key_that_rules_have_is_no_verb(install: Installer, verb: str) -> None:
    name = install(verb, rule(verb, TAKE))
    compile_text(HEAD + "    - {name: x, body: t, values: {a: vllm}, when: {model: m}}\n    - split: {vllm: 1}\n", "r")
    listed = CliRunner().invoke(cli, ["plugins"])
    assert listed.exit_code == 1
    assert f'of {name}: "{verb}" is a key that rules have, and can\'t be a verb' in listed.stderr


def test_a_field_that_yaml_cannot_hold_is_the_authors_mistake(install: Installer) -> None:
    install("odd", rule("odd", TAKE, "to: Annotated[bytes, Verb('odd', 'Bytes.')]"))
    (problem,) = problems("    - odd: [vllm]\n")
    assert "routes.yaml can't hold a <class 'bytes'>" in problem


def test_the_schema_and_the_list_have_it(install: Installer) -> None:
    name = install("take", rule("take", TAKE))
    assert "TakeRule" in json_schema()["$defs"]
    listed = CliRunner().invoke(cli, ["plugins"])
    assert listed.exit_code == 0
    assert re.search(rf"^  take +{name} 1\.0 +Try something\.$", listed.stdout, re.MULTILINE)
    assert "`" not in listed.stdout, "a docstring's markup"
    assert table().owners("take") == [name]


def test_a_router_without_it_refuses_the_file(install: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    name = install("take", rule("take", TAKE))
    data = dump(router_config(compile_text(HEAD + "    - take: [vllm]\n", "routes.yaml")))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if name not in entry])
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match=f"^router.json: needs {name}, which is not installed here"):
        load(data, origin="router.json")


@pytest.mark.parametrize(
    ("requires", "told"),
    [([], 'the rule "take" is brought by {name}, which "requires" doesn\'t name'), (["acme"], "needs acme, which")],
)
def test_a_file_that_does_not_say_what_it_needs_is_refused(install: Installer, requires: list[str], told: str) -> None:
    name = install("take", rule("take", TAKE))
    made = router_config(compile_text(HEAD + "    - take: [vllm]\n", "routes.yaml"))
    with pytest.raises(ConfigError) as raised:
        load(dump(msgspec.structs.replace(made, requires=tuple(requires))))
    assert told.format(name=name) in str(raised.value)


def test_a_kind_that_nobody_brings_is_refused() -> None:
    data = dump(config(BACKENDS)).replace(b'"rules": []', b'"rules": [{"kind": "gone", "name": "x"}]')
    with pytest.raises(ConfigError, match='no rule is called "gone"'):
        load(data)


def loaded(install: Installer, choose: str) -> Rule:
    install("odd", rule("odd", choose))
    (found,) = compile_text(HEAD + "    - odd: [vllm]\n", "routes.yaml").rules
    return found


@pytest.mark.parametrize(
    ("choose", "fault"),
    [
        ("raise KeyError('a prompt')", "KeyError at acme_odd_"),
        ("raise SystemExit(0)", "SystemExit at acme_odd_"),
        ("return None", "it answered NoneType"),
        ("return 'sglang'", "it answered str"),
        ("return Narrow((), lambda: '')", "it narrowed to no candidate"),
        ("return Narrow(None, lambda: '')", "TypeError at decide.py"),
        ("return Narrow(('nobody',), lambda: '')", "it narrowed to no candidate"),
        ("return Decide('trtllm', lambda: '')", "it decided for no candidate"),
        ("return Decide(['sglang'], lambda: '')", "it decided for no candidate"),
        ("return Refuse(Reject(200, 'fine', 'Fine.'))", "a refusal without an error's status"),
        ("return Refuse(None)", "AttributeError at decide.py"),
        ("standing.candidates = ('trtllm',)\nreturn Decide('trtllm', lambda: '')", "it decided for no candidate"),
    ],
)
def test_a_rule_that_fails_is_a_500_and_never_a_pass(install: Installer, choose: str, fault: str) -> None:
    failing = loaded(install, choose)
    made = config(BACKENDS, (failing, Prefer(name="later", names=("sglang",))))
    trace: list[Step] = []
    decision = decide(facts(model="llama"), made, view(made), lambda: 0.0, trace)
    assert isinstance(decision, Reject)
    assert (decision.status, decision.code, decision.rule) == (500, "rule_failed", failing.name)
    assert decision.fault is not None
    assert fault in decision.fault
    assert "a prompt" not in decision.fault + decision.message
    assert trace[-1].outcome == "rejected"


def test_what_a_rule_widens_is_cut_back_to_the_candidates(install: Installer) -> None:
    widening = loaded(install, "return Narrow(('trtllm', 'sglang', 'sglang'), lambda: 'all of them')")
    made = config(BACKENDS, (widening,))
    assert decide(facts(model="llama"), made, view(made), lambda: 0.0) == Route("sglang", widening.name)


def test_explain_says_what_is_broken(install: Installer) -> None:
    install("odd", rule("odd", "return self.missing"))
    plan = compile_text(HEAD + "    - odd: [vllm]\n", "routes.yaml")
    known = knowledge.static(router_config(plan))
    report = explain(plan, known, Request("POST", plan.paths[0], (), b"{}"), lambda: 0.0)
    assert report.code == "rule_failed"
    assert any("the rule 'odd' failed: AttributeError at acme_odd_" in warning for warning in report.warnings), (
        report.warnings
    )
