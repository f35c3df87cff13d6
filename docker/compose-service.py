# SPDX-License-Identifier: Apache-2.0
# usage: compose-service.py COMPOSE_FILE SERVICE image
#        compose-service.py COMPOSE_FILE SERVICE <IMAGE_CONFIGURATION
# Prints the name of a service's image; or the service itself, with what its image says where the service does not (JSON of Docker's
# form on stdin), as shell variables for docker/contain.sh: image, target, network, user, folder, read_only (yes or empty),
# privileges (kept or none), and the arrays after (SERVICE:CONDITION), health, argv, environment, tmpfs and mounts. A key that it
# does not know ends it: what the check would not do must not stand in the file.
import json
import os
import shlex
import sys

import yaml

KNOWN = {
    "build", "image", "network_mode", "read_only", "cap_drop", "security_opt", "environment", "volumes", "command", "entrypoint",
    "healthcheck", "depends_on", "ports", "tmpfs", "restart", "stop_grace_period",
}

file, name = sys.argv[1:3]
compose = yaml.safe_load(open(file))
service = compose["services"][name]
if sys.argv[3:] == ["image"]:
    print(service["image"])
    sys.exit()
image = json.load(sys.stdin)
unknown = set(service) - KNOWN
assert not unknown, f"{name}: {unknown}"
for dependency in service.get("depends_on", {}):
    assert dependency in compose["services"], dependency
bare = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
bounded = {key: service[key] for key in bare if key in service}
assert bounded in ({}, bare), f"{name}: {bounded}"
# ports of the network's owner alone, and to this machine alone
assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), service["ports"]
assert not (service.get("ports") and service.get("network_mode")), name


def words(value):
    return [each.replace("$$", "$") for each in value or []]


def mount(text):
    source, target, *mode = text.split(":")
    if source.startswith("."):
        source = os.path.realpath(os.path.join(os.path.dirname(file), source))
        assert os.path.exists(source), source
    else:
        assert source in compose["volumes"], source
    return ":".join([source, target, *mode])


health = service.get("healthcheck", {}).get("test") or image.get("Healthcheck", {}).get("Test", ["NONE"])
assert health[0] in ("CMD", "NONE"), health
entry = words(service.get("entrypoint")) or image.get("Entrypoint") or []
# as in Docker: an entry point of the service's own leaves out the image's command
command = words(service.get("command")) or ([] if "entrypoint" in service else image.get("Cmd") or [])
given = [f"{key}={value}" for key, value in service.get("environment", {}).items()]
plain = {
    "image": service["image"],
    "target": service.get("build", {}).get("target", ""),
    "network": service.get("network_mode", ""),
    "user": image.get("User") or "0:0",
    "folder": image.get("WorkingDir") or "/",
    "read_only": "yes" if service.get("read_only") else "",
    "privileges": "none" if bounded else "kept",
}
arrays = {
    "after": [f"{key}:{value['condition']}" for key, value in service.get("depends_on", {}).items()],
    "health": health[1:],
    "argv": entry + command,
    "environment": (image.get("Env") or []) + given,
    "tmpfs": service.get("tmpfs", []),
    "mounts": [mount(each) for each in service.get("volumes", [])],
}
for key, value in plain.items():
    print(f"{key}={shlex.quote(value)}")
for key, values in arrays.items():
    print(f"{key}=({shlex.join(map(str, values))})")
