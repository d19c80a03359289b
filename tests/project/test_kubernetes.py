"""The manifests of `deploy/kubernetes/`, built by kustomize: by Kubernetes' schemas, and by what the program has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from gateway import __version__
from gateway.processes.supervisor import patience
from gateway.settings import ROLES, BadSetting, Settings
from gateway.setup.answers import from_file
from tests.project.deploying import PATHS, ROOT, image_environment, settings_of, unknown_words

pytestmark = pytest.mark.skipif(
    shutil.which("kustomize") is None, reason="kustomize is missing: the manifests of Kubernetes are not tried"
)
FOLDER: Final = ROOT / "deploy/kubernetes"
FOUNDING: Final = FOLDER / "founding"
VERSIONS: Final = ("1.31", "1.37")
_DATABASE: Final = "postgresql://lgsp:x@db/lgsp"
SECRETS: Final = {"lgsp-databases": {"database": _DATABASE, "vault-database": _DATABASE.replace("db/", "keys/")}}
LABEL: Final = "app.kubernetes.io/name"


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    """All documents by kind and name, those of the founding too."""
    built: dict[str, dict[str, Any]] = {}
    for folder in (FOLDER, FOUNDING):
        told = subprocess.run(["kustomize", "build", str(folder)], capture_output=True, text=True, timeout=120)
        assert told.returncode == 0 and not told.stderr, told.stderr
        built |= {f"{each['kind']}/{each['metadata']['name']}": each for each in yaml.safe_load_all(told.stdout)}
    return built


@pytest.fixture
def pods(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: each["spec"]["template"] for name, each in documents.items() if "template" in each.get("spec", {})}


@pytest.fixture
def machines(pods: dict[str, dict[str, Any]], tmp_path: Path) -> dict[str, tuple[dict[str, Any], Settings]]:
    """The container of each StatefulSet, with its settings."""
    found = {name: _container(pod) for name, pod in pods.items() if name.startswith("StatefulSet/")}
    return {name: (each, settings_of(_environment(each), tmp_path)) for name, each in found.items()}


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def _environment(container: dict[str, Any]) -> dict[str, str]:
    found = image_environment()
    for each in container["env"]:
        key = each.get("valueFrom", {}).get("secretKeyRef")
        found[each["name"]] = each["value"] if key is None else SECRETS[key["name"]][key["key"]]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_fits_the_schemas(version: str, documents: dict[str, dict[str, Any]]) -> None:
    assert len(documents) >= 18
    for name, document in documents.items():
        assert kubernetes_validate.validate(document, version, strict=True) == version, name


def test_commands_settings_and_places_are_the_programs(
    documents: dict[str, dict[str, Any]], pods: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    assert {_container(pod)["image"].rpartition(":")[2] for pod in pods.values()} == {__version__}
    for name, pod in pods.items():
        container = _container(pod)
        environment = _environment(container)
        settings = settings_of(environment, tmp_path)
        assert unknown_words(container["args"]) == [] and settings.standby == "required"
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        claims = [each["metadata"]["name"] for each in documents[name]["spec"].get("volumeClaimTemplates", [])]
        assert set(mounts) == {each["name"] for each in pod["spec"]["volumes"]} | set(claims)
        assert environment["LGSP_DATA"].startswith(f"{mounts['data']}/")  # the volume's own folder is root's
        assert mounts["secrets"] == environment["CREDENTIALS_DIRECTORY"]
        for word in container["args"]:
            assert not word.startswith("/") or any(f"{word}/".startswith(f"{place}/") for place in mounts.values()), (
                word
            )
        if settings.drops:
            assert settings.drops == mounts["drops"]


def test_ports_and_probes_are_those_of_the_roles(
    machines: dict[str, tuple[dict[str, Any], Settings]], pods: dict[str, dict[str, Any]]
) -> None:
    for name, (container, settings) in machines.items():
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert ports == {
            "metrics": settings.metrics_port,
            **({"exchange": settings.exchange_port} if settings.has("door") else {}),
            **({"desk": settings.desk_port} if settings.has("desk") else {}),
        }
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["path"] in PATHS and asked["port"] in ports
            assert (asked.get("scheme") == "HTTPS") == (asked["port"] != "metrics")
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert settings.desk_tls != "off" or not settings.has("desk")
        assert pods[name]["spec"]["terminationGracePeriodSeconds"] > patience(settings)


def test_every_role_has_machines_and_each_keeps_its_folder(
    machines: dict[str, tuple[dict[str, Any], Settings]], documents: dict[str, dict[str, Any]]
) -> None:
    assert {role for _, settings in machines.values() for role in settings.roles.split()} == set(ROLES)
    for name, (_, settings) in machines.items():
        assert documents[name]["spec"]["replicas"] == (1 if settings.has("files") else 2)
        claims = {each["metadata"]["name"]: each["spec"] for each in documents[name]["spec"]["volumeClaimTemplates"]}
        if settings.has("keeper"):  # the first has the folder that is founded
            assert documents["PersistentVolumeClaim/data-keeper-0"]["spec"] == claims["data"]


def test_a_pod_may_nothing_that_it_does_not_need(pods: dict[str, dict[str, Any]]) -> None:
    user = re.search(r"^USER (\d+):", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    for pod in pods.values():
        container, of_pod = _container(pod), pod["spec"]["securityContext"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert of_pod["runAsNonRoot"] and of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert user and of_pod["runAsUser"] == of_pod["fsGroup"] == int(user[1])
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert container["resources"]["limits"]["memory"]


def test_selectors_find_pods_and_services_lead_to_ports(
    documents: dict[str, dict[str, Any]], pods: dict[str, dict[str, Any]]
) -> None:
    def found(selector: dict[str, str]) -> list[str]:
        return [name for name, pod in pods.items() if selector.items() <= pod["metadata"]["labels"].items()]

    for name, each in documents.items():
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            leads_to = [pod for pod in found(spec["selector"]) if not pod.startswith("Job/")]
            assert leads_to, name
            for pod in leads_to:
                ports = {port["name"] for port in _container(pods[pod])["ports"]}
                assert {port["targetPort"] for port in spec["ports"]} <= ports, name
        elif each["kind"] == "PodDisruptionBudget":
            assert found(spec["selector"]["matchLabels"]), name
        elif each["kind"] == "NetworkPolicy" and spec["podSelector"]:
            assert found(spec["podSelector"]["matchLabels"]), name
        elif each["kind"] == "StatefulSet":
            assert found(spec["selector"]["matchLabels"]) == [name]
            (spread,) = pods[name]["spec"]["topologySpreadConstraints"]
            assert name in found(spread["labelSelector"]["matchLabels"]) and spread["matchLabelKeys"] == [LABEL]
            assert f"Service/{spec['serviceName']}" in documents
    assert documents["NetworkPolicy/nothing-else"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_value_of_a_secret_stands_in_them(documents: dict[str, dict[str, Any]]) -> None:
    assert not [name for name in documents if name.startswith("Secret/")]
    for file in FOLDER.rglob("*.yaml"):
        assert "://" not in re.sub(r"https://[\w.-]+\.example\b|https://keeper:8443", "", file.read_text("utf-8")), file


def test_the_example_of_answers_is_one() -> None:
    with pytest.raises(BadSetting, match=r"can-bo-1\.pub"):  # the officers' keys are theirs
        from_file(FOUNDING / "answers/setup.yaml")
