"""Dockerfile, compose.yaml and server.env name only what there is, and leave nothing open."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from prefect.settings import Settings
from prefect.settings.legacy import _get_valid_setting_names

from prefect_llm_reports.tasks.contract.settings import Settings as OurSettings
from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS
from tests.harness import ROOT
from tests.harness.dockerfile import Stage, stages

pytestmark = pytest.mark.services  # needs what the extra `dev` brings

DEPLOYMENTS = ROOT / "deployments"
COMPOSE = (DEPLOYMENTS / "compose.yaml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
OURS = [name for name in SERVICES if name not in ("postgres", "redis")]
ONCE = {"migrate", "setup"}
LOCKED_EXTRAS = ("server", "pdf", "docx", "otel")
ELSEWHERE = {"PATH", "PYTHONUNBUFFERED", "DO_NOT_TRACK", "LLM_REPORTS_NOTIFY_URL"}
ELSEWHERE |= {"PREFECT_SERVER_ENCRYPTION_KEY"}
"""Variables that are not settings of Prefect or of this project's flows."""


def read_env(path: Path) -> dict[str, str]:
    """The assignments in an environment file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def image() -> Stage:
    """The last stage of the Dockerfile: what runs."""
    return stages(DEPLOYMENTS / "Dockerfile")[-1]


@cache
def settings() -> set[str]:
    """Every variable that Prefect, its Redis integration or this project reads."""
    redis = set[str]().union(*map(_get_valid_setting_names, redis_settings()))
    ours = {f"LLM_REPORTS_{name.upper()}" for name in OurSettings.model_fields}
    ours |= {"OPENAI_API_KEY", "OPENAI_BASE_URL"}
    return _get_valid_setting_names(Settings) | redis | ours


def redis_settings() -> list[Any]:
    """Every class of settings in Prefect's Redis integration."""
    import prefect_redis

    modules = [
        import_module(f"prefect_redis.{module.name}")
        for module in iter_modules(prefect_redis.__path__)
    ]
    found = [value for module in modules for value in vars(module).values()]
    kinds = {v for v in found if isinstance(v, type) and v.__name__.endswith("Settings")}
    return [kind for kind in kinds if kind.__module__.startswith("prefect_redis")]


