import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { zipSync } from "fflate"
import type { WrappingAlgorithm } from "#src/core/key/wrapping-algorithm.js"
import type { KeySpec, WrappingKeySpec } from "#src/core/key/key-spec.js"
import { createKey } from "./local-kms-fixture.js"
import type { Stage } from "./stage.js"

/** Import parameters as bytes, fetched without keyferry. */
export interface Lent {
  readonly keyId: string
  readonly publicKey: Uint8Array
  readonly importToken: Uint8Array
}

export async function lend(
  stage: Stage,
  keySpec: KeySpec = "SYMMETRIC_DEFAULT",
  algorithm: WrappingAlgorithm = "RSAES_OAEP_SHA_1",
  wrappingKeySpec: WrappingKeySpec = "RSA_4096",
): Promise<Lent> {
  const keyId = await createKey(stage.sdk, keySpec)
  const answer = await stage.sdk.getParametersForImport({
    KeyId: keyId,
    WrappingAlgorithm: algorithm,
    WrappingKeySpec: wrappingKeySpec,
  })
  return { keyId, publicKey: answer.PublicKey!, importToken: answer.ImportToken! }
}

let files = 0

/** A path of the stage's folder that nothing has yet. */
export function freshPath(stage: Stage, name: string): string {
  files += 1
  return join(stage.folder, `${files}-${name}`)
}

export function writeFile(stage: Stage, name: string, content: string | Uint8Array): string {
  const path = freshPath(stage, name)
  writeFileSync(path, content)
  return path
}

export function loosePaths(stage: Stage, { publicKey, importToken }: Lent): readonly string[] {
  return [
    ...["--public-key", writeFile(stage, "WrappingPublicKey.bin", publicKey)],
    ...["--import-token", writeFile(stage, "ImportToken.bin", importToken)],
  ]
}

export function zip(stage: Stage, entries: Readonly<Record<string, Uint8Array>>): string {
  return writeFile(stage, "Import_Parameters.zip", zipSync({ ...entries }))
}

/** What the AWS CLI prints. */
export function awsJson({ keyId, publicKey, importToken }: Lent, more: object = {}): string {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
  const validTo = new Date(Date.now() + 86_400_000).toISOString()
  const answer = {
    KeyId: keyId,
    ImportToken: base64(importToken),
    PublicKey: base64(publicKey),
    ParametersValidTo: validTo,
  }
  return JSON.stringify({ ...answer, ...more }, null, 4)
}

/** Generates a source key of that name. */
export async function generate(stage: Stage, state: string, name: string, keySpec: KeySpec = "SYMMETRIC_DEFAULT") {
  const args = ["key", "generate", "--name", name, "--key-spec", keySpec, "--custody", "token"]
  const result = await stage.run(args, { state })
  expect(result.status, result.stderr).to.equal(0)
}

export function readJson(path: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>
}
