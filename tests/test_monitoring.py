"""Week 9's Compose file with OpenSearch and its dashboards, as far as that goes without their images."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from engine import answers, docker

WEEK = Path(__file__).resolve().parent.parent / "week_9_monitoring"


@pytest.fixture(scope="module")
def services() -> dict:
    """What the file says, as Compose itself understands it."""
    program = shutil.which("docker-compose")
    if not program:
        pytest.skip("no docker-compose here")
    command = [program, "-f", WEEK / "monitoring/docker-compose.yml", "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return yaml.safe_load(done.stdout)["services"]


def test_it_is_for_this_computer_alone(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    for port in ports:
        assert (port["host_ip"] if isinstance(port, dict) else port.split(":")[0]) == "127.0.0.1"


def test_cluster_and_dashboards_are_of_one_version_that_the_tests_use_too(services):
    versions = {services[name]["image"].rsplit(":", 1)[1] for name in ("opensearch", "dashboards")}
    assert len(versions) == 1
    workflow = (WEEK.parent / ".github/workflows/ci.yaml").read_text(encoding="utf-8")
    assert f"opensearchproject/opensearch:{versions.pop()}" in workflow


@pytest.mark.docker
@pytest.mark.skipif(not answers(), reason="no Docker engine answers")
def test_the_importer_has_all_that_it_needs(services):
    importer = services["importer"]
    options = ["--rm", "--network", "host", "--workdir", importer["working_dir"]]
    for each in importer["volumes"]:
        options += ["--volume", f"{each['source']}:{each['target']}:ro" if isinstance(each, dict) else each]
    *shell, command = importer["command"]
    for name, other in (("opensearch:9200", "127.0.0.1:9"), ("dashboards:5601", "127.0.0.1:9"), ("300", "0")):
        command = command.replace(name, other)
    said = docker("run", *options, importer["image"], *shell, command, check=False)
    assert "url: /_index_template/cola" in said  # so it was installed, imported and started
