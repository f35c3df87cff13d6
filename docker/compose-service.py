# SPDX-License-Identifier: Apache-2.0
# usage: compose-service.py SERVICE
# Prints a service of compose.yaml as shell variables: image, target, network, after (what it waits for), and the arrays
# health, entry, argv and options (its environment for `buildah run`).
import os
import shlex
import sys

import yaml

file = os.path.join(os.path.dirname(__file__), "compose.yaml")

service = yaml.safe_load(open(file))["services"][sys.argv[1]]
kms, condition = next(iter(service.get("depends_on", {}).items()), ("", {}))
plain = {
    "image": service["image"],
    "target": service["build"]["target"],
    "network": service.get("network_mode", ""),
    "after": kms and f"{kms}:{condition['condition']}",
}
health = service.get("healthcheck", {}).get("test", ["CMD"])
assert health[0] == "CMD", health
arrays = {
    "health": health[1:],
    "entry": service.get("entrypoint", []),
    "argv": [each.replace("$$", "$") for each in service.get("command", [])],
    "options": [part for name, value in service.get("environment", {}).items() for part in ("--env", f"{name}={value}")],
}
for name, value in plain.items():
    print(f"{name}={shlex.quote(value)}")
for name, values in arrays.items():
    print(f"{name}=({shlex.join(map(str, values))})")
