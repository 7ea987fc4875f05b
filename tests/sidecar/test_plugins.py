"""What others bring is found by name or by path, shown for what it is, and refused in one sentence."""

import ast
import hashlib
import inspect
import sys
import zipfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from middleware.chain import compose
from middleware.exchange import Body, Call, Reply, headers
from middleware.kit import Kit
from policies.agent import Agent, Caller
from policies.order import DEFAULT, order
from sidecar import api
from sidecar.loader import Unusable
from sidecar.plugins import Plugin, own, plugins

EXAMPLES = Path(__file__).parents[2] / "examples"
MASK = """
from sidecar.api import Call, Handler, Kit, Middleware, Reply

def mask(kit: Kit) -> Middleware:
    async def middleware(call: Call, forward: Handler) -> Reply:
        kit.recorder.note(call, "mask", dict(kit.env))
        return await forward(call)
    return middleware

mask.needs = {"user_token"}
mask.relays = True
"""


class Notes:
    def __init__(self) -> None:
        self.kept: list[tuple[str, Any]] = []

    def note(self, call: Call, what: str, value: Any) -> None:
        self.kept.append((what, value))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the example's wheel was unpacked, as an installer does it."""
    folder = tmp_path_factory.mktemp("site")
    wheels = WheelBuilder(str(EXAMPLES / "redact")).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(next(iter(wheels))) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture
