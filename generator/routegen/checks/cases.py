"""A file of cases: what is known of the engines, requests, and what must happen to each. From text to models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from routegen.common.files import unreadable
from routegen.common.positions import Document, read_documents
from routegen.common.problems import InputError, Problem
from routegen.spec import models
from routegen.spec.base import Model
from routegen.spec.models import Method
from routegen.spec.rules import Verbs
from routegen.spec.scalars import Owner, Text, Weight, wrong
from routegen.spec.sentences import place, sentence

API_VERSION: Final = "routegen/v1alpha1"
KIND: Final = "RouteCases"
T = TypeVar("T", bound=BaseModel)


class EngineCase(Model):
    """What one engine has told: it answers its poll."""

    models: list[Text] = Field([], description="The models that it serves.")
    owned_by: Owner | None = Field(None, description="What it says as `owned_by`.")


class RequestCase(Model):
    """A request as a client sends it; a POST without a body has the body `{}`."""

    method: Method = Field("POST", description="Its method.")
    path: Text | None = Field(None, description="Its path; default: the first of the routes' paths.")
    headers: dict[str, str] = Field({}, description="Its headers.")
    body: dict[str, Any] | None = Field(None, description="Its body, written as YAML.")
    body_text: str | None = Field(None, description="Its body, as text: for bodies that are no JSON object.")
    body_file: Text | None = Field(None, description="A file with its body, relative to this one.")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if sum(given is not None for given in (self.body, self.body_text, self.body_file)) > 1:
            raise wrong("has several of body, bodyText and bodyFile; one body is enough")
        return self


class ExpectCase(Model):
    """What must happen; all that is given."""

    backend: Text | None = Field(None, description="The backend that gets every such request.")
    shares: dict[str, Weight] | None = Field(
        None, min_length=1, description="Backend -> its share of such requests, relative to each other."
    )
    within: float = Field(0.01, ge=0, le=1, description="How far a share may be off: 0.01 is one percent of all.")
    rule: Text | None = Field(None, description="The rule that decides or refuses.")
    code: Text | None = Field(None, description="The error code of the refusal.")
    status: int | None = Field(None, ge=100, le=599, description="The status of the gateway's own answer.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if all(given is None for given in (self.backend, self.shares, self.rule, self.code, self.status)):
            raise wrong("expects nothing; add backend, shares, rule, code or status")
        if self.shares is not None and (self.backend is not None or self.code is not None):
            raise wrong("shares say where requests go; leave out backend and code")
        if self.shares is not None and not any(self.shares.values()):
            raise wrong("needs a share above 0")
        return self


class Case(Model):
    """One request and what must happen to it."""

    name: Text = Field(description="What the case shows.")
    down: list[Text] = Field([], description="Engines that have stopped answering.")
    request: RequestCase = Field(RequestCase(), description="The request.")
    expect: ExpectCase = Field(description="What must happen.")


class Cases(Model):
    """A file of cases."""

    api_version: Literal["routegen/v1alpha1"] = Field(description="The format's version.")
    kind: Literal["RouteCases"] = Field(description="The format's name.")
    engines: dict[str, EngineCase] = Field({}, description="Backend -> what its engine has told; others haven't yet.")
    cases: list[Case] = Field(min_length=1, description="The cases.")


def read_cases(path: Path) -> tuple[Cases, Document]:
    """Read a file of cases.

    :raises InputError: with all that is wrong with it.
    :raises UserError: there is no such file, or it can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(path, error, "a file of cases is written as docs/testing.md shows") from error
    except UnicodeDecodeError as error:
        raise InputError([Problem(str(path), 0, "", "is not UTF-8")]) from error
    documents, problems = read_documents(text, str(path), leading_zeros=False)
    if problems:
        raise InputError(problems)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        what = f"must be one mapping that begins with apiVersion: {API_VERSION} and kind: {KIND}"
        raise InputError([Problem(str(path), 1, "", what)])
    (document,) = documents
    if document.value.get("kind") == models.KIND:
        what = f"is a routes.yaml, which is given with -f; a file of cases has kind: {KIND} (docs/testing.md)"
        raise InputError([document.problem(("kind",), what)])
    return validated(Cases, document), document


def validated(kind: type[T], document: Document) -> T:
    """The document's value as a model.

    :raises InputError: with a sentence for everything that doesn't fit.
    """
    try:
        return kind.model_validate(document.value)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise InputError(
            document.problem(place(detail, kind), sentence(detail, kind, Verbs((), ()))) for detail in found
        ) from error
