"""`sidecar run -- <command>`: an app is started beside us, has what it would have had, and ends as it would have."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from journeys.conftest import client
from journeys.node import tool
from journeys.process import COMMAND, FREE, Process, Started
from needs import need

from sidecar import sim
from sidecar.child.port import free

FRONTEND = (sys.executable, str(Path(__file__).with_name("frontend.py")))
ENDS = """
require('http').createServer((q, r) => r.end('x')).listen(process.env.PORT, process.env.HOST);
let told = 0;
process.on('SIGTERM', () => { console.log('told', ++told); setTimeout(() => process.exit(7), 200); });
"""


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with client() as session:
        yield session


async def up(one: Process, http: aiohttp.ClientSession) -> str:
    """The app's own address, once it answers."""
    await one.ready()
    (url,) = re.findall(r"front .* at (http://\S+)", one.said)
    async with asyncio.timeout(30):
        while True:
            async with http.get(f"{one.doors['admin']}/readyz") as ready:
                if "the app is starting" not in await ready.text():
                    return str(url)
            await asyncio.sleep(0.02)


async def ended(one: Process, within: float = 30) -> tuple[int | None, str, str]:
    """Its exit code, and what was said."""
    out, err = await asyncio.wait_for(one.process.communicate(), within)
    return one.process.returncode, out.decode(), one.said + err.decode()


async def given(one: Process, http: aiohttp.ClientSession) -> Any:
    async with http.get(f"{await up(one, http)}/given") as answer:
        return await answer.json()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