def third_party(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.delitem(sys.modules, "sidecar_redact", raising=False)


def written(file: Path, source: str) -> Path:
    file.write_text(source)
    file.chmod(0o644)
    return file


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    return written(tmp_path / "mask.py", MASK)


def kit(notes: Notes, **env: str) -> Kit:
    return Kit(env=env, agents={}, recorder=notes, headers=lambda _: headers(), stack=AsyncExitStack())  # type: ignore[arg-type]


def call(body: Body) -> Call:
    agent = Agent("default", "http://127.0.0.1:1")
    return Call(agent, Caller(), "chat", "POST", "/invocations", headers(), body, True, "r1")


def only(member: str) -> Plugin:
    found, problems = plugins([member], DEFAULT)
    assert problems == []
    return found[member]


def problem(member: str) -> str:
    found, problems = plugins([member], DEFAULT)
    assert found == {}
    assert len(problems) == 1
    return problems[0]


@pytest.mark.usefixtures("third_party")
async def test_a_third_partys_package_masks_what_users_write_before_the_agent_reads_it(
    installed: Path,
) -> None:
    redact = only("redact")
    assert redact.origin == "sidecar-redact 1.0.0"
    assert not redact.relays
    assert not redact.needs
    assert inspect.getfile(redact.make) == str(installed / "sidecar_redact.py")

    async def agent(call: Call) -> Reply:
        return Reply(200, headers(), call.body)

    notes = Notes()
    chain = compose([redact.made(kit(notes))], agent)
    reply = await chain(call(Body(value={"input": "write to ann@example.org"})))
    assert reply.body == Body(value={"input": "write to [email]"})
    assert notes.kept == [("redacted", True)]


@pytest.mark.usefixtures("third_party")
def test_the_order_of_the_list_is_the_order_of_the_layers() -> None:
    names = order(["redact", "default"])
    found, problems = plugins(names, DEFAULT)
    assert problems == []
    assert names == ("redact", *DEFAULT)
    assert list(found) == ["redact"]


async def test_a_files_attribute_is_a_plugin_shown_with_its_sha256(mask: Path) -> None:
    plugin = only(f"{mask}:mask")
    assert plugin.name == "mask"
    assert plugin.origin == f"{mask} sha256:{hashlib.sha256(mask.read_bytes()).hexdigest()}"
    assert plugin.needs == {"user_token"}
    assert plugin.relays
    notes = Notes()

    async def agent(call: Call) -> Reply:
        return Reply(204, headers(), Body(b""))

    assert (await plugin.made(kit(notes, URL="x"))(call(Body(b"")), agent)).status == 204
    assert notes.kept == [("mask", {"URL": "x"})]


async def test_the_manuals_example_is_a_plugin(tmp_path: Path) -> None:
    manual = (EXAMPLES.parent / "docs/plugins.md").read_text()
    source = manual.split("```python\n# stamp.py\n")[1].split("```")[0]
    notes = Notes()
    stamp = only(f"{written(tmp_path / 'stamp.py', source)}:stamp").made(kit(notes))

    async def agent(call: Call) -> Reply:
        return Reply(203, headers(), Body(b""))

    assert (await stamp(call(Body(b"")), agent)).status == 203
    assert notes.kept == [("stamped", 203)]


LOUDER = """
from sidecar.api import Call, Handler, Kit, Middleware, Reply, Stream, Told, reframed

def louder(kit: Kit) -> Middleware:
    async def frames(stream):
        async for event in stream.events():
            yield reframed(event._replace(data=event.data.replace("hello", "HELLO")))

    async def middleware(call: Call, forward: Handler) -> Reply:
        reply = await forward(call)
        return reply._replace(body=Told(frames(reply.body))) if isinstance(reply.body, Stream) else reply
    return middleware
"""


async def test_a_plugin_may_change_a_stream_and_the_reply_keeps_its_close(tmp_path: Path) -> None:
    closed = []

    async def close(ending: str) -> None:
        closed.append(ending)

    async def agent(call: Call) -> Reply:
        said = [api.frame({"delta": "hello"}), b"data: [DONE]\r\n\r\n"]
        return Reply(200, headers(("content-type", "text/event-stream")), api.Told(said), close)

    louder = only(f"{written(tmp_path / 'louder.py', LOUDER)}:louder").made(kit(Notes()))
    reply = await louder(call(Body(b"")), agent)
    assert isinstance(reply.body, api.Stream)
    assert b"".join([chunk async for chunk in reply.body.chunks()]) == (
        b'data: {"delta":"HELLO"}\n\ndata: [DONE]\n\n'
    )
    await reply.close("ok")
    assert closed == ["ok"]


def test_a_file_named_like_a_package_of_ours_stands_before_nobody(tmp_path: Path) -> None:
    import policies

    file = written(tmp_path / "policies.py", MASK)
    assert only(f"{file}:mask").name == "mask"
    assert sys.modules["policies"] is policies


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o622])
def test_a_file_that_others_may_write_is_refused(mask: Path, mode: int) -> None:
    mask.chmod(mode)
    assert problem(f"{mask}:mask") == f"{mask} may be written by others than its owner: chmod go-w {mask}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def other(kit): ...", "has no 'mask'."),
        ("def mask(kit:", "cannot be loaded: SyntaxError"),
        ("import nothing_of_this_name", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("raise RuntimeError('no')", "cannot be loaded: RuntimeError: no"),
        ("mask = 7", "is no function that takes a kit and returns a middleware."),
        ("def mask(kit): ...\nmask.needs = {'bearer'}", "needs bearer; a plug-in may need user_token."),
    ],
)
def test_a_file_that_is_no_plugin_is_refused_in_one_sentence(mask: Path, source: str, said: str) -> None:
    mask.write_text(source)
    assert said in problem(f"{mask}:mask")


def test_a_file_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    assert (
        problem(f"{tmp_path}/gone.py:mask")
        == f"{tmp_path}/gone.py cannot be read: No such file or directory."
    )


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("member", "said"),
    [
        ("redcat", "There is no 'redcat'. Did you mean 'redact'?"),
        ("acess", "There is no 'acess'. Did you mean 'access'?"),
        ("defualt", "There is no 'defualt'. Did you mean 'default'?"),
        ("zzz", "There is no 'zzz'. Nothing installed in sidecar.middleware has this name."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known(member: str, said: str) -> None:
    assert problem(member) == said


def distribution(folder: Path, name: str, entry: str) -> None:
    (folder / f"{name}.py").write_text("def make(kit): raise OSError('no such key')")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sidecar.middleware]\n{entry}\n")


def test_a_name_brought_by_two_distributions_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "one", "quota = one:make")
    distribution(tmp_path, "two", "quota = two:make")
    monkeypatch.syspath_prepend(str(tmp_path))
    said = problem("quota")
    assert said.startswith("'quota' is brought by ")
    assert "one 1.0" in said
    assert "two 1.0" in said


