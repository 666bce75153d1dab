"""Print the base job template of an ECS work pool: prefect-aws' template with our values.

    cp deployments/ecs.yaml my-ecs.yaml          # fill in its values
    python deployments/ecs_template.py my-ecs.yaml > ecs-pool.json
    prefect work-pool create reports-ecs --type ecs --base-job-template ecs-pool.json --overwrite
    prefect --no-prompt deploy --all --prefect-file deployments/prefect-ecs.yaml
    prefect worker start --pool reports-ecs

The worker needs rights to register task definitions, to run, describe and stop tasks, and to pass
the two roles. It needs neither the LLM key nor access to the reports.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from prefect_aws.workers.ecs_worker import ECSWorker

from prefect_llm_reports.tasks.runtime.environment import PREFECT_DEFAULTS

CONTAINER = "llm-reports"
STOP_S = 60
"""Seconds that a stopped run has to finish the calls in flight and keep their answers."""
NEEDED = (
    *("image", "cluster", "launch_type", "cpu", "memory", "vpc_id", "subnets", "security_groups"),
    *("assign_public_ip", "execution_role_arn", "task_role_arn", "environment"),
    *("prefect_auth_secret_arn", "secrets", "log_group", "region"),
)


def job_template(values: dict[str, Any]) -> dict[str, Any]:
    """Make the pool's template of prefect-aws' variables, our defaults and our container.

    Args:
        values: The values of deployments/ecs.yaml, filled in.

    Returns:
        The template, as `prefect work-pool create --base-job-template` reads it.
    """
    template = ECSWorker.get_default_base_job_template()
    worker_side = {n: v for n, v in PREFECT_DEFAULTS.items() if "SERVER" not in n}
    defaults = {
        **{n: values[n] for n in ("image", "cluster", "launch_type", "cpu", "memory", "vpc_id")},
        "execution_role_arn": values["execution_role_arn"],
        "task_role_arn": values["task_role_arn"],
        "prefect_api_auth_string_secret_arn": values["prefect_auth_secret_arn"],
        "family": CONTAINER,
        "container_name": CONTAINER,
        "env": {**worker_side, **values["environment"]},
        "network_configuration": {
            "subnets": values["subnets"],
            "securityGroups": values["security_groups"],
            "assignPublicIp": values["assign_public_ip"],
        },
        "configure_cloudwatch_logs": True,
        "cloudwatch_logs_options": {
            "awslogs-group": values["log_group"],
            "awslogs-region": values["region"],
            "awslogs-stream-prefix": "run",
        },
    }
    properties = template["variables"]["properties"]
    for name, value in defaults.items():
        properties[name]["default"] = value
    definition = template["job_configuration"]["task_definition"]
    definition["requiresCompatibilities"] = ["FARGATE"]
    definition["networkMode"] = "awsvpc"
    [container] = definition["containerDefinitions"]
    container |= {
        "essential": True,
        "secrets": [{"name": n, "valueFrom": arn} for n, arn in values["secrets"].items()],
        "memory": "{{ memory }}",
        "stopTimeout": STOP_S,
        "user": "10001",
    }
    return template


def read_values(path: Path) -> dict[str, Any]:
    """Read and check the values; name every problem and exit with status 2 if there is one.

    Args:
        path: A filled-in copy of deployments/ecs.yaml.

    Returns:
        The values by name.
    """
    text = path.read_text(encoding="utf-8")
    values = yaml.safe_load(text)
    problems = [
        f"{name} is missing; copy it from deployments/ecs.yaml"
        for name in NEEDED
        if name not in values
    ]
    problems += [
        f"{name} is not a value of this file; remove it or correct its name"
        for name in values
        if name not in NEEDED
    ]
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("#"):
            problems += [f"line {number}: fill in {hole}" for hole in re.findall("<.+?>", line)]
    for name, arn in (values.get("secrets") or {}).items():
        if not str(arn).startswith(("arn:aws:secretsmanager:", "arn:aws:ssm:")):
            problems.append(f"secrets.{name}: give the ARN of the secret, not the secret itself")
    if problems:
        sys.stderr.writelines(f"error: {path}: {problem}\n" for problem in problems)
        sys.exit(2)
    return values


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python deployments/ecs_template.py FILE.yaml")
    sys.stdout.write(json.dumps(job_template(read_values(Path(sys.argv[1]))), indent=2) + "\n")
