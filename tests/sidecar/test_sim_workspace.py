"""A workspace on a laptop: the real SDK finds in it what it looks for, and every fault comes as ordered."""

import asyncio
import json
import os
import sys
from subprocess import PIPE

import aiohttp
import pytest
from aiohttp import encode_basic_auth

from sidecar import sim
from sidecar.sim.faults import FAULTS

SDK = """
import json
from databricks.sdk import WorkspaceClient
client = WorkspaceClient()
first, second = client.config.authenticate(), client.config.authenticate()
me = client.current_user.me()
print(json.dumps({"headers": [first, second], "me": me.user_name, "workspace": client.config.workspace_id}))
"""


async def token(workspace, secret=None):
    """Asks as a machine does: status, headers, body."""
    auth = {"Authorization": encode_basic_auth(workspace.client_id, secret or workspace.client_secret)}
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    async with (
        aiohttp.ClientSession(headers=auth) as session,
        session.post(workspace.url + "/oidc/v1/token", data=form) as response,
    ):
        return response.status, response.headers, await response.text()


async def test_the_real_sdk_signs_in_and_is_told_who_it_is():
    async with sim.workspace() as workspace:
        strangers = ("DATABRICKS_", "PYTHONPATH")
        env = {name: value for name, value in os.environ.items() if not name.startswith(strangers)}
        env |= {
            name: value for name, value in workspace.environment.items() if name != "DATABRICKS_WORKSPACE_ID"
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SDK, env=env, stdout=PIPE, stderr=PIPE
        )
        said, complaint = await process.communicate()
        assert process.returncode == 0, complaint.decode()
        told = json.loads(said)
        assert told["headers"] == [{"Authorization": f"Bearer {workspace.tokens[0]}"}] * 2
        assert (told["me"], told["workspace"]) == (workspace.client_id, workspace.workspace_id)
        assert len(workspace.requests) == 1


async def test_a_token_is_granted_counted_and_accepted():
    async with sim.workspace(expires_in=120) as workspace:
        status, _, body = await token(workspace)
        granted = json.loads(body)
        assert (status, granted["expires_in"], granted["token_type"]) == (200, 120, "Bearer")
        assert workspace.tokens == [granted["access_token"]]
        assert workspace.accepts(granted["access_token"])
        workspace.revoke()
        assert not workspace.accepts(granted["access_token"])


async def test_a_wrong_secret_is_an_invalid_client_whatever_was_ordered():
    async with sim.workspace() as workspace:
        workspace.then("html")
        status, _, body = await token(workspace, secret="wrong")
        assert (status, json.loads(body)["error"], workspace.tokens) == (400, "invalid_client", [])


async def test_a_rotated_secret_replaces_the_old_one():
    async with sim.workspace() as workspace:
        old, workspace.client_secret = workspace.client_secret, "rotated"
        assert (await token(workspace, secret=old))[0] == 400
        assert (await token(workspace))[0] == 200


@pytest.mark.parametrize(
    ("order", "status", "holds"),
    [
        ("html", 200, "<title>Sign in"),
        ("empty", 200, ""),
        ("negative", 200, '"expires_in": -1'),
        ("string", 200, '"expires_in": "soon"'),
        ("line break", 200, "\\r\\n"),
        ("invalid_client", 400, '"invalid_client"'),
        ("revoked", 401, '"invalid_client"'),
        ("failing", 500, '"internal_error"'),
        ("slow 0.01", 200, "access_token"),
    ],
)
async def test_a_fault_comes_as_ordered_and_once(order, status, holds):
    async with sim.workspace() as workspace:
        workspace.then(order, "")
        seen, _, body = await token(workspace)
        assert seen == status
        assert holds in body
        assert (await token(workspace))[0] == 200


async def test_a_grant_without_its_life_time_and_one_too_many_requests():
    async with sim.workspace() as workspace:
        workspace.then("no expires_in", "throttled 9")
        assert "expires_in" not in json.loads((await token(workspace))[2])
        status, headers, _ = await token(workspace)
        assert (status, headers["Retry-After"]) == (429, "9")


async def test_a_provider_that_hangs_holds_the_request_until_its_caller_leaves():
    async with sim.workspace() as workspace:
        workspace.always = "hang"
        waiting = asyncio.ensure_future(token(workspace))
        await workspace.asked()
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        waiting.cancel()


async def test_an_unknown_fault_is_the_test_s_own_mistake():
    async with sim.workspace() as workspace:
        with pytest.raises(KeyError, match="hmtl"):
            workspace.then("hmtl")
    assert "" in FAULTS


async def test_a_user_s_token_is_known_and_a_stranger_s_is_not():
    async with sim.workspace() as workspace, aiohttp.ClientSession() as session:
        me = workspace.url + "/api/2.0/preview/scim/v2/Me"
        headers = {"Authorization": f"Bearer {workspace.user('ada@example.com')}"}
        async with session.get(me, headers=headers) as response:
            assert (await response.json())["userName"] == "ada@example.com"
        async with session.get(me, headers={"Authorization": "Bearer other"}) as response:
            assert (response.status, (await response.json())["error_code"]) == (401, "UNAUTHENTICATED")


async def test_an_agent_trusts_the_tokens_of_its_workspace():
    async with (
        sim.workspace() as workspace,
        sim.agent(bearer=workspace.accepts) as agent,
        aiohttp.ClientSession() as session,
    ):
        for bearer, status in ((workspace.user("ada@example.com"), 200), ("other", 401)):
            headers = {"Authorization": f"Bearer {bearer}"}
            async with session.get(agent.url + "/health", headers=headers) as response:
                assert response.status == status
