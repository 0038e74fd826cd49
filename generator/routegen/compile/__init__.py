"""Spec -> plan: every default filled in, every name resolved, every problem collected."""

from routegen.compile.routes import compile_text

__all__ = ["compile_text"]
