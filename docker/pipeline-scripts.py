# SPDX-License-Identifier: Apache-2.0
# usage: pipeline-scripts.py FOLDER
# Writes the script of each job in the examples of deploy/ci to a file of FOLDER: github-JOB, gitlab-JOB. Both systems have to say the same,
# in the same image, with no more rights than to read.
import os
import sys

import yaml


def load(name):
    return yaml.safe_load(open(os.path.join(os.path.dirname(__file__), "../deploy/ci", name)))


github, gitlab = load("github-actions.yaml"), load("gitlab-ci.yaml")
assert github["permissions"] == {"contents": "read"}, github["permissions"]
image = gitlab["default"]["image"]["name"]
os.mkdir(sys.argv[1])
for name, job in github["jobs"].items():
    assert job["container"]["image"] == image, name
    runs = [step["run"] for step in job["steps"] if "run" in step]
    lines = gitlab[name]["script"]
    assert "".join(runs).strip() == "\n".join(lines).strip(), f"{name}: the two differ"
    for system, script in (("github", "\n".join(runs)), ("gitlab", "\n".join(lines))):
        assert "secrets." not in script and "$" not in script, name
        with open(os.path.join(sys.argv[1], f"{system}-{name}"), "w") as file:
            file.write(script)
