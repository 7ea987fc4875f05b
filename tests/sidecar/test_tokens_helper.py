"""The helper process: what it sees, what is believed of what it says, and databricks-sdk inside it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.agent import Agent
from policies.credentials import Grant
from policies.faults import FAULTS, Fault
from policies.refusal import Refusal
from policies.secret import Secret
from sidecar import settings as settings_of
from sidecar.sim.serving import serving
from sidecar.sim.workspace import Workspace, workspace
from sidecar.tokens import configured, helper
from sidecar.tokens.credential import Credential, environment
from sidecar.tokens.source import Tokens

AGENT = Agent("default", "http://127.0.0.1:1", auth="app")
HOME = Credential("workspace", host="https://dbc.example.com", client_id="id", client_secret=Secret("s3cret"))


JSON = (
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=9)
    | st.sampled_from(sorted(FAULTS))
)
NAMES = st.sampled_from(["authorization", "life", "fault", "retry_after", "other"])


def branches(members: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(members, max_size=3) | st.dictionaries(NAMES, members, max_size=5)


# A helper that is not ours: what it prints is the test's business.
def command(script: str) -> list[str]:
    return [sys.executable, "-c", "import json, os, subprocess, sys, time\n" + script]


SAYS = "print(json.dumps({'authorization': 'Bearer ' + %s, 'life': 60}))"


def gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True


async def gone_soon(pid: int) -> bool:
    for _ in range(200):
        if gone(pid):
            return True
        await asyncio.sleep(0.01)
    return False


class TestHelper:
    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    def test_its_line_is_read_on_either_loop(self, run):
        told = run(helper.fetch(HOME, 5, command(SAYS % "os.environ['DATABRICKS_CLIENT_SECRET']")))
        assert told == Grant(Secret("Bearer s3cret"), 60.0)

    @pytest.mark.parametrize(
        ("script", "fault"),
        [
            ("pass", "helper_died"),
            ("os._exit(3)", "helper_died"),
            ("print('hello')", "garbage"),
            ("print('[]')", "garbage"),
            ("print('{}')", "garbage"),
            ("print(json.dumps({'authorization': 'Bearer a', 'life': 'soon'}))", "garbage"),
            ("print(json.dumps({'fault': 'anything', 'retry_after': None}))", "garbage"),
            ("print(json.dumps({'fault': 'throttled', 'retry_after': 7}))", "throttled"),
            ("sys.stdout.write('x' * (1 << 20))", "garbage"),
        ],
    )
    async def test_whatever_else_it_says_is_a_fault_T04(self, script, fault):
        told = await helper.fetch(HOME, 5, command(script))
        assert isinstance(told, Fault)
        assert told.code == fault

    @settings(max_examples=1000, deadline=None)
    @given(
        st.binary(max_size=200) | st.recursive(JSON, branches, max_leaves=8).map(json.dumps).map(str.encode)
    )
    def test_no_line_is_too_strange_to_be_read(self, line):
        told = helper.read(line)
        assert isinstance(told, Grant) or told.code in FAULTS

    def test_one_that_nobody_waits_for_ends_itself(self):
        script = (
            "import sys, time, sidecar.tokens.__main__ as own\n"
            "own.fetched, sys.argv = lambda patience: time.sleep(60), ['tokens', '-0.9']\n"
            "own.main()"
        )
        ran = subprocess.run([sys.executable, "-P", "-c", script], timeout=30)
        assert ran.returncode == -signal.SIGALRM

    async def test_a_program_that_is_not_there_is_a_fault(self):
        assert await helper.fetch(HOME, 5, ["/nonexistent/python"]) == Fault("helper_died")

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
    def test_one_that_hangs_is_killed_with_its_children_while_the_loop_runs_on_T05(self, run, tmp_path):
        pids = tmp_path / "pids"
        hangs = command(
            "child = subprocess.Popen(['sleep', '60'])\n"
            f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
            "time.sleep(60)"
        )

        async def scenario() -> None:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            assert await helper.fetch(HOME, 1.0, hangs) == Fault("timeout")
            ticking.cancel()
            assert ticks > 20
            for pid in map(int, pids.read_text().split()):
                assert await gone_soon(pid)

        run(scenario())

    async def test_the_end_of_the_process_leaves_none_behind(self, tmp_path):
        fifo = tmp_path / "started"
        os.mkfifo(fifo)
        hangs = command(f"open({str(fifo)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)")
        tokens = Tokens({AGENT.name: HOME}, fetch=lambda one: helper.fetch(one, 30, hangs))
        tokens.start()
        pid = int(await asyncio.to_thread(fifo.read_text))
        await tokens.aclose()
        assert await gone_soon(pid)

    async def test_a_secret_in_a_file_is_read_again_at_each_refresh_T12(self, tmp_path):
        file = tmp_path / "secret"
        file.write_text("before\n")
        kept = Credential(
            "workspace", host="https://x.example.com", client_id="id", client_secret_file=str(file)
        )
        says = command(SAYS % "os.environ['DATABRICKS_CLIENT_SECRET']")
        tokens = Tokens({AGENT.name: kept}, fetch=lambda one: helper.fetch(one, 5, says))
        assert await tokens.bearer(AGENT) == "Bearer before"
        file.write_text("after\n")
        assert await tokens.refused(AGENT, "Bearer before") == "Bearer after"
        await tokens.aclose()

    async def test_a_static_token_in_a_file_is_read_again_likewise_T12(self, tmp_path):
        file = tmp_path / "token"
        file.write_text("before\n")
        tokens = Tokens({AGENT.name: Credential("agent default", token_file=str(file))})
        assert await tokens.bearer(AGENT) == "Bearer before"
        file.write_text("after\n")
        assert await tokens.refused(AGENT, "Bearer before") == "Bearer after"
        file.unlink()
        assert tokens.ready(AGENT) == "Bearer after"
        await tokens.aclose()

    @pytest.mark.parametrize(
        "text", ["", "two\nlines", "x" * 20_000], ids=["empty", "line break", "too long"]
    )
    async def test_a_static_token_that_is_none_is_refused_and_not_repeated_T14(self, tmp_path, text):
        file = tmp_path / "token"
        file.write_text(text)
        tokens = Tokens({AGENT.name: Credential("agent default", token_file=str(file))})
        with pytest.raises(Refusal, match="credential_unavailable") as refused:
            await tokens.bearer(AGENT)
        assert "lines" not in str(refused.value.detail)
        await tokens.aclose()


class TestEnvironment:
    """What the helper sees; a stray variable of the home workspace must not bend another credential."""

    def test_it_is_exactly_that_credentials(self):
        strays = {
            "DATABRICKS_HOST": "https://home.example.com",
            "DATABRICKS_WORKSPACE_ID": "1",
            "DATABRICKS_DISCOVERY_URL": "https://home.example.com/oidc",
            "DATABRICKS_TOKEN": "dapi-home",
            "ARM_CLIENT_ID": "azure",
            "PYTHONPATH": "/app",
            "AGENT_APP_URL": "http://x",
            "PATH": "/bin",
            "HTTPS_PROXY": "http://proxy",
        }
        seen = environment(Credential("w", "w.example.com", "id", Secret("s"), inherited=strays))
        assert seen == {
            "PATH": "/bin",
            "HTTPS_PROXY": "http://proxy",
            "DATABRICKS_HOST": "w.example.com",
            "DATABRICKS_AUTH_TYPE": "oauth-m2m",
            "DATABRICKS_CLIENT_ID": "id",
            "DATABRICKS_CLIENT_SECRET": "s",
        }

    def test_a_token_and_a_profile_bring_their_own_names(self):
        assert environment(Credential("w", "w.example.com", token=Secret("dapi"), inherited={})) == {
            "DATABRICKS_HOST": "w.example.com",
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_TOKEN": "dapi",
        }
        profile = Credential("w", profile="dev", config_file="/etc/cfg", inherited={"HOME": "/home/ana"})
        assert environment(profile) == {
            "HOME": "/home/ana",
            "DATABRICKS_CONFIG_PROFILE": "dev",
            "DATABRICKS_CONFIG_FILE": "/etc/cfg",
        }

    @pytest.mark.parametrize(
        ("credential", "fault"),
        [
            (Credential("w", "w.example.com"), "not_configured"),
            (Credential("w", "w.example.com", "id"), "not_configured"),
            (Credential("w", "w.example.com", "id", client_secret_file="/nonexistent"), "unreadable"),
            (Credential("w", "w.example.com", token_file="/nonexistent"), "unreadable"),
        ],
    )
    def test_half_a_credential_is_a_fault(self, credential, fault):
        assert environment(credential) == Fault(fault)

    def test_a_credential_does_not_print_its_secret(self):
        assert "s3cret" not in repr(HOME)

    def test_settings_name_the_credential_of_each_agent(self, tmp_path):
        (tmp_path / "static").write_text("tok")
        given = settings_of.load(
            {
                "DATABRICKS_HOST": "https://dbc.example.com",
                "DATABRICKS_CLIENT_ID": "id",
                "DATABRICKS_CLIENT_SECRET": "s3cret",
                "AGENT_APP_URL": "http://127.0.0.1:9",
                "SIDECAR_AGENTS__OTHER__URL": "http://127.0.0.1:9",
                "SIDECAR_AGENTS__OTHER__AUTH": "static",
                "SIDECAR_AGENTS__OTHER__TOKEN_FILE": str(tmp_path / "static"),
            }
        )
        agents = [
            Agent("default", "", auth="app"),
            Agent("other", "", auth="static"),
            Agent("user", "", auth="user"),
        ]
        assert configured.credentials(given, agents) == {
            "default": HOME,
            "other": Credential("agent other", token=Secret("tok"), token_file=str(tmp_path / "static")),
        }


def own(one: Workspace, **given) -> Credential:
    stated = {"host": one.url, "client_id": one.client_id, "client_secret": Secret(one.client_secret)}
    return Credential("workspace", **stated | given)


@pytest.mark.parametrize(
    ("stated", "own"),
    [
        (
            {"DATABRICKS_HOST": "dbc.example.com", "DATABRICKS_TOKEN": "dapi-1"},
            Credential("workspace", host="https://dbc.example.com", token=Secret("dapi-1")),
        ),
        (
            {"DATABRICKS_CONFIG_PROFILE": "dev", "DATABRICKS_CONFIG_FILE": "/etc/cfg"},
            Credential("workspace", profile="dev", config_file="/etc/cfg"),
        ),
        ({}, None),
    ],
    ids=["token", "profile", "nothing"],
)
def test_the_apps_own_credential_is_what_is_set(stated, own):
    given = settings_of.load(stated | {"AGENT_APP_URL": "http://127.0.0.1:9"})
    assert configured.workspace(given) == own


async def fetched(one: Workspace, **given) -> Grant | Fault:
    return await helper.fetch(own(one, **given), 20)


class TestRealSdk:
    """databricks-sdk itself, in its process, against a stand-in for a workspace."""

    async def test_a_service_principal_gets_a_bearer_that_the_workspace_knows(self):
        async with workspace(expires_in=20) as one:  # short: the SDK would fetch it anew at every call
            told = await fetched(one)
            assert isinstance(told, Grant)
            assert told.authorization.reveal() == f"Bearer {one.tokens[0]}"
            assert 0 < told.life <= 20
            assert len(one.requests) == 1

    async def test_a_personal_token_and_a_profile_do_too(self, tmp_path):
        async with workspace() as one:
            config = tmp_path / "databrickscfg"
            config.write_text(
                f"[dev]\nhost = {one.url}\nclient_id = {one.client_id}\nclient_secret = {one.client_secret}\n"
            )
            profile, token, unknown = await asyncio.gather(
                fetched(one, host="", client_id="", profile="dev", config_file=str(config)),
                fetched(one, client_id="", token=Secret("dapi-1")),
                fetched(one, host="", client_id="", profile="none", config_file=str(config)),
            )
            assert profile.authorization.reveal() == f"Bearer {one.tokens[0]}"
            assert token == Grant(Secret("Bearer dapi-1"), None)
            assert unknown == Fault("not_configured")

    async def test_each_way_of_failing_is_told_apart_T04_T05_T06_T07_T14(self):
        expected = {
            "html": ("garbage", 1),
            "no expires_in": ("garbage", 1),
            "negative": ("garbage", 1),
            "line break": ("not_a_bearer", 60),
            "throttled 7": ("throttled", 7),
            "invalid_client": ("invalid_client", 60),
            "failing": ("failed", 1),
            "hang": ("timeout", 1),
        }

        async def met(order: str) -> tuple[str | None, int | None]:
            async with workspace() as one:
                one.always = order
                tokens = Tokens({AGENT.name: own(one)}, deadline=3 if order == "hang" else 20)
                with pytest.raises(Refusal, match="credential_unavailable") as refused:
                    await tokens.bearer(AGENT)
                await tokens.aclose()
                told = f"{refused.value.detail} {refused.value.hint}"
                assert one.client_secret not in told
                assert one.client_id not in told
                return tokens.facts()[0].fault, refused.value.retry_after

        told = await asyncio.gather(*(met(order) for order in expected))
        assert dict(zip(expected, told, strict=True)) == expected

    async def test_a_workspace_without_host_metadata_is_asked_at_its_usual_address(self):
        async def unheard_of(request: web.BaseRequest) -> web.StreamResponse:
            if request.path == "/.well-known/databricks-config":
                return web.Response(status=404)
            return await one.answer(request)

        async with workspace() as one, serving(unheard_of) as port:
            told = await fetched(one, host=port.url)
            assert told.authorization.reveal() == f"Bearer {one.tokens[0]}"

    async def test_what_the_sdk_prints_disturbs_nothing(self, tmp_path):
        """Its standard output is ours alone; a chatty library finds it handed elsewhere."""
        async with workspace() as one:
            chatter = tmp_path / "chatty.py"
            chatter.write_text(
                "import runpy, sys, databricks.sdk.config as core\n"
                "made = core.Config.__init__\n"
                "def chatty(self, *args, **named):\n"
                '    print(\'{"authorization": "Bearer wrong", "life": 1}\', flush=True)\n'
                "    made(self, *args, **named)\n"
                "core.Config.__init__ = chatty\n"
                "runpy.run_module('sidecar.tokens', run_name='__main__')\n"
            )
            told = await helper.fetch(own(one), 20, [sys.executable, "-P", str(chatter)])
            assert told.authorization.reveal() == f"Bearer {one.tokens[0]}"

    async def test_a_release_that_is_cut_in_another_way_is_imported_whole(self, tmp_path):
        async with workspace() as one:
            (tmp_path / "other.py").write_text(
                "import runpy, sys\n"
                "class Once:\n"
                "    def find_spec(self, name, path=None, target=None):\n"
                "        if name == 'databricks.sdk.config':\n"
                "            sys.meta_path.remove(self)\n"
                "            raise ImportError\n"
                "sys.meta_path.insert(0, Once())\n"
                "runpy.run_module('sidecar.tokens', run_name='__main__')\n"
            )
            told = await helper.fetch(own(one), 20, [sys.executable, "-P", str(tmp_path / "other.py")])
            assert isinstance(told, Grant)


class TestWhereTheSdkLives:
    def test_the_process_itself_never_imports_it(self):
        script = (
            "import sys, json, sidecar.tokens.source, sidecar.tokens.configured, middleware.credentials\n"
            "print(json.dumps([name for name in sys.modules if name.startswith(('databricks', 'requests'))]))"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        assert json.loads(ran.stdout) == []

    def test_one_file_alone_names_it(self):
        root = Path(helper.__file__).parents[2]
        files = [
            file for part in ("policies", "middleware", "sidecar") for file in (root / part).rglob("*.py")
        ]
        naming = {
            str(file.relative_to(root))
            for file in files
            for line in file.read_text().splitlines()
            if line.strip().startswith(("import databricks", "from databricks"))
        }
        assert naming == {"sidecar/tokens/__main__.py"}
