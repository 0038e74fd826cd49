"""What a shell script in a container's command runs, as far as that can be told without running it.

The part of the POSIX shell language (XCU chapter 2) that start scripts use: quoting, variables with defaults,
assignments, lists of commands, ``eval`` and ``sh -c``. What only a running shell can know (command substitution,
variables that the image sets, globs) makes a word unknown; it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAX_DEPTH = 5
_MAX_SCRIPT = 100_000
_SHELLS = {"sh", "bash", "dash", "ash", "zsh"}
_OPENING = {"if", "for", "while", "until", "case", "select", "function"}
_CLOSING = {"fi", "done", "esac"}
_KEYWORDS = _OPENING | _CLOSING | {"then", "else", "elif", "do", "in", "{", "}", "!"}
_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_BRACED = re.compile(r"\{([A-Za-z_]\w*)(?:(:?[-=])([^{}$`]*))?\}")


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line."""

    text: str
    unknown: str = ""
    """Why the text can't be told; empty where it can."""
    source: int = 0
    """Which item of the container's command and args it comes from."""
    many: bool = False
    """What is unknown may be several words, flags among them."""


Variables = Mapping[str, Word]


@dataclass(frozen=True, slots=True)
class Run:
    """One command that is run."""

    words: tuple[Word, ...]
    variables: Variables
    """What the script has set by then, on top of the container's environment."""
    conditional: bool = False
    """It stands in an ``if``, a loop or behind ``||``: it may not run, or run differently."""


def commands(words: tuple[Word, ...], variables: Variables) -> list[Run]:
    """The commands that ``words`` come to: itself, or those of the script that it hands to a shell."""
    return _unfold(Run(words, variables), 0)


def _unfold(run: Run, depth: int) -> list[Run]:
    words = run.words
    while words and words[0].text in {"exec", "command", "nohup", "time"}:
        words = words[1:]
    if not words or depth > _MAX_DEPTH:
        return [run]
    script, arguments = None, words[:0]
    if PurePosixPath(words[0].text).name in _SHELLS:
        for index, word in enumerate(words[1:], 1):
            if re.fullmatch(r"-[a-z]*c", word.text) and index + 1 < len(words):
                script, arguments = words[index + 1], words[index + 2 :]
                break
    elif words[0].text == "eval" and not any(word.unknown for word in words):
        script = Word(" ".join(word.text for word in words[1:]), "", words[0].source)
    if script is None or script.unknown or len(script.text) > _MAX_SCRIPT:
        return [run]
    found = []
    for inner in _Script(script, run.variables, arguments).read():
        both = Run(inner.words, inner.variables, inner.conditional or run.conditional)
        found += _unfold(both, depth + 1)
    return found