async def until_gone(*pids: int, within: float = 15.0) -> None:
    async with asyncio.timeout(within):
        while not all(map(gone, pids)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


# What the app is given


async def test_the_app_has_what_it_would_have_had_and_its_agent_is_behind_the_egress_door(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    one = await process(
        "run",
        "--",
        *FRONTEND,
        AGENT_APP_URL=agent.url,
        PYTHONPATH=str(tmp_path / "mine"),
        PORT="8000",
        COLOUR="blue",
        SIDECAR_LOG="info",
        SIDECAR_PLUGIN_X__KEY="canary",
    )
    found = await given(one, http)
    env = found["env"]
    url = one.doors["egress"]
    assert re.fullmatch(rf"{re.escape(url)}/~[0-9a-f]{{32}}/agents/default", env["AGENT_APP_URL"])
    assert env["PORT"] == env["DATABRICKS_APP_PORT"] != "8000"
    assert env["HOST"] == "127.0.0.1"
    assert not [name for name in env if name.startswith("SIDECAR_")]
    assert "canary" not in str(env)
    assert (env["COLOUR"], env["PYTHONPATH"], env["PATH"]) == (
        "blue",
        str(tmp_path / "mine"),
        os.environ["PATH"],
    )
    assert str(tmp_path / "mine") in found["path"]
    assert found["cwd"] == str(tmp_path)


async def test_with_the_key_in_its_address_the_app_is_believed_and_without_it_nobody_is_served(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await process("run", "--", *FRONTEND, AGENT_APP_URL=agent.url)
    url = (await given(one, http))["env"]["AGENT_APP_URL"]
    body = {"input": [{"role": "user", "content": "hello"}]}
    async with http.post(
        f"{url}/invocations", json=body, headers={"x-app-user-email": "u@example.org"}
    ) as answer:
        assert answer.status == 200
    assert agent.last.headers["x-app-user-email"] == "u@example.org"
    async with http.post(f"{one.doors['egress']}/invocations", json=body) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"] == "egress_key_required"


async def test_every_name_under_which_the_app_knows_an_agent_leads_to_it(
    process: Started, agent: sim.Agent, plain: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await process(
        "run",
        "--",
        *FRONTEND,
        AGENT_APP_URL=f"{agent.url}/",
        BILLING_APP_URL=f"{plain.url}/invocations",
        SIDECAR_AGENTS__BILLING__ENV="BILLING_APP_URL,BILLING",
    )
    env = (await given(one, http))["env"]
    assert env["AGENT_APP_URL"].endswith("/agents/default/")
    assert env["BILLING_APP_URL"].endswith("/agents/billing/invocations")
    async with http.post(
        env["BILLING_APP_URL"], json={"messages": [{"role": "user", "content": "hi"}]}
    ) as answer:
        assert answer.status == 200
    await plain.called(1)
    assert env["BILLING"].endswith("/agents/billing")


async def test_the_service_principals_secret_is_taken_out_where_that_is_asked_for(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    secret = {"DATABRICKS_CLIENT_SECRET": "canary", "DATABRICKS_CLIENT_ID": "sp"}
    one = await process(
        "run", "--", *FRONTEND, SIDECAR_CHILD_ENV="no-secret", AGENT_APP_URL=agent.url, **secret
    )
    env = (await given(one, http))["env"]
    assert "canary" not in env.values()
    assert env["DATABRICKS_CLIENT_ID"] == "sp"


async def test_the_commands_port_is_filled_in_and_the_fronts_own_is_replaced_and_said(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        front = str(free.getsockname()[1])
    words = ("port={port}", front, f"--bind=0.0.0.0:{front}", f"1{front}")
    one = await process("run", "--port", front, "--", *FRONTEND, *words, AGENT_APP_URL=agent.url)
    found = await given(one, http)
    port = found["env"]["PORT"]
    assert found["argv"][1:] == [f"port={port}", port, f"--bind=0.0.0.0:{port}", f"1{front}"]
    assert f"argument 3 of the command had the front's port {front} and has {port} now" in one.said
    assert "argument 4 of the command" in one.said
    one.signal(signal.SIGTERM)
    one.signal(signal.SIGINT)
    await one.ended(within=5)
    two = await process(
        "run", "--port", front, "--", *FRONTEND, *words, AGENT_APP_URL=agent.url, SIDECAR_CHILD_ARGS="as-is"
    )
    found = await given(two, http)
    assert found["argv"][1:] == [f"port={found['env']['PORT']}", *words[1:]]


async def test_an_app_that_listens_on_one_port_whatever_it_is_told_can_have_it(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = await process(
        "run", "--", *FRONTEND, f"port={port}", AGENT_APP_URL=agent.url, SIDECAR_CHILD_PORT=str(port)
    )
    assert await up(one, http) == f"http://127.0.0.1:{port}"


async def test_an_app_never_shares_its_port_with_somebody_who_was_there_first(process: Started) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = await ended(await process("run", "--", "true", SIDECAR_CHILD_PORT=str(port)))
    assert code == 1
    assert f"something listens on port {port} already, and SIDECAR_CHILD_PORT gives it to the app." in err


async def test_an_env_file_is_read_where_it_is_named_and_never_by_itself(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("SIDECAR_CHILD_PORT=not a port\nAGENT_APP_URL=http://127.0.0.1:1\n")
    (tmp_path / "mine.env").write_text(f"AGENT_APP_URL={agent.url}\nCOLOUR=blue\n")
    one = await process("run", "--env-file", "mine.env", "--", *FRONTEND)
    found = await given(one, http)
    assert agent.url in one.said
    assert "/agents/default" in found["env"]["AGENT_APP_URL"]
    assert "COLOUR" not in found["env"]  # it is ours, not the app's


async def test_l10_an_app_may_call_its_agent_before_it_listens(
    process: Started, agent: sim.Agent, http: aiohttp.ClientSession
) -> None:
    one = await process("run", "--", *FRONTEND, "first", AGENT_APP_URL=agent.url)
    await up(one, http)
    assert agent.last.headers["x-request-id"]


async def test_without_an_agent_it_starts_and_says_so(process: Started, http: aiohttp.ClientSession) -> None:
    one = await process("run", "--", *FRONTEND)
    env = (await given(one, http))["env"]
    assert "AGENT_APP_URL" not in env
    assert "none: AGENT_APP_URL is not set" in one.said
    async with http.get(f"{one.doors['admin']}/readyz") as ready:
        assert "no agent is configured" in await ready.text()


async def test_disabled_it_is_the_command_untouched(process: Started, tmp_path: Path) -> None:
    script = (
        "import os, sys; print(os.getpid(), sys.argv[1:], os.environ['SIDECAR_PORT'], os.environ.get('PORT'))"
    )
    one = await process(
        "run", "--", sys.executable, "-c", script, "{port}", SIDECAR_DISABLED="1", SIDECAR_NONSENSE="x"
    )
    code, out, err = await ended(one)
    assert (code, out, err) == (0, f"{one.process.pid} ['{{port}}'] 0 None\n", "")
    (tmp_path / "off.env").write_text("SIDECAR_DISABLED=yes\n")
    two = await process("run", "--env-file", "off.env", "--", sys.executable, "-c", script, "{port}")
    assert (await ended(two))[:2] == (0, f"{two.process.pid} ['{{port}}'] 0 None\n")


# How it ends


async def test_l05_the_exit_code_is_the_apps_and_a_signal_is_told_as_a_shell_tells_it(
    process: Started,
) -> None:
    async def end(*command: str) -> tuple[int | None, str, str]:
        return await ended(await process("run", "--", *command))

    (code, out, err), (failed, _, why), (killed, _, _) = await asyncio.gather(
        end(*FRONTEND, "say=bye", "end=0"),
        end(*FRONTEND, "say=bye", "end=3"),
        end("sh", "-c", "kill -SEGV $$"),
    )
    assert (code, failed, killed) == (0, 3, 139)
    assert "bye\n" in out
    assert "sidecar: the app ended with code 0.\n" in err
    assert "sidecar: the app ended with code 3. The last that it said:\n  | bye\n" in why


async def test_l05_a_crash_shows_the_last_fifty_lines_of_both_streams(process: Started) -> None:
    script = "for (let i = 1; i <= 70; i++) console[i % 2 ? 'log' : 'error']('line ' + i); process.exit(1)"
    one = await process("run", "--", str(need("node")), "-e", script)
    code, out, err = await ended(one)
    told = re.findall(r"^  \| line (\d+)$", err, re.MULTILINE)
    assert code == 1
    assert len(told) == 50
    assert {"69", "70"} <= set(told)
    assert [f"line {number}" for number in range(1, 71, 2)] == [
        x for x in out.splitlines() if x.startswith("line")
    ]


async def test_what_it_says_is_passed_on_byte_for_byte(process: Started) -> None:
    script = r"import os; os.write(1, bytes(range(256)) * 2000); os.write(2, b'\x00no end of line')"
    one = await process("run", "--", sys.executable, "-c", script, SIDECAR_LOG="warning")
    out, err = await asyncio.wait_for(one.process.communicate(), 10)
    assert out == bytes(range(256)) * 2000
    assert b"\x00no end of line" in err


async def test_two_streams_that_are_one_stay_in_order(tmp_path: Path) -> None:
    script = "import os\nfor n in range(300): os.write(1 + n % 2, b'<%d>' % n)"
    one = await asyncio.create_subprocess_exec(
        COMMAND, "run", "--", sys.executable, "-c", script,
        stdout=PIPE, stderr=STDOUT, cwd=tmp_path, env={"PATH": os.environ["PATH"], "SIDECAR_LOG": "warning"} | FREE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(one.communicate(), 10)
    # what the sidecar itself says at start may stand among them
    assert re.findall(r"<(\d+)>", out.decode()) == list(map(str, range(300)))


async def test_on_a_terminal_the_app_is_on_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    script = "import os; print('terminals:', [os.isatty(fd) for fd in (0, 1, 2)])"
    one = await asyncio.create_subprocess_exec(
        COMMAND, "run", "--", sys.executable, "-c", script,
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env={"PATH": os.environ["PATH"]} | FREE,
    )  # fmt: skip
    os.close(theirs)
    assert await asyncio.wait_for(one.wait(), 10) == 0
    said = os.read(ours, 65536).decode()
    os.close(ours)
    assert "terminals: [True, True, True]" in said


async def test_a_command_that_cannot_start_is_one_sentence_and_a_shells_exit_code(
    process: Started, tmp_path: Path
) -> None:
    (tmp_path / "plain.txt").write_text("hello")
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)

    async def end(command: str, **environ: str) -> tuple[int | None, str, str]:
        return await ended(await process("run", "--", command, **environ))

    commands = ("no-such-command", "./no-such-file", "./plain.txt", "./broken")
    found = await asyncio.gather(
        *map(end, commands),
        *(end(each, SIDECAR_DISABLED="on") for each in ("no-such-command", "./plain.txt")),
    )
    nowhere = "no-such-command: there is no such command on the PATH."
    told = [
        (127, nowhere),
        (127, "./no-such-file: there is no such file."),
        (126, "./plain.txt: it may not be executed."),
        (127, "./broken: what its first line (#!) names is not there."),
        (127, nowhere),
        (126, "./plain.txt: it may not be executed."),
    ]
    for (code, _, err), (expected, sentence) in zip(found, told, strict=True):
        assert code == expected
        assert err.startswith(f"sidecar: {sentence}")
        assert err.count("\n") == 1


async def test_l06_an_app_that_never_answers_is_told_with_where_it_listens_instead(process: Started) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    waiting = {"SIDECAR_APP_START_TIMEOUT": "800ms"}
    elsewhere = await process("run", "--", *FRONTEND, f"port={port}", **waiting)
    next_door = await process("run", "--", *FRONTEND, "host=127.0.0.2", "port={port}", **waiting)
    for one, place in ((elsewhere, rf"127\.0\.0\.1:{port}"), (next_door, r"127\.0\.0\.2:\d+")):
        code, _, err = await ended(one)
        assert code == 1
        assert "the app did not answer within 0.8 s" in err
        assert "nothing listened" in err
        assert re.search(rf"It listens on {place} instead\.", err)
        assert "SIDECAR_APP_START_TIMEOUT" in err


async def test_l06_an_app_that_takes_connections_and_says_nothing_is_not_ready(process: Started) -> None:
    script = (
        "import os, socket, time; s = socket.socket(); s.bind(('127.0.0.1', int(os.environ['PORT'])));"
        "s.listen(); time.sleep(60)"
    )
    one = await process("run", "--", sys.executable, "-c", script, SIDECAR_APP_START_TIMEOUT="600ms")
    code, _, err = await ended(one)
    assert code == 1
    assert "connections were taken, and no `GET /` was answered" in err


async def test_an_app_on_the_other_loopback_address_is_found(
    process: Started, http: aiohttp.ClientSession
) -> None:
    script = "require('http').createServer((q, r) => r.end('x')).listen(process.env.PORT, '::1')"
    one = await process("run", "--", str(need("node")), "-e", script)
    await up(one, http)
    one.signal(signal.SIGTERM)
    one.signal(signal.SIGINT)
    _, out, _ = await ended(one)
    assert re.search(r'"app up","url":"http://\[::1\]:\d+"', out)


def launchers(folder: Path) -> dict[str, tuple[str, ...]]:
    """Commands that start node, most of them by way of somebody else."""
    (folder / "server.js").write_text(ENDS)
    (folder / "package.json").write_text(json.dumps({"name": "app", "scripts": {"start": "node server.js"}}))
    (folder / "start.sh").write_text("#!/bin/sh\nnode server.js\n")
    (folder / "start.sh").chmod(0o755)
    return {
        "node": (str(need("node")), "server.js"),
        "npm": (str(need("npm")), "start"),
        "pnpm": (str(tool("pnpm", "9.15.9")), "start"),
        "sh": ("sh", "-c", "node server.js"),
        "script": ("./start.sh",),
        "both": ("sh", "-c", "cd . && npm start; exit $?"),
    }


async def test_l01_a_signal_reaches_node_once_and_the_exit_code_is_nodes(
    process: Started, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async def signalled(kind: str, command: tuple[str, ...]) -> tuple[str, int | None, int]:
        one = await process("run", "--", *command)
        await up(one, http)
        one.signal(signal.SIGTERM)
        code, out, _ = await ended(one)
        return kind, code, out.count("told")

    commands = launchers(tmp_path)
    found = await asyncio.gather(*(signalled(kind, command) for kind, command in commands.items()))
    assert found == [(kind, 7, 1) for kind in commands]


async def test_l01_an_idle_app_ends_a_second_after_the_signal(
    process: Started, http: aiohttp.ClientSession
) -> None:
    one = await process("run", "--", *FRONTEND)
    await up(one, http)
    began = time.monotonic()
    one.signal(signal.SIGTERM)
    assert (await ended(one))[0] == 143
    assert time.monotonic() - began < 1.9  # a second of notice, and the interpreters' own ends


async def test_l03_a_second_signal_ends_the_app_and_us_now(
    process: Started, http: aiohttp.ClientSession
) -> None:
    one = await process("run", "--", *FRONTEND, "ignore-term")
    await up(one, http)
    one.signal(signal.SIGTERM)
    began = time.monotonic()
    one.signal(signal.SIGINT)
    assert (await ended(one))[0] == 137
    assert time.monotonic() - began < 1


async def test_l07_killed_without_a_word_we_leave_nobody_behind(
    process: Started, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    one = await process("run", "--", *launchers(tmp_path)["npm"])
    await up(one, http)
    (npm,) = [pid for pid in children(one.process.pid) if "npm" in command(pid)]
    (shell,) = children(npm)
    (node,) = children(shell)
    one.process.kill()
    await until_gone(npm, shell, node)


async def test_as_the_first_process_it_reaps_the_apps_orphans(
    process: Started, http: aiohttp.ClientSession
) -> None:
    by = "unshare --pid --fork --mount-proc --kill-child"
    if await (await asyncio.create_subprocess_exec(*by.split(), "true", stderr=DEVNULL)).wait():
        pytest.skip("this machine gives no process namespace")
    one = await process("run", "--", *FRONTEND, "daemon", by=by)
    async with http.get(f"{await up(one, http)}/given") as answer:
        assert answer.status == 200
    (sidecar,) = children(one.process.pid)
    orphan = re.compile(r"frontend\.py\0daemon")
    async with asyncio.timeout(5):  # it ends, and then nobody's child is left: not even as a zombie
        while any(gone(pid) or orphan.search(command(pid)) for pid in children(sidecar)[1:]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    one.signal(signal.SIGTERM)


async def test_l11_starting_again_and_again_leaves_nothing(
    process: Started, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """RESTARTS=1000 and `-o faulthandler_timeout=0` make a soak of it, a quarter of an hour."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    port = str(free())  # none that an outgoing connection might take meanwhile
    for _ in range(int(os.environ.get("RESTARTS", "3"))):
        one = await process("run", "--", *FRONTEND, TMPDIR=str(temporary), SIDECAR_PORT=port)
        await up(one, http)
        assert one.doors["front"].endswith(f":{port}")  # the same one each time: it has to be free again
        started = children(one.process.pid)
        one.signal(signal.SIGTERM)
        one.signal(signal.SIGINT)
        assert (await ended(one))[0] in (143, 137)
        assert all(map(gone, started))
    assert list(temporary.iterdir()) == []


async def test_a_command_that_is_not_named_is_wrong_usage(process: Started) -> None:
    code, _, err = await ended(await process("run"))
    assert code == 2
    assert "COMMAND" in err


async def test_a_port_that_is_taken_ends_it_before_the_app_is_started(
    process: Started, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        one = await process("run", "--port", port, "--", "touch", str(tmp_path / "started"))
        assert (await ended(one))[0] == 1
    assert not (tmp_path / "started").exists()
