"""deploy/kubernetes is sound as far as that can be told without a cluster.

  kubernetes_test.py REPOSITORY PRINTER

Every document is decoded strictly: no key stands twice, and none is unknown. Whatever
one document names in another one is there, the commands' options are the programs'
(PRINTER says what their --help does), and exit codes are those of the systemd units.
Where there is kubectl, its kustomize builds each folder. Skipped without
python3-yaml.
"""
import pathlib
import re
import shutil
import subprocess
import sys

try:
    import yaml
except ImportError:
    print("no python3-yaml here: skipped")
    sys.exit(77)

FOLDERS = (".", "site", "site-gpu")
IMAGE_USER = 10001
# The keys that may stand in each kind of object, all of which Kubernetes knows. A name
# in brackets is the kind of the value, or of each of a list; "*" takes any key.
SCHEMA = {
    "document": "apiVersion kind metadata[meta] spec",
    "meta": "name labels[any] annotations[any]",
    "any": "*",
    "PersistentVolumeClaim": "accessModes resources[resources]",
    "Service": "selector[any] ports[port] clusterIP publishNotReadyAddresses",
    "port": "name port targetPort",
    "Job": "backoffLimit completionMode completions parallelism "
           "podFailurePolicy[policy] template[template]",
    "StatefulSet": "serviceName replicas selector[selector] template[template] "
                   "volumeClaimTemplates[claim]",
    "NetworkPolicy": "podSelector[selector] policyTypes ingress[ingress]",
    "ingress": "from[from]",
    "from": "podSelector[selector]",
    "selector": "matchLabels[any] matchExpressions[expression]",
    "expression": "key operator values",
    "claim": "metadata[meta] spec[PersistentVolumeClaim]",
    "policy": "rules[rule]",
    "rule": "action onExitCodes[codes] onPodConditions[condition]",
    "codes": "containerName operator values",
    "condition": "type status",
    "template": "metadata[meta] spec[pod]",
    "pod": "restartPolicy terminationGracePeriodSeconds enableServiceLinks "
           "automountServiceAccountToken securityContext[podSecurity] "
           "initContainers[container] containers[container] volumes[volume]",
    "podSecurity": "runAsNonRoot runAsUser runAsGroup fsGroup seccompProfile[profile]",
    "profile": "type",
    "container": "name image command ports[containerPort] env[variable] "
                 "startupProbe[probe] livenessProbe[probe] resources[resources] "
                 "securityContext[security] volumeMounts[mount]",
    "containerPort": "name containerPort",
    "variable": "name valueFrom[source]",
    "source": "fieldRef[field]",
    "field": "fieldPath",
    "probe": "exec[exec] initialDelaySeconds periodSeconds timeoutSeconds "
             "failureThreshold",
    "exec": "command",
    "resources": "requests[any] limits[any]",
    "security": "allowPrivilegeEscalation capabilities[capabilities]",
    "capabilities": "drop",
    "mount": "name mountPath readOnly",
    "volume": "name persistentVolumeClaim[claimed] emptyDir[empty] "
              "configMap[named] secret[secret]",
    "claimed": "claimName readOnly",
    "empty": "medium",
    "named": "name",
    "secret": "secretName",
    "Kustomization": "apiVersion kind resources configMapGenerator[generator] "
                     "images[image] patches[patch]",
    "generator": "name files",
    "image": "name newName newTag",
    "patch": "target[target] patch",
    "target": "kind name",
}


class Strict(yaml.SafeLoader):
    """Takes no key twice."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"'{key}' twice at {node.start_mark}")
        return super().construct_mapping(node, deep)


def unknown_keys(value, kind, at):
    allowed = dict(re.fullmatch(r"(\S+?)(?:\[(\w+)\])?", word).groups()
                   for word in SCHEMA[kind].split())
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict):
            yield f"{at} is no {kind}: {item}"
            continue
        for key, inner in item.items():
            if "*" in allowed:
                continue
            if key not in allowed:
                yield f"{at}: unknown key {key}"
            elif allowed[key]:
                yield from unknown_keys(inner, allowed[key], f"{at}.{key}")


def documents_of(folder):
    """(file, document) of a kustomization's resources, and itself."""
    file = folder / "kustomization.yaml"
    top = yaml.load(file.read_text(encoding="utf-8"), Strict)
    yield file, top
    for resource in top["resources"]:
        path = folder / resource
        if path.is_dir():
            yield from documents_of(path)
        else:
            for document in yaml.load_all(path.read_text(encoding="utf-8"), Strict):
                yield path, document


def pods_of(documents):
    for document in documents:
        if document["kind"] in ("Job", "StatefulSet"):
            yield document, document["spec"]["template"]