class _Script:
    """Reads one script from left to right."""

    def __init__(self, script: Word, variables: Variables, arguments: tuple[Word, ...]) -> None:
        self.text, self.source = script.text.replace("\\\n", " "), script.source
        self.variables = dict(variables)
        self.arguments = arguments[1:]  # the first is $0
        self.position = 0
        self.runs: list[Run] = []
        self.words: list[Word] = []
        self.parts: list[str] = []
        self.unknown = ""
        self.many = False
        self.open = False  # a word has begun
        self.quoted = False
        self.depth = 0
        self.after_or = False

    def read(self) -> list[Run]:
        while self.position < len(self.text):
            self._step()
        self._end_command()
        return self.runs

    def _step(self) -> None:
        character = self.text[self.position]
        self.position += 1
        if character == "'":
            self._take(self._until("'"))
            self.quoted = True
        elif character == '"':
            self._double()
        elif character == "\\":
            self._take(self.text[self.position : self.position + 1])
            self.position += 1
        elif character in "$`":
            self._expand(character, quoted=False)
        elif character in " \t\r":
            self._end_word()
        elif character == "#" and not self.open:
            self._until("\n")
            self._end_command()
        elif character in ";&|\n()":
            self._operator(character)
        elif character in "<>":
            self._redirect()
        else:
            self._take(character)

    def _operator(self, character: str) -> None:
        doubled = self.text[self.position : self.position + 1] == character
        if doubled:
            self.position += 1
        self._end_command()
        self.after_or = character == "|" and doubled
        if character == "(":
            self.depth += 1
        elif character == ")":
            self.depth = max(0, self.depth - 1)

    def _redirect(self) -> None:
        if self.parts and "".join(self.parts).isdigit():
            self.parts, self.open = [], False  # the 2 of 2>
        self._end_word()
        while self.text[self.position : self.position + 1] in tuple("<>& \t-"):
            self.position += 1
        while self.position < len(self.text) and self.text[self.position] not in " \t\n;&|()":
            self.position += 1

    def _double(self) -> None:
        self.open = self.quoted = True
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == '"':
                return
            if character == "\\" and self.text[self.position : self.position + 1] in tuple('$`"\\\n'):
                self._take(self.text[self.position : self.position + 1])
                self.position += 1
            elif character in "$`":
                self._expand(character, quoted=True)
            else:
                self._take(character)

    def _expand(self, character: str, *, quoted: bool) -> None:
        self.open = True
        if character == "`":
            self._until("`")
            self._doubt("a command's output is known only when it runs", quoted=quoted)
            return
        following = self.text[self.position : self.position + 1]
        if following == "(":
            self._until_closed()
            self._doubt("a command's output is known only when it runs", quoted=quoted)
        elif following in {"@", "*"}:
            self.position += 1
            self._arguments()
        elif braced := _BRACED.match(self.text, self.position):
            self.position = braced.end()
            self._variable(braced[1], braced[3] if braced[2] else None, quoted=quoted)
        elif name := _NAME.match(self.text, self.position):
            self.position = name.end()
            self._variable(name[0], None, quoted=quoted)
        elif following == "{":
            expression = self._until("}")
            self.unknown = f"${expression}}} is known only to a running shell"
        elif following.isalnum() or following in {"?", "$", "!", "#", "-"}:
            self.position += 1
            self.unknown = f"${following} is known only to a running shell"
        else:
            self._take("$")

    def _arguments(self) -> None:
        """``"$@"``: the words behind the script, each a word of its own."""
        for argument in self.arguments:
            self.parts.append(argument.text)
            self.unknown = self.unknown or argument.unknown
            self.open = self.quoted = True
            self._end_word(source=argument.source)
        self.open = False

    def _variable(self, name: str, fallback: str | None, *, quoted: bool) -> None:
        word = self.variables.get(name)
        if word is None and fallback is not None:
            word = Word(fallback)
        if word is None:
            self._doubt(f"${name} is not set in the manifest; the image may set it", quoted=quoted)
        elif word.unknown:
            self.unknown = word.unknown
        elif quoted or not re.search(r"\s", word.text):
            self._take(word.text)
        else:
            pieces = word.text.split()
            for piece in pieces[:-1]:
                self._take(piece)
                self._end_word()
            self._take(pieces[-1] if pieces else "")

    def _doubt(self, reason: str, *, quoted: bool) -> None:
        self.unknown = reason
        self.many = self.many or not quoted

    def _take(self, text: str) -> None:
        self.parts.append(text)
        self.open = True

    def _until(self, end: str) -> str:
        stop = self.text.find(end, self.position)
        stop = len(self.text) if stop < 0 else stop
        taken = self.text[self.position : stop]
        self.position = stop + 1
        return taken

    def _until_closed(self) -> None:
        depth = 0
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth == 0:
                return

    def _end_word(self, source: int | None = None) -> None:
        text = "".join(self.parts)
        if self.open and (text or self.quoted or self.unknown):
            self.words.append(Word(text, self.unknown, self.source if source is None else source, self.many))
        self.parts, self.unknown, self.many, self.open, self.quoted = [], "", False, False, False

    def _end_command(self) -> None:
        self._end_word()
        words, self.words = self.words, []
        while words and words[0].text in _KEYWORDS and not words[0].unknown:
            self.depth += words[0].text in _OPENING
            self.depth = max(0, self.depth - (words[0].text in _CLOSING))
            words = words[1:]
        own = dict(self.variables)
        exports = bool(words) and words[0].text in {"export", "declare", "readonly", "local", "set"}
        rest = words[1:] if exports else words
        while rest and (match := _ASSIGNMENT.fullmatch(rest[0].text)):
            unknown = rest[0].unknown or ("it is set conditionally in the script" if self.depth else "")
            own[match[1]] = Word(match[2], unknown, self.source)
            rest = rest[1:]
        if exports or not rest:
            self.variables = own
        elif rest:
            self.runs.append(Run(tuple(rest), own, conditional=self.depth > 0 or self.after_or))
        self.after_or = False