def test_an_installed_package_never_replaces_a_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "mallory", "credentials = mallory:make")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins(DEFAULT, DEFAULT) == ({}, [])


def test_an_installed_plugin_that_cannot_be_imported_names_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "three", "quota = three:gone")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert problem("quota").startswith("'quota' of three 1.0 cannot be loaded: AttributeError")


def test_a_constructor_that_fails_or_makes_nothing_is_unusable(tmp_path: Path) -> None:
    file = written(
        tmp_path / "odd.py", "def broken(kit): raise OSError('no such key')\ndef empty(kit): ...\n"
    )
    with pytest.raises(Unusable, match="Plug-in 'broken' did not start: OSError: no such key"):
        only(f"{file}:broken").made(kit(Notes()))
    with pytest.raises(Unusable, match="Plug-in 'empty' made NoneType, which is no middleware"):
        only(f"{file}:empty").made(kit(Notes()))


def test_all_that_is_wrong_is_said_at_once(mask: Path, tmp_path: Path) -> None:
    found, problems = plugins([f"{mask}:mask", "acess", f"{tmp_path}/gone.py:x", *DEFAULT], DEFAULT)
    assert list(found) == [f"{mask}:mask"]
    assert len(problems) == 2


def test_two_plugins_that_would_read_the_same_variables_are_refused(mask: Path, tmp_path: Path) -> None:
    twin = written(tmp_path / "twin.py", MASK)
    _, problems = plugins([f"{mask}:mask", f"{twin}:mask"], DEFAULT)
    assert problems == [
        f"{mask}:mask and {twin}:mask would both read SIDECAR_PLUGIN_MASK__…: give one of them another name."
    ]


def test_a_plugin_is_shown_its_own_variables_and_no_others() -> None:
    environ = {
        "SIDECAR_PLUGIN_RATE_LIMIT__URL": "redis://127.0.0.1",
        "SIDECAR_PLUGIN_RATE_LIMIT__MAX__BURST": "9",
        "SIDECAR_PLUGIN_RATE__URL": "not mine",
        "SIDECAR_AGENTS__DEFAULT__TOKEN": "secret",
        "DATABRICKS_CLIENT_SECRET": "secret",
    }
    assert own("rate-limit", environ) == {"URL": "redis://127.0.0.1", "MAX__BURST": "9"}


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/sidecar_*.py")), ids=lambda file: file.name)
def test_examples_import_our_one_public_door_and_nothing_else_of_ours(file: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.ImportFrom(module=str(module)):
                imported.add(module)
            case ast.Import(names=names):
                imported |= {name.name for name in names}
    ours = {module for module in imported if module.split(".")[0] in ("sidecar", "middleware", "policies")}
    assert ours == {"sidecar.api"}


@pytest.mark.source  # compiled classes have no docstring
@pytest.mark.parametrize("name", api.__all__)
def test_everything_public_is_described_on_the_public_door(name: str) -> None:
    thing = getattr(api, name)
    assert f"`{name}" in (api.__doc__ or "")
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert len(inspect.getdoc(thing) or "") > 30, f"{name} has no docstring"


def test_the_public_door_shows_nothing_that_it_does_not_name() -> None:
    shown = {
        name for name, thing in vars(api).items() if not name.startswith("_") and not inspect.ismodule(thing)
    }
    assert shown == set(api.__all__)
