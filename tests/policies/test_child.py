"""What a frontend is started with: all that it would have had, its ports and its agents' addresses aside."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.child import (
    ADDRESSES,
    PORTS,
    SECRETS,
    arguments,
    ending,
    environment,
    exit_code,
    is_launcher,
)

DOOR = "http://127.0.0.1:9800/~0123456789abcdef0123456789abcdef/agents/default"
NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=12)


def given_to(inherited: dict[str, str], *, secrets: bool = True, **agents: str) -> dict[str, str]:
    return environment(inherited, port=23456, agents=agents, secrets=secrets)


# Variables


def test_every_name_of_the_port_tells_the_childs_own() -> None:
    found = given_to({"PORT": "8000", "DATABRICKS_APP_PORT": "8000", "STREAMLIT_SERVER_PORT": "8501"})
    assert {found[name] for name in PORTS} == {"23456"}
    assert set(PORTS) == {
        "PORT", "DATABRICKS_APP_PORT", "STREAMLIT_SERVER_PORT", "GRADIO_SERVER_PORT", "UVICORN_PORT", "FLASK_RUN_PORT",
    }  # fmt: skip


def test_frameworks_are_told_to_listen_on_loopback() -> None:
    found = given_to({"GRADIO_SERVER_NAME": "0.0.0.0", "FLASK_RUN_HOST": "::", "HOST": "0.0.0.0"})
    assert {found[name] for name in (*ADDRESSES, "HOST")} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("HOST", "0.0.0.0", "127.0.0.1"),
        ("HOST", "::", "127.0.0.1"),
        ("HOST", "[::1]", "127.0.0.1"),
        ("HOST", "localhost", "127.0.0.1"),
        ("HOST", "https://shop.example.org", "https://shop.example.org"),
        ("HOST", "shop.example.org", "shop.example.org"),
        ("HOSTNAME", "0.0.0.0", "127.0.0.1"),
        ("HOSTNAME", "shop-7d9f-x2k", "shop-7d9f-x2k"),
    ],
)
def test_a_name_that_may_mean_something_else_is_replaced_only_where_it_is_an_address(
    name: str, before: str, after: str
) -> None:
    assert given_to({name: before})[name] == after


def test_a_hostname_is_not_made_up() -> None:
    assert "HOSTNAME" not in given_to({})


def test_none_of_our_own_variables_reaches_the_child() -> None:
    ours = {
        "SIDECAR_PORT": "8000",
        "SIDECAR_AGENTS__A__TOKEN": "t",
        "SIDECAR_PLUGIN_X__KEY": "k",
        "sidecar_log": "",
    }
    assert not [name for name in given_to(ours) if name.upper().startswith("SIDECAR_")]


def test_the_apps_credentials_stay_unless_they_are_to_go() -> None:
    inherited = dict.fromkeys(SECRETS, "canary") | {
        "DATABRICKS_HOST": "https://w",
        "DATABRICKS_CLIENT_ID": "sp",
    }
    assert "canary" in given_to(inherited).values()
    without = given_to(inherited, secrets=False)
    assert "canary" not in without.values()
    assert without["DATABRICKS_CLIENT_ID"] == "sp"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://agent.example.org", DOOR),
        ("https://agent.example.org/", f"{DOOR}/"),
        ("https://agent.example.org/base", DOOR),
        ("https://agent.example.org/invocations", f"{DOOR}/invocations"),
        ("https://agent.example.org/base/responses/", f"{DOOR}/responses/"),
        ("", DOOR),
    ],
)
def test_an_agents_address_ends_as_the_app_relies_on(before: str, after: str) -> None:
    assert given_to({"AGENT_APP_URL": before}, AGENT_APP_URL=DOOR)["AGENT_APP_URL"] == after


def test_a_name_that_was_not_set_is_set() -> None:
    assert given_to({}, BILLING_URL=DOOR)["BILLING_URL"] == DOOR


@pytest.mark.parametrize(
    ("inherited", "kept_off"),
    [
        ({"HTTP_PROXY": "http://p:3128"}, "127.0.0.1,localhost"),
        (
            {"https_proxy": "http://p:3128", "no_proxy": "intern.example.org"},
            "intern.example.org,127.0.0.1,localhost",
        ),
        ({"ALL_PROXY": "http://p:3128", "NO_PROXY": "127.0.0.1"}, "127.0.0.1,localhost"),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "*"}, "*"),
    ],
)
def test_the_egress_key_never_goes_through_an_outgoing_proxy(
    inherited: dict[str, str], kept_off: str
) -> None:
    found = given_to(inherited, AGENT_APP_URL=DOOR)
    assert found["NO_PROXY"] == found["no_proxy"] == kept_off


def test_without_an_outgoing_proxy_nothing_is_said_about_one() -> None:
    assert not {"NO_PROXY", "no_proxy"} & set(given_to({}, AGENT_APP_URL=DOOR))


@settings(max_examples=1000, deadline=None)
@given(st.dictionaries(NAMES, st.text(max_size=4), max_size=4), st.booleans())
def test_all_else_is_what_it_would_have_been(inherited: dict[str, str], secrets: bool) -> None:
    found = environment(inherited, port=1, agents={"AGENT_APP_URL": DOOR}, secrets=secrets)
    replaced = {*PORTS, *ADDRESSES, *SECRETS, "HOST", "HOSTNAME", "AGENT_APP_URL", "NO_PROXY", "no_proxy"}
    untouched = {
        name: text
        for name, text in inherited.items()
        if name not in replaced and not name.startswith("SIDECAR_")
    }
    assert {name: found[name] for name in untouched} == untouched
    assert set(found) - set(inherited) <= replaced


# Arguments


def fitted(*command: str, as_is: bool = False) -> tuple[str, ...]:
    return arguments(command, port=23456, front=8000, as_is=as_is).command


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{port}", "23456"),
        ("--bind={host}:{port}", "--bind=127.0.0.1:23456"),
        ("${port}x{other}", "$23456x{other}"),
        ("8000", "23456"),
        ("--port=8000", "--port=23456"),
        ("0.0.0.0:8000", "0.0.0.0:23456"),
        ("--bind=[::]:8000", "--bind=[::]:23456"),
        ("18000", "18000"),
        ("8000:80", "8000:80"),
        ("-p8000", "-p8000"),
        ("http://x:8000/", "http://x:8000/"),
        ("80001", "80001"),
        ("", ""),
    ],
)
def test_an_argument_is_fitted_to_the_childs_port(before: str, after: str) -> None:
    assert fitted("app", before) == ("app", after)


def test_which_arguments_had_the_fronts_port_is_told() -> None:
    assert arguments(["app", "x", "8000", "--p=8000"], port=1, front=8000, as_is=False).replaced == (2, 3)


def test_the_command_itself_is_never_taken_for_a_port() -> None:
    assert fitted("8000", "8000") == ("8000", "23456")


def test_as_is_leaves_the_fronts_port_and_still_fills_in_what_was_asked_for() -> None:
    assert fitted("app", "--metrics=8000", "{port}", as_is=True) == ("app", "--metrics=8000", "23456")


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.text("ab=:-./08{}porth", max_size=10), min_size=1, max_size=5), st.booleans())
def test_no_word_of_a_command_is_added_lost_or_changed_for_nothing(command: list[str], as_is: bool) -> None:
    found = arguments(command, port=23456, front=8000, as_is=as_is)
    assert len(found.command) == len(command)
    for number, (before, after) in enumerate(zip(command, found.command, strict=True)):
        if "{port}" not in before and "{host}" not in before and number not in found.replaced:
            assert after == before
    assert not (as_is and found.replaced)


# Its end


@pytest.mark.parametrize(
    ("argv", "launches"),
    [
        (["npm start"], True),
        (["npm run dev"], True),
        (["node", "/usr/lib/node_modules/npm/bin/npm-cli.js", "start"], True),
        (["node", "/app/node_modules/.bin/pnpm", "start"], True),
        (["node", "/app/node_modules/pnpm/bin/pnpm.cjs", "start"], True),
        (["/usr/bin/node", "/usr/bin/yarn", "start"], True),
        (["sh", "-c", "node server.js"], True),
        (["/bin/bash", "./start.sh"], True),
        (["-zsh"], True),
        (["node", "server.js"], False),
        (["node", "sh.js"], False),
        (["python", "npm.py"], False),
        (["gunicorn: master [app]"], False),
        (["uv", "run", "app.py"], False),
        ([], False),
        ([""], False),
    ],
)
def test_who_only_waits_for_what_it_started_is_a_launcher(argv: list[str], launches: bool) -> None:
    assert is_launcher(argv) is launches


@pytest.mark.parametrize(("returned", "code"), [(0, 0), (3, 3), (-15, 143), (-9, 137), (255, 255)])
def test_l05_an_end_is_told_as_a_shell_tells_it(returned: int, code: int) -> None:
    assert exit_code(returned) == code


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=40))
def test_an_ending_is_a_chat_path_and_slashes_or_nothing(address: str) -> None:
    found = ending(address)
    assert address.strip().endswith(found)
    assert found.strip("/") in ("", "invocations", "responses")


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=4))
def test_whatever_a_process_calls_itself_it_is_a_launcher_by_its_first_two_words_only(
    argv: list[str],
) -> None:
    assert is_launcher(argv) is is_launcher(argv[:2])


@settings(max_examples=1000, deadline=None)
@given(st.integers(-64, 255))
def test_l05_an_exit_code_is_always_one_that_a_process_can_have(returned: int) -> None:
    assert 0 <= exit_code(returned) <= 255
    assert (exit_code(returned) == 0) is (returned == 0)
