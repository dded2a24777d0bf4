"""Week 9's Compose file with Elasticsearch and Kibana, as far as that goes without their images."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

WEEK = Path(__file__).resolve().parent.parent / "week_9_monitoring"


@pytest.fixture(scope="module")
def compose() -> dict:
    """The file as Compose itself understands it."""
    program = shutil.which("docker-compose")
    if not program:
        pytest.skip("no docker-compose here")
    command = [program, "-f", WEEK / "docker-compose.monitoring.yml", "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return yaml.safe_load(done.stdout)


def test_it_is_for_this_computer_alone(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 2
    for port in ports:
        host = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
        assert host == "127.0.0.1"


def test_elasticsearch_and_kibana_are_of_one_version(compose):
    images = [compose["services"][name]["image"] for name in ("elasticsearch", "kibana")]
    assert len({image.rsplit(":", 1)[1] for image in images}) == 1


def test_the_importer_has_every_file_that_it_needs(compose, tmp_path):
    importer = compose["services"]["importer"]
    for volume in importer["volumes"]:
        source, target = volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
        copy = shutil.copytree if Path(source).is_dir() else shutil.copy
        copy(source, tmp_path / Path(target).name)
    command = importer["command"]
    words = command.split() if isinstance(command, str) else command
    addresses = {f"http://{name}:{port}" for name, port in (("elasticsearch", 9200), ("kibana", 5601))}
    assert addresses < set(words)
    words = [word.replace("elasticsearch:9200", "127.0.0.1:9").replace("300", "0") for word in words]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "no answer from http://127.0.0.1:9 in 0 s" in done.stderr) == (2, True), done.stderr
