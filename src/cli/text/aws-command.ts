import { rfc3339, type ValidTo } from "../../core/base/expiry.js"
import { shellPath, shellWord } from "../../core/base/shell-word.js"
import { parseKeyArn } from "../../core/key/key-arn.js"
import type { ParameterPaths } from "../../store/transfer/parameters.js"

interface ImportFacts {
  readonly keyId: string
  readonly ciphertext: string
  /** The file with the import token, in whichever of the three forms it came. */
  readonly parameterFiles: ParameterPaths
  /** Undefined where the operator has not said. */
  readonly validTo: ValidTo | undefined
}

/** Takes the import token out of a parameters file, whose base64 stands on one line, be the JSON indented or not. */
const TOKEN_OF_JSON = String.raw`s/.*"ImportToken": *"\([^"]*\)".*/\1/p`

/** The `aws kms import-key-material` command that does the last step, quoted for a shell. */
export function awsImportCommand({ keyId, ciphertext, parameterFiles, validTo }: ImportFacts): string {
  const { region } = parseKeyArn(keyId) ?? {}
  const where = region === undefined ? "" : ` --region ${shellWord(region)}`
  const expiry =
    validTo === null
      ? "--expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE"
      : `--expiration-model KEY_MATERIAL_EXPIRES --valid-to ${validTo === undefined ? "TIME" : rfc3339(validTo)}`
  return [
    `aws kms import-key-material${where}`,
    `--key-id ${shellWord(keyId)}`,
    `--encrypted-key-material ${shellWord(`fileb://${ciphertext}`)}`,
    `--import-token ${importTokenWord(parameterFiles)}`,
    expiry,
  ].join(" \\\n    ")
}

/** The import token never stands on a command line: it is read from its file, by bash where it lies inside another. */
function importTokenWord({ importToken, parameters, consoleZip }: ParameterPaths): string {
  if (importToken !== undefined) return shellWord(`fileb://${importToken}`)
  // what every host with bash has; jq is not there by default
  if (parameters !== undefined) return `fileb://<(sed -n '${TOKEN_OF_JSON}' ${shellPath(parameters)} | base64 -d)`
  return `fileb://<(unzip -p ${shellPath(consoleZip ?? "")} '*mportToken*')`
}