@cache
def help_of(*command: str) -> str:
    """What a command of the environment says about itself."""
    found = [str(Path(sys.executable).with_name(command[0])), *command[1:], "--help"]
    done = subprocess.run(found, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_every_variable_is_a_setting() -> None:
    """No setting of server, worker or image is misspelt or has gone."""
    named = {*image().environment, *read_env(DEPLOYMENTS / "server.env")}
    for name in OURS:
        named |= set(SERVICES[name]["environment"])
    assert named - settings() - ELSEWHERE == set()


def test_every_module_named_for_redis_can_be_imported() -> None:
    """Messaging, ordering, leases and the cleanup queue are where server.env says."""
    modules = [v for v in read_env(DEPLOYMENTS / "server.env").values() if "prefect_redis" in v]
    assert len(modules) == 5
    for module in modules:
        import_module(module)


def test_no_part_of_the_server_looks_for_redis_on_its_own_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Events, leases, the cleanup queue and the docket are all sent to the Redis service."""
    given = SERVICES["api"]["environment"]
    for name, value in (read_env(DEPLOYMENTS / "server.env") | given).items():
        monkeypatch.setenv(name, value)
    connecting = [kind for kind in redis_settings() if "url" in kind.model_fields]
    assert len(connecting) == 2
    for kind in connecting:
        assert kind().url == "redis://redis:6379/0", kind
    assert Settings().server.docket.url == "redis://redis:6379/1"


def test_server_and_image_have_the_defaults_of_a_process_of_this_project() -> None:
    """What flows set before Prefect is imported also holds for server and worker processes."""
    server, ours = read_env(DEPLOYMENTS / "server.env"), image().environment
    for name, value in PREFECT_DEFAULTS.items():
        if "RECORDER" in name:
            assert server[name] == value
        elif "EPHEMERAL" not in name:
            assert ours[name] == value, name


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists_with_its_options(name: str) -> None:
    """What the services run is a command of the installed package, with the options given."""
    command = SERVICES[name]["command"]
    lines = command[2].splitlines() if command[0] == "sh" else [" ".join(command)]
    calls = [part for line in lines for part in line.split(" || ")]
    for call in calls:
        words = call.split(" >", 1)[0].split()
        if words[0] == "python":
            assert (ROOT / words[1]).exists(), call
            continue
        verbs = [w for w in words if re.fullmatch(r"[a-z-]+", w) and not w.startswith("-")]
        verbs = verbs[: {"server": 3, "worker": 3, "work-pool": 3, "deploy": 2}[verbs[1]]]
        if verbs[:3] in (["prefect", "server", "database"], ["prefect", "server", "services"]):
            verbs.append(words[3])
        said = help_of(*verbs)
        for option in (word for word in words if word.startswith("--") and word != "--no-prompt"):
            assert option in said, f"{call}: {option}"


def test_every_file_that_is_named_exists() -> None:
    """Paths in Dockerfile and compose.yaml lead somewhere, and the context holds them."""
    assert (DEPLOYMENTS / SERVICES["api"]["env_file"]).exists()
    build = SERVICES["worker"]["build"]
    assert (DEPLOYMENTS / build["context"] / build["dockerfile"]).exists()
    kept = [ln[1:] for ln in (ROOT / ".dockerignore").read_text().splitlines() if ln[:1] == "!"]
    for stage in stages(DEPLOYMENTS / "Dockerfile"):
        for source in stage.copied_from_context:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in kept, source


def test_the_compose_file_follows_the_specification() -> None:
    """Every key and value is what the Compose Specification allows."""
    from compose_spec import PyCompose

    filled = re.sub(r"\$\{[A-Z_]+(?::-([^}]*)|:\?[^}]*)\}", lambda m: m[1] or "given", COMPOSE)
    compose = PyCompose.from_json(json.dumps(yaml.safe_load(filled)))
    compose.validate()
    assert set(compose.service_names()) == set(SERVICES)


def test_nothing_is_open_beyond_this_machine_and_no_secret_is_written_down() -> None:
    """Ports are loopback's, database and Redis are not on the outer network, secrets are given."""
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["backend"]
    assert yaml.safe_load(COMPOSE)["networks"]["backend"]["internal"] is True
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|AUTH_STRING|KEY|NOTIFY_URL", variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:[?-][a-z ]*\}", value), (name, variable)
    given = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE)) - {"LLM_REPORTS_TAG"}
    assert given == set(read_env(DEPLOYMENTS / "secrets.example.env"))
    assert set(read_env(DEPLOYMENTS / "secrets.example.env").values()) == {""}
    assert "deployments/secrets.env" in (ROOT / ".dockerignore").read_text().splitlines()
    assert "deployments/secrets.env" in (ROOT / ".gitignore").read_text().splitlines()
    assert "OPENAI_API_KEY" not in SERVICES["api"]["environment"]


def test_services_come_up_in_order_come_back_and_bound_their_logs() -> None:
    """Long-lived services restart and are checked; those that run once do not."""
    for name, service in SERVICES.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
        assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
        assert ("healthcheck" in service) == (name not in ONCE | {"services"}), name
        for other, waited in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
            assert waited == {"condition": wanted}, (name, other)


def test_the_dockerfile_passes_its_linter() -> None:
    """Hadolint has nothing to say."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, DEPLOYMENTS / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_image_runs_as_somebody_who_owns_only_the_volumes() -> None:
    """Not as root; code is root's, answers and reports are the user's."""
    last = image()
    assert last.user == "10001"
    assert last.volumes == ["/answers", "/app/reports"]
    assert f"--uid {last.user}" in " ".join(last.runs)
    for volume in last.volumes:
        assert re.search(rf"install -d -o reports -g reports[ \w-]* {volume}(\s|$)", last.runs[0])


def test_the_lock_pins_by_hash_and_names_no_host() -> None:
    """Every package has a version and hashes; where it comes from is pip's own setting."""
    lock = (DEPLOYMENTS / "requirements.lock").read_text()
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|@ ", lock)
    entries = re.split(r"\n(?=\S)", lock.strip())
    pinned = r"[\w.-]+==\S+( ; .+)? \\\n    --hash=sha256:[0-9a-f]{64}"
    assert [entry[:80] for entry in entries if not re.match(pinned, entry)] == []


def test_the_lock_holds_what_the_project_needs() -> None:
    """Every dependency, and those of the image's extras, is locked at a version that will do."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(n for e in LOCKED_EXTRAS for n in extras[e])]
    lock = (DEPLOYMENTS / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==([^ ]+)", lock, flags=re.MULTILINE))
    for requirement in map(Requirement, needed):
        version = locked.get(requirement.name, "nothing")
        assert requirement.specifier.contains(version), f"{requirement}: {version} is locked"
    for extra in LOCKED_EXTRAS:
        assert f"--extra {extra} " in (DEPLOYMENTS / "Dockerfile").read_text()
