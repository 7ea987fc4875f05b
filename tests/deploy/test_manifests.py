"""The manifests of deploy/ and of the examples: whole, true to their schemas, and about settings that exist."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from needs import need

from sidecar import settings
from sidecar.cli import main as command
from sidecar.settings.variables import AGENT_APP_URL, AGENT_KEYS, AGENTS, VARIABLES
from sidecar.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy/kubernetes/beside-an-app.yaml"
BUNDLE = ROOT / "deploy/databricks/databricks.yml"
APPS = [ROOT / "app.yaml", *sorted(ROOT.glob("deploy/databricks/layouts/*/app.yaml"))]
EXAMPLES = sorted(ROOT.glob("examples/*/app.yaml"))


def is_agents(name: str) -> bool:
    """Whether it is a setting of one agent."""
    return name.startswith(AGENTS) and name.rpartition("__")[2] in AGENT_KEYS


def judged(*arguments: str) -> Any:
    script = ROOT / "tests/peers/manifests.py"
    done = subprocess.run(
        [need("peers-deploy"), script, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def documents() -> dict[Path, list[Any]]:
    """Every manifest as it reads."""
    files = [KUBERNETES, BUNDLE, *APPS, *EXAMPLES]
    return dict(zip(files, judged(*map(str, files)), strict=True))


@pytest.fixture(scope="module")
def kinds(documents: dict[Path, list[Any]]) -> dict[str, Any]:
    return {document["kind"]: document for document in documents[KUBERNETES]}


# --- Databricks Apps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", [*APPS, *EXAMPLES], ids=lambda path: str(path.relative_to(ROOT)))
def test_an_app_yaml_is_a_list_of_words_and_of_variables(documents: dict[Path, list[Any]], app: Path) -> None:
    """No shell reads the command; each variable has a value or names a resource; a boolean would be no text."""
    (one,) = documents[app]
    assert set(one) <= {"command", "env"}
    assert all(isinstance(word, str) for word in one["command"])
    named = {variable["name"]: variable for variable in one["env"]}
    assert len(named) == len(one["env"])
    for name, variable in named.items():
        assert set(variable) in ({"name", "value"}, {"name", "valueFrom"}), name
        assert isinstance(variable.get("value", ""), str), name
        assert name in VARIABLES or is_agents(name) or not name.startswith(("SIDECAR_", "DATABRICKS_")), name
    assert any("valueFrom" in variable for variable in named.values()), "an agent's address is a resource's"
    if AGENT_APP_URL in named:
        assert named[AGENT_APP_URL]["valueFrom"] == "agent-backend"


@pytest.mark.parametrize("app", APPS, ids=lambda path: str(path.relative_to(ROOT)))
def test_its_command_is_one_of_ours_and_its_settings_are_accepted(
    documents: dict[Path, list[Any]], app: Path
) -> None:
    (one,) = documents[app]
    assert AGENT_APP_URL in {variable["name"] for variable in one["env"]}
    words = one["command"]
    ours = words[4:] if words[:3] == ["python", "-P", "-m"] else words[1:]
    assert ours[0] in command.commands
    assert (ours[0] == "run") == ("--" in ours)
    values = {variable["name"]: variable["value"] for variable in one["env"] if "value" in variable}
    platform = {
        "DATABRICKS_APP_NAME": "mine",
        "DATABRICKS_APP_PORT": "8000",
        "DATABRICKS_HOST": "https://workspace.example.org",
        "DATABRICKS_CLIENT_ID": "id",
        "DATABRICKS_CLIENT_SECRET": "secret",
        AGENT_APP_URL: "https://weather-1234567890.aws.databricksapps.com/",
    }
    settings.load(platform | values, command=ours[0])


def test_the_bundle_binds_the_agent_under_the_name_that_app_yaml_reads(
    documents: dict[Path, list[Any]],
) -> None:
    (bundle,) = documents[BUNDLE]
    (app,) = bundle["resources"]["apps"].values()
    (backend,) = app["resources"]
    assert backend["name"] == "agent-backend"
    assert backend["app"] == {"name": "${var.agent}", "permission": "CAN_USE"}
    said = BUNDLE.read_text()
    used = set(re.findall(r"\$\{var\.(\w+)\}", said))
    assert used == set(bundle["variables"])
    assert "default" not in bundle["variables"]["agent"], "nobody deploys against an agent by accident"
    assert (
        sum(target is not None and target.get("default", False) for target in bundle["targets"].values()) == 1
    )
    assert f"{app['source_code_path'].removeprefix('./')}/**" in bundle["sync"]["include"]
    script = (BUNDLE.parent / "app.py").read_text()
    assert f'"run", "{next(iter(bundle["resources"]["apps"]))}"' in script
    assert set(re.findall(r'f"(\w+)=\{', script)) >= used


# --- Kubernetes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_the_pod_is_what_the_api_server_accepts(version: str) -> None:
    assert judged("--kubernetes", version, str(KUBERNETES)) == []


def test_a_misspelt_field_would_be_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(KUBERNETES.read_text().replace("readinessProbe", "readynessProbe"))
    assert "readynessProbe" in str(judged("--kubernetes", "1.33", str(wrong)))


def test_the_sidecar_is_a_native_one_that_is_up_before_the_frontend(kinds: dict[str, Any]) -> None:
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (ours,) = pod["initContainers"]
    assert ours["restartPolicy"] == "Always"
    assert ours["image"].endswith(f":{VERSION}")
    assert ours["args"][0] in command.commands
    assert pod["terminationGracePeriodSeconds"] >= 12 + 30
    assert ours["startupProbe"]["httpGet"]["path"] == "/healthz", (
        "not readiness, for which it needs the frontend"
    )
    assert ours["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert ours["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "resources" in ours


def test_its_probes_ask_the_admin_door_which_listens_for_them(kinds: dict[str, Any]) -> None:
    (ours,) = kinds["Deployment"]["spec"]["template"]["spec"]["initContainers"]
    loaded = as_set(kinds)
    ports = {port["name"]: port["containerPort"] for port in ours["ports"]}
    assert ports == {"http": loaded.port, "admin": loaded.admin_port}
    probes = [ours[kind]["httpGet"]["port"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert probes == ["admin"] * 3
    (theirs,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert theirs["readinessProbe"]["httpGet"]["port"] == loaded.port, (
        "it is on loopback: asked through the front"
    )
    assert (loaded.host, loaded.admin_host, loaded.egress_host) == ("0.0.0.0", "0.0.0.0", "127.0.0.1")


def test_nothing_in_the_pod_is_root_or_writes_where_it_runs(kinds: dict[str, Any]) -> None:
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["initContainers"], *pod["containers"]):
        context = container["securityContext"]
        assert context["runAsUser"] > 0
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    context = pod["initContainers"][0]["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == tuple(map(int, user.groups()))


def test_its_settings_are_accepted_and_its_secret_is_a_file_that_is_mounted(kinds: dict[str, Any]) -> None:
    loaded = as_set(kinds)
    assert loaded.frontend_url == "http://127.0.0.1:3000"
    pod = kinds["Deployment"]["spec"]["template"]["spec"]
    (ours,), (theirs,) = pod["initContainers"], pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in ours["volumeMounts"]}
    (volume,) = pod["volumes"]
    (item,) = volume["secret"]["items"]
    given = kinds["ConfigMap"]["data"]["DATABRICKS_CLIENT_SECRET_FILE"]
    assert given == f"{mounts[volume['name']]}/{item['path']}"
    assert "volumeMounts" not in theirs, "the frontend does not see the secret"
    environment = {variable["name"]: variable["value"] for variable in theirs["env"]}
    assert environment["AGENT_APP_URL"] == f"http://127.0.0.1:{loaded.egress_port}/agents/default"
    assert str(loaded.frontend_url).endswith(f":{environment['PORT']}")


def test_labels_names_and_ports_meet(kinds: dict[str, Any]) -> None:
    spec = kinds["Deployment"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    (ours,) = spec["template"]["spec"]["initContainers"]
    names = {port["name"] for port in ours["ports"]}
    assert spec["selector"]["matchLabels"] == labels == kinds["Service"]["spec"]["selector"]
    assert kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert {port["targetPort"] for port in kinds["Service"]["spec"]["ports"]} == {"http"}
    allowed = {port["port"] for rule in kinds["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]}
    assert allowed == names
    assert ours["envFrom"] == [{"configMapRef": {"name": kinds["ConfigMap"]["metadata"]["name"]}}]


def as_set(kinds: dict[str, Any]) -> settings.Settings:
    """The settings of the sidecar's container, with what is in angle brackets filled in."""
    filled = {
        name: re.sub(r"<[^>]+>", "x1", value).replace("x1.azure", "1.azure")
        for name, value in kinds["ConfigMap"]["data"].items()
        if not name.endswith("_FILE")
    }
    return settings.load(filled | {"DATABRICKS_CLIENT_SECRET": "x"}, command="serve")


