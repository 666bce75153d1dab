"""The ECS pool of deployments/README.md, with an AWS-like server: what a worker asks of ECS.

No task is run by the server; everything up to that is real: template, pool, deployments, worker.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.harness import ROOT
from tests.harness.processes import CommandLine, end, free_port, prefect_server, wait_until
from tests.harness.s3_server import KEY, SECRET

pytestmark = pytest.mark.services

REGION, ACCOUNT = "eu-central-1", "123456789012"
HELD = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server that behaves as AWS; the environment that leads to it."""
    port = free_port()
    log = (tmp_path_factory.mktemp("aws") / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=log,
        stderr=log,
    )
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": REGION,
    }
    try:
        wait_until(lambda: _clusters(environment) is not None, every=0.2)
        yield environment
    finally:
        end(process)
        log.close()


def client(aws: dict[str, str], service: str) -> Any:
    """A client of the AWS-like server."""
    return boto3.client(
        service,
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
    )


def _clusters(aws: dict[str, str]) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return client(aws, "ecs").list_clusters()
    except (BotoCoreError, ClientError):
        return None


def filled(vpc: str, subnets: list[str], group: str) -> str:
    """deployments/ecs.yaml with its holes filled."""
    text = (ROOT / "deployments/ecs.yaml").read_text()
    for hole, value in {
        "<account>": ACCOUNT,
        "<region>": REGION,
        "<tag>": "1.0",
        "<cluster>": "reports",
        "<vpc-id>": vpc,
        "<subnet-id>, <subnet-id>": ", ".join(subnets),
        "<security-group-id>": group,
        "<execution-role>": "starts",
        "<task-role>": "runs",
        "<prefect-server>": "prefect.example.com",
        "<bucket>": "my-bucket",
        "<prefect-auth>": "auth",
        "<openai-api-key>": "key",
    }.items():
        text = text.replace(hole, value)
    return text


def run(*command: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment from the project's root."""
    found = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
    done = subprocess.run(
        found, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == status, f"{command}: {done.stdout}{done.stderr}"
    return done


def test_a_run_becomes_an_ecs_task_with_our_image_network_logs_and_secrets_by_arn(
    aws: dict[str, str], tmp_path: Path
) -> None:
    """The pool from the template, deployments from the file, one worker, one run, one task."""
    ec2, ecs = client(aws, "ec2"), client(aws, "ecs")
    ecs.create_cluster(clusterName="reports")
    subnets = ec2.describe_subnets()["Subnets"]
    vpc = subnets[0]["VpcId"]
    chosen = [subnet["SubnetId"] for subnet in subnets][:2]
    group = ec2.create_security_group(GroupName="runs", Description="runs", VpcId=vpc)["GroupId"]
    values = tmp_path / "ecs.yaml"
    values.write_text(filled(vpc, chosen, group))
    template = tmp_path / "pool.json"
    template.write_text(run("python", "deployments/ecs_template.py", str(values)).stdout)

    with prefect_server(tmp_path / "server") as api_url:
        prefect = CommandLine(tmp_path, api_url, "http://127.0.0.1:9/v1").environment
        prefect |= {"OPENAI_API_KEY": "sk-of-the-worker", "PREFECT_API_AUTH_STRING": "a:secret"}
        made = ("--type", "ecs", "--base-job-template", str(template), "--overwrite")
        run("prefect", "work-pool", "create", "reports-ecs", *made, **prefect)
        file = ("--prefect-file", "deployments/prefect-ecs.yaml")
        run("prefect", "--no-prompt", "deploy", "--all", *file, **prefect)
        topics = ("-p", 'topics=["Tidal power"]', "-p", "output=s3://my-bucket/reports")
        run("prefect", "deployment", "run", "report-batch/ecs", *topics, **prefect)
        pool = ("--pool", "reports-ecs", "--type", "ecs", "--run-once")
        run("prefect", "worker", "start", *pool, **prefect, **aws)

    [arn] = ecs.list_tasks(cluster="reports")["taskArns"]
    [task] = ecs.describe_tasks(cluster="reports", tasks=[arn])["tasks"]
    definition = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    definition = definition["taskDefinition"]
    [container] = definition["containerDefinitions"]
    assert container["image"] == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/llm-reports:1.0"
    assert {secret["name"]: secret["valueFrom"] for secret in container["secrets"]} == {
        "OPENAI_API_KEY": f"{HELD}key",
        "PREFECT_API_AUTH_STRING": f"{HELD}auth",
    }
    assert container["user"] == "10001"
    assert container["stopTimeout"] == 60
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/llm-reports/runs"
    assert (definition["cpu"], definition["memory"]) == ("1024", "2048")
    assert definition["networkMode"] == "awsvpc"
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert definition["executionRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/starts"
    [override] = task["overrides"]["containerOverrides"]
    given = {item["name"]: item["value"] for item in override["environment"]}
    assert given["LLM_REPORTS_STORE"] == "s3://my-bucket/answers"
    assert given["PREFECT_LOGGING_EXTRA_LOGGERS"] == "prefect_llm_reports"
    assert task["overrides"]["taskRoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/runs"
    everything = json.dumps([task, definition], default=str)
    assert "sk-of-the-worker" not in everything
    assert "a:secret" not in everything


def test_a_template_that_is_not_filled_in_is_refused_with_every_hole(tmp_path: Path) -> None:
    """Each unfilled value is named with its line, and a secret in place of an ARN is refused."""
    refused = run("python", "deployments/ecs_template.py", "deployments/ecs.yaml", status=2)
    holes = [line for line in refused.stderr.splitlines() if ": fill in <" in line]
    assert len(holes) == (ROOT / "deployments/ecs.yaml").read_text().split("\n", 3)[3].count("<")
    values = tmp_path / "ecs.yaml"
    values.write_text(
        filled("vpc", ["a", "b"], "g").replace(f"OPENAI_API_KEY: {HELD}key", "OPENAI_API_KEY: sk-1")
    )
    refused = run("python", "deployments/ecs_template.py", str(values), status=2)
    about = "secrets.OPENAI_API_KEY: give the ARN of the secret, not the secret itself\n"
    assert refused.stderr.endswith(about)
    assert "sk-1" not in refused.stderr
