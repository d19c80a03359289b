"""The manifests of `deploy/kubernetes/`: by Kubernetes' own schemas, and by what the program has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway import __version__
from gateway.processes.supervisor import Supervisor
from gateway.settings import ROLES, Settings
from gateway.setup.answers import from_file
from tests.project.deploying import PATHS, ROOT, settings_of, unknown_words

FOLDER = ROOT / "deploy/kubernetes"
FOUNDING = FOLDER / "founding"
VERSIONS = ("1.31", "1.37")
_ENGINE = "postgresql://lgsp:x@db/lgsp"
SECRETS = {"lgsp-databases": {"database": _ENGINE, "vault-database": _ENGINE.replace("db/", "keys/")}}


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(FOLDER.rglob("*.yaml")):
        if file.parent.name != "answers" and file.name != "kustomization.yaml":
            for document in yaml.safe_load_all(file.read_text("utf-8")):
                yield str(file.relative_to(FOLDER)), document


DOCUMENTS = list(_documents())
NAMED = {f"{document['kind']}/{document['metadata']['name']}": document for _, document in DOCUMENTS}
PODS = {name: each["spec"]["template"] for name, each in NAMED.items() if "template" in each.get("spec", {})}
MACHINES = {name: pod for name, pod in PODS.items() if name.startswith("StatefulSet/")}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_fits_the_schemas(version: str) -> None:
    assert len(DOCUMENTS) >= 18
    for file, document in DOCUMENTS:
        assert kubernetes_validate.validate(document, version, strict=True) == version, file


@pytest.mark.parametrize("folder", [FOLDER, FOUNDING], ids=["machines", "founding"])
def test_kustomize_names_every_file_and_this_version(folder: Path) -> None:
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert sorted(listed["resources"]) == sorted({each.name for each in folder.glob("*.yaml")} - {"kustomization.yaml"})
    (image,) = listed["images"]
    assert image["newTag"] == __version__ and listed["namespace"] == NAMED["Namespace/lgsp"]["metadata"]["name"]
    assert {each["image"] for pod in PODS.values() for each in pod["spec"]["containers"]} == {image["name"]}
    for each in listed.get("configMapGenerator", []):
        assert all((folder / file).is_file() for file in each["files"])


def _environment(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        found |= NAMED[f"ConfigMap/{source['configMapRef']['name']}"]["data"]
    for each in container["env"]:
        reference = each.get("valueFrom", {})
        if key := reference.get("secretKeyRef"):
            found[each["name"]] = SECRETS[key["name"]][key["key"]]
        else:
            found[each["name"]] = each["value"] if "value" in each else reference["fieldRef"]["fieldPath"]
    return found


@pytest.mark.parametrize("name", PODS)
def test_commands_settings_and_places_are_the_programs(name: str, tmp_path: Path) -> None:
    (container,) = PODS[name]["spec"]["containers"]
    assert unknown_words(container["args"]) == []
    settings = settings_of(_environment(PODS[name]), tmp_path)
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    claims = [each["metadata"]["name"] for each in NAMED[name]["spec"].get("volumeClaimTemplates", [])]
    assert set(mounts) == {each["name"] for each in PODS[name]["spec"]["volumes"]} | set(claims)
    assert mounts["data"] == _environment(PODS[name])["LGSP_DATA"]
    assert mounts["secrets"] == _environment(PODS[name])["CREDENTIALS_DIRECTORY"]
    for word in container["args"]:
        assert not word.startswith("/") or any(word.startswith(f"{place}/") for place in mounts.values()), word
    if settings.drops:
        assert settings.drops == mounts["drops"]


@pytest.mark.parametrize("name", MACHINES)
def test_ports_and_probes_are_those_of_the_roles(name: str, tmp_path: Path) -> None:
    (container,) = MACHINES[name]["spec"]["containers"]
    settings = settings_of(_environment(MACHINES[name]), tmp_path)
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    expected = {
        "metrics": settings.metrics_port,
        **({"exchange": settings.exchange_port} if settings.has("door") else {}),
        **({"desk": settings.desk_port} if settings.has("desk") else {}),
    }
    assert ports == expected and settings.metrics_port
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in PATHS and asked["port"] in ports
        assert (asked.get("scheme") == "HTTPS") == (asked["port"] != "metrics")
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    if settings.has("desk"):
        assert settings.desk_tls != "off"
    grace = MACHINES[name]["spec"]["terminationGracePeriodSeconds"]
    assert grace > Supervisor(settings)._patience


def test_every_role_has_machines_and_what_one_alone_does_is_one(tmp_path: Path) -> None:
    roles = {name: settings_of(_environment(pod), tmp_path).roles.split() for name, pod in MACHINES.items()}
    assert {role for each in roles.values() for role in each} == set(ROLES)
    for name, each in roles.items():
        assert NAMED[name]["spec"]["replicas"] == (1 if "files" in each else 2)
        claims = [claim["metadata"]["name"] for claim in NAMED[name]["spec"]["volumeClaimTemplates"]]
        assert "data" in claims  # a machine's folder stays with it
    assert NAMED["PersistentVolumeClaim/data-keeper-0"]["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_nothing_that_it_does_not_need(name: str) -> None:
    pod = PODS[name]["spec"]
    (container,) = pod["containers"]
    own, of_pod = container["securityContext"], pod["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert of_pod["runAsNonRoot"] and of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    user = re.search(r"^USER (\d+):", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert user and of_pod["runAsUser"] == of_pod["fsGroup"] == int(user[1])
    assert pod["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= set(container["resources"]["requests"]) and container["resources"]["limits"]["memory"]


def test_selectors_find_pods_and_services_lead_to_ports() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}

    def found(selector: dict[str, str]) -> list[str]:
        return [name for name, each in labels.items() if selector.items() <= each.items()]

    for name, each in NAMED.items():
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            for pod in found(spec["selector"]) or [""]:
                ports = {port["name"] for port in PODS[pod]["spec"]["containers"][0].get("ports", [])}
                assert pod.startswith("Job/") or {port["targetPort"] for port in spec["ports"]} <= ports, name
        elif each["kind"] == "PodDisruptionBudget":
            assert found(spec["selector"]["matchLabels"]), name
        elif each["kind"] == "NetworkPolicy" and spec["podSelector"]:
            assert found(spec["podSelector"]["matchLabels"]), name
        elif each["kind"] == "StatefulSet":
            assert found(spec["selector"]["matchLabels"]) == [name]
            (spread,) = PODS[name]["spec"]["topologySpreadConstraints"]
            assert spread["labelSelector"] == spec["selector"]
            assert f"Service/{spec['serviceName']}" in NAMED
    assert NAMED["NetworkPolicy/nothing-else"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_value_of_a_secret_stands_in_them() -> None:
    assert not [name for name in NAMED if name.startswith("Secret/")]
    for file in FOLDER.rglob("*.yaml"):
        assert "://" not in re.sub(r"https://[\w.-]+\.example\b|https://keeper:8443", "", file.read_text("utf-8")), file


def test_the_example_of_answers_is_one(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"can-bo-1\.pub"):  # the officers' keys are theirs
        from_file(FOUNDING / "answers/setup.yaml")
    assert Settings(tmp_path).roles.split() == list(ROLES)