# --- the image ----------------------------------------------------------------------------------------------


def test_the_image_is_built_in_two_steps_and_is_slim_with_nothing_but_the_app_run_by_nobody() -> None:
    """`make image` builds it."""
    _, built, run = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert re.match(r"python:3\.\d+-slim\S* AS build\n", built)
    assert re.match(r"python:3\.\d+-slim\S*\n", run)
    assert re.findall(r"^(?:COPY|ADD|RUN) .*", run, re.MULTILINE) == ["COPY --from=build /app /app"]
    assert re.findall(r"^USER (.*)", run, re.MULTILINE) == ["10001:10001"]
    assert re.findall(r"^(?:ENTRYPOINT|CMD) (.*)", run, re.MULTILINE) == ['["sidecar"]', '["serve"]']
    assert {name for name in re.findall(r"\bSIDECAR_\w+", run) if name not in VARIABLES} == set()


def test_the_image_is_given_all_that_the_wheel_is_made_of_and_no_more() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    made_of = {*wheel["packages"], project["project"]["readme"], *project["project"]["license-files"]}
    made_of |= {Path(script).parts[0] for script in wheel["shared-scripts"]} | {"pyproject.toml"}
    locks = set(re.findall(r"\S+\.lock", (ROOT / "Dockerfile").read_text()))
    everything, *let_in = (ROOT / ".dockerignore").read_text().split()
    assert everything == "*"
    assert {name[1:] for name in let_in if name.startswith("!")} == made_of | locks
