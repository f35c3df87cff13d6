# SPDX-License-Identifier: Apache-2.0
# usage: compose-schema.py SCHEMA COMPOSE_FILE...
# Holds compose files to the JSON Schema of the Compose specification.
import json
import sys

import jsonschema
import yaml

# the schema names draft 7, by an address that is not quite the draft's own
validator = jsonschema.Draft7Validator(json.load(open(sys.argv[1])))
faults = [f"{file}: {fault.json_path}: {fault.message}" for file in sys.argv[2:] for fault in validator.iter_errors(yaml.safe_load(open(file)))]
sys.exit("\n".join(faults) or 0)