def check_pod(owner, template, documents, given):
    """What the pod names is there: `given` lists what a person makes."""
    name, pod = owner["metadata"]["name"], template["spec"]
    have = {(d["kind"], d["metadata"]["name"]) for d in documents} | given
    claims = {claim["metadata"]["name"]
              for claim in owner["spec"].get("volumeClaimTemplates", [])}
    volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
    for volume in volumes.values():
        for kind, key, field in (
                ("PersistentVolumeClaim", "persistentVolumeClaim", "claimName"),
                ("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
            if key in volume and (kind, volume[key][field]) not in have:
                yield f"{name}: there is no {kind} {volume[key][field]}"
    mounted = set()
    for container in pod.get("initContainers", []) + pod["containers"]:
        mounted |= {mount["name"] for mount in container["volumeMounts"]}
        if container["securityContext"]["capabilities"]["drop"] != ["ALL"]:
            yield f"{name} keeps capabilities"
    if mounted != {*volumes, *claims}:
        yield f"{name} mounts {mounted} of {({*volumes, *claims})}"
    if pod["securityContext"]["runAsUser"] != IMAGE_USER:
        yield f"{name} runs as another user than the image's"
    selector = owner["spec"].get("selector")
    if selector and selector["matchLabels"] != template["metadata"]["labels"]:
        yield f"{name} does not select its own pods"


def check_command(name, command, helps):
    program = " ".join(command[:2] if command[0] == "mdgan-server" else command[:1])
    for argument in command:
        flag = re.match(r"--[\w-]+", argument)
        if flag and not re.search(rf"^  {flag[0]}\b", helps[program], re.M):
            yield f"{name}: {program} has no {flag[0]}"


def value_of(command, flag):
    return next(argument.partition("=")[2] for argument in command
                if argument.startswith(flag + "="))


def check_simulation(documents):
    """The server and its peers belong together."""
    jobs = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "Job"}
    server, peers = jobs["mdgan-server"], jobs["mdgan-peers"]
    command = peers["template"]["spec"]["containers"][0]["command"]
    count = value_of(command, "--shard").partition("/")[2]
    container = server["template"]["spec"]["containers"][0]
    if not count == str(peers["completions"]) == str(peers["parallelism"]) \
            == value_of(container["command"], "--min-peers"):
        yield "the number of peers differs"
    service = next(d for d in documents if d["kind"] == "Service")
    port = service["spec"]["ports"][0]
    if value_of(command, "--server") \
            != f"tcp://{service['metadata']['name']}:{port['port']}":
        yield "the peers call another server than the service"
    if container["ports"][0]["name"] != port["targetPort"] \
            or not value_of(container["command"], "--bind").endswith(
                f":{container['ports'][0]['containerPort']}"):
        yield "the service's port is not the server's"
    if service["spec"]["selector"] != server["template"]["metadata"]["labels"]:
        yield "the service selects other pods than the server's"
    run = value_of(container["command"], "--run-dir")
    if f"status {run} " not in " ".join(
            container["startupProbe"]["exec"]["command"]):
        yield "the probe looks at another run"
    policy = next(d for d in documents if d["kind"] == "NetworkPolicy")["spec"]
    reached = policy["podSelector"]["matchExpressions"][0]["values"]
    for spec in jobs.values():
        if spec["template"]["metadata"]["labels"]["app.kubernetes.io/name"] \
                not in reached:
            yield "the network policy leaves a pod out"


def check_codes(jobs, unit):
    """The codes at which a person is needed are the systemd unit's."""
    never = [int(code) for code in
             re.search(r"RestartPreventExitStatus=(.*)", unit)[1].split()]
    for name, spec, template in jobs:
        rules = {rule["action"]: rule["onExitCodes"]
                 for rule in spec["podFailurePolicy"]["rules"]
                 if "onExitCodes" in rule}
        if rules["FailJob"]["values"] != never:
            yield f"{name} fails at {rules['FailJob']['values']}, not at {never}"
        if 10 not in rules["Ignore"]["values"]:
            yield f"{name} counts 10 for a failure"
        for rule in rules.values():
            if rule["containerName"] != template["spec"]["containers"][0]["name"]:
                yield f"{name} has a rule for another container"
        if template["spec"]["restartPolicy"] != "Never":
            yield f"{name}: a failure policy wants restartPolicy Never"


def main(root, printer):
    faults = []
    helps = {program: subprocess.run([printer, *program.split(), "--help"], text=True,
                                     capture_output=True, check=True).stdout
             for program in ("mdgan-server train", "mdgan-peer")}
    readme = (root / "deploy/kubernetes/README.md").read_text(encoding="utf-8")
    unit = (root / "deploy/systemd/mdgan-server.service.in").read_text(encoding="utf-8")
    # What the README has a person make.
    given = {(kind, name) for kind, name in (("Secret", "mdgan-keys"),
                                             ("PersistentVolumeClaim", "mdgan-images"))
             if f"`{name}`" in readme or f" {name} " in readme}
    for name in FOLDERS:
        folder = root / "deploy/kubernetes" / name
        found = list(documents_of(folder))
        for file, document in found:
            kind = document["kind"]
            if kind == "Kustomization":
                faults += unknown_keys(document, kind, file.name)
                continue
            faults += unknown_keys(document, "document", file.name)
            faults += unknown_keys(document["spec"], kind, f"{file.name}: {kind}")
        made = {("ConfigMap", generator["name"]) for _, document in found
                for generator in document.get("configMapGenerator", [])}
        documents = [d for _, d in found if d["kind"] != "Kustomization"]
        for owner, template in pods_of(documents):
            faults += check_pod(owner, template, documents, given | made)
            for container in template["spec"]["containers"]:
                faults += check_command(owner["metadata"]["name"],
                                        container["command"], helps)
        if name == ".":
            faults += check_simulation(documents)
            faults += check_codes([(o["metadata"]["name"], o["spec"], t)
                                   for o, t in pods_of(documents)], unit)
        if shutil.which("kubectl"):
            built = subprocess.run(["kubectl", "kustomize", folder],
                                   capture_output=True, text=True)
            if built.returncode != 0:
                faults.append(f"kubectl kustomize {name}: {built.stderr}")
                continue
            kinds = [d["kind"] for d in yaml.load_all(built.stdout, Strict)]
            if len(kinds) != len(documents) + len(made):
                faults.append(f"kubectl kustomize {name} makes {kinds}")
    print("\n".join(faults) or "every document is sound")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]))
