"""The modules that may be compiled keep to what compiling leaves as it is (decision 23)."""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
COMPILED = [name.removeprefix("/") for name in BUILD["hooks"]["mypyc"]["include"]]
SOURCES = [path for package in BUILD["packages"] for path in sorted((ROOT / package).rglob("*.py"))]
each = pytest.mark.parametrize("name", COMPILED)


@cache
def tree(name: str | Path) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def within(node: ast.AST) -> Iterator[ast.AST]:
    """What runs as part of it: functions that are only defined there do not."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from within(child)


def waits_in_a_handler(module: ast.Module) -> list[int]:
    """Lines on which something is awaited while an error is handled, or a block is left because of one."""
    lines = []
    for node in ast.walk(module):
        if isinstance(node, ast.Try):
            inner = [one for handler in [*node.handlers, *node.finalbody] for one in within(handler)]
            lines += [
                one.lineno for one in inner if isinstance(one, ast.Await | ast.AsyncFor | ast.AsyncWith)
            ]
        elif isinstance(node, ast.AsyncWith):
            left = [ast.unparse(item.context_expr).partition("(")[0] for item in node.items]
            lines += [node.lineno] if left != ["asyncio.timeout"] else []  # which does not wait
    return lines


@each
def test_nothing_is_awaited_while_an_error_is_handled(name: str) -> None:
    """A compiled coroutine that is suspended there leaves its error behind as everybody's: the process may crash."""
    assert waits_in_a_handler(tree(name)) == []


@each
def test_there_is_no_asynchronous_generator(name: str) -> None:
    found = [
        function.name
        for function in ast.walk(tree(name))
        if isinstance(function, ast.AsyncFunctionDef)
        for node in within(ast.Module(function.body, []))
        if isinstance(node, ast.Yield)
    ]
    assert found == []


@each
def test_errors_are_defined_elsewhere(name: str) -> None:
    classes = [node for node in ast.walk(tree(name)) if isinstance(node, ast.ClassDef)]
    bases = {base.id for one in classes for base in one.bases if isinstance(base, ast.Name)}
    assert not {base for base in bases if base.endswith(("Error", "Exception", "Refusal", "Fault"))}


def test_only_compiled_classes_inherit_from_compiled_ones() -> None:
    heirs = []
    for path in SOURCES:
        name, module = str(path.relative_to(ROOT)), tree(path)
        if name not in COMPILED:
            ours = compiled_names(module)
            bases = [
                base for node in ast.walk(module) if isinstance(node, ast.ClassDef) for base in node.bases
            ]
            heirs += [
                f"{name}: {base.id}" for base in bases if isinstance(base, ast.Name) and base.id in ours
            ]
    assert heirs == []


def compiled_names(module: ast.Module, handed: bool = True) -> set[str]:
    """What it imports of compiled modules, also by way of one that hands it on; protocols are there to be met."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.ImportFrom) and (where := file(node.module)):
            theirs = {name.name for name in node.names}
            if where in COMPILED:
                names |= theirs - protocols(where)
            elif handed:
                names |= theirs & compiled_names(tree(where), handed=False)
    return names


@cache
def file(module: str | None) -> str | None:
    path = (module or "").replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if ROOT / name in SOURCES), None)


def protocols(name: str) -> set[str]:
    classes = [node for node in tree(name).body if isinstance(node, ast.ClassDef)]
    return {one.name for one in classes if {"Protocol", "NamedTuple"} & set(map(ast.unparse, one.bases))}


def test_the_rule_about_handlers_sees_what_it_should() -> None:
    bad = """
async def one():
    try:
        await a
    except ValueError:
        if b:
            await c
    finally:
        async def later():
            await d
        await e
    async with f():
        pass
    async with asyncio.timeout(1):
        await g
"""
    assert waits_in_a_handler(ast.parse(bad)) == [7, 11, 12]
