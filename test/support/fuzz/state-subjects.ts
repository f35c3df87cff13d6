import { createHash } from "node:crypto"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { verifyChain } from "#src/core/records/custody-chain.js"
import type { Operation } from "#src/core/records/operation.js"
import type { PinMarker } from "#src/core/token/pin-marker.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedCustodyKeys } from "#src/store/records/custody-keys.js"
import { custodyLines, verifiedEnd } from "#src/store/files/custody-log-reader.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { storedOperations } from "#src/store/records/operations.js"
import { storedPinMarkers } from "#src/store/records/pin-markers.js"
import { openStateDir } from "#src/store/files/state-dir.js"
import { storedVault } from "#src/store/records/vault.js"
import { KeyferryError } from "#src/core/base/error.js"
import type { Subject } from "./subject.js"
import { fieldOf } from "./transfer-subjects.js"

/** What keyferry 0.1.0 left of five keys. */
export const FIXTURE = fileURLToPath(new URL("../../../../test/fixtures/state-0.1.0/state", import.meta.url))

const MARKER: PinMarker = {
  token: { serial: "1", label: "t", manufacturer: "m", slot: null, libraryParameters: null },
  salt: "0d".repeat(16),
  refused: [{ bits: "a0f", answer: "CKR_PIN_INCORRECT", refusedAt: "2026-01-01T00:00:00.000Z" }],
}
const FORMER_NAME = createHash("sha256").update("1").digest("hex").slice(0, 32)

const OPERATION: Operation = {
  command: "rotate",
  id: "11111111-2222-4333-8444-555555555555",
  owner: "keyferry",
  askedAt: "2026-01-01T00:00:00.000Z",
  target: "us-east-1",
  keys: [{ name: "payments", keyArn: "arn:aws:kms:us-east-1:111122223333:key/1", generation: 1 }],
  wishes: { expiresIn: null, wrappingAlgorithm: null, wrappingKeySpec: null, prove: "accept" },
}

const json = (bytes: Uint8Array): Record<string, unknown> =>
  JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>

/** A file of a state directory, and the program's reading and writing of it. */
interface StateFile {
  readonly name: string
  /** From the state directory. */
  readonly path: string
  readonly sample: Uint8Array
  /** Reads it in this state directory, and writes what was read into another. */
  readonly copy: (from: string, to: string) => Promise<void>
  /** Whether it has a digest of its own, so that nothing in it may change. */
  readonly digested?: true
}

function stateSubject({ name, path, sample, copy, digested }: StateFile): Subject {
  return {
    name,
    sample,
    async read(bytes, folder) {
      const [from, to] = [join(folder, "from"), join(folder, "to")]
      for (const state of [from, to]) mkdirSync(dirname(join(state, path)), { recursive: true, mode: 0o700 })
      writeFileSync(join(from, path), bytes, { mode: 0o600 })
      await copy(from, to)
      const withoutDigest = (file: Uint8Array): object => ({ ...json(file), digest: undefined })
      const said = withoutDigest(digested ? sample : bytes)
      return fieldOf({ file: [withoutDigest(readFileSync(join(to, path))), said] })
    },
  }
}

const found = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("it was not found")
  return value
}

/** The files of the state directory. */
export async function stateSubjects(): Promise<readonly Subject[]> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-fuzz-"))
  try {
    return await subjectsIn(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function subjectsIn(folder: string): Promise<readonly Subject[]> {
  const state = join(folder, "state")
  cpSync(FIXTURE, state, { recursive: true })
  const inventoryPath = join("inventory", "us-east-1", "payments.json")
  const first = readFileSync(join(state, inventoryPath))
  const inventory = storedInventory(fileTexts(state))
  await inventory.put(found(await inventory.get("payments", "us-east-1")))
  await storedPinMarkers(fileTexts(state)).put(MARKER)
  const markerPath = join("pin-refused", readdirSync(join(state, "pin-refused"))[0] ?? "")
  await storedOperations(fileTexts(state)).put(OPERATION)
  const operationPath = join("operations", `rotate-${OPERATION.id}.json`)
  const sealedFolder = join("vault", "keyferry", "payments")
  const sealedPath = join(sealedFolder, readdirSync(join(state, sealedFolder))[0] ?? "")
  const [, sealedId = ""] = /-([0-9a-f]+)\.json$/.exec(sealedPath) ?? []
  const custodyPath = join("custody-keys", readdirSync(join(state, "custody-keys"))[0] ?? "")
  const custodyId = custodyPath.slice("custody-keys/".length, -".json".length)
  const sampleOf = (path: string): Buffer => readFileSync(join(state, path))
  const log = sampleOf("custody.log.jsonl")
  const lines = log.toString().trimEnd().split("\n")

  return [
    stateSubject({
      name: "an inventory entry",
      path: inventoryPath,
      sample: sampleOf(inventoryPath),
      async copy(from, to) {
        await storedInventory(fileTexts(to)).put(
          found(await storedInventory(fileTexts(from)).get("payments", "us-east-1")),
        )
      },
    }),
    {
      name: "an inventory entry of 0.1.0",
      sample: first,
      async read(bytes, where) {
        mkdirSync(join(where, "inventory", "us-east-1"), { recursive: true })
        writeFileSync(join(where, inventoryPath), bytes)
        const entry = found(await storedInventory(fileTexts(where)).get("payments", "us-east-1"))
        await storedInventory(fileTexts(where)).put(entry)
        const said = json(bytes)
        const { name, keyArn, keySpec, custody, source } = entry
        return fieldOf({
          entry: [await storedInventory(fileTexts(where)).get("payments", "us-east-1"), entry],
          name: [name, said["name"]],
          keyArn: [keyArn, said["keyArn"]],
          keySpec: [keySpec, said["keySpec"]],
          custody: [custody, said["custody"]],
          source: [source, said["source"]],
        })
      },
    },
    stateSubject({
      name: "a file of the vault",
      path: sealedPath,
      sample: sampleOf(sealedPath),
      digested: true,
      async copy(from, to) {
        await storedVault(fileTexts(to)).put(found(await storedVault(fileTexts(from)).get(sealedId)))
      },
    }),
    stateSubject({
      name: "the record of a custody key",
      path: custodyPath,
      sample: sampleOf(custodyPath),
      digested: true,
      async copy(from, to) {
        await storedCustodyKeys(fileTexts(to)).put(found(await storedCustodyKeys(fileTexts(from)).get(custodyId)))
      },
    }),
    stateSubject({
      name: "an operation under way",
      path: operationPath,
      sample: sampleOf(operationPath),
      digested: true,
      async copy(from, to) {
        const { operations, damaged } = await storedOperations(fileTexts(from)).list()
        const [fault] = damaged
        if (fault !== undefined) throw new KeyferryError("ERR_STATE_INVALID", fault.reason)
        await storedOperations(fileTexts(to)).put(found(operations[0]))
      },
    }),
    stateSubject({
      name: "the marker of a refused PIN",
      path: markerPath,
      sample: sampleOf(markerPath),
      async copy(from, to) {
        const marker = found(await storedPinMarkers(fileTexts(from)).get(MARKER.token))
        // of whatever token it says it is: what counts is the file that it was found in
        await storedPinMarkers(fileTexts(to)).put({ ...marker, token: MARKER.token })
        const written = join(to, markerPath)
        writeFileSync(written, JSON.stringify({ ...json(readFileSync(written)), token: marker.token }))
      },
    }),
    {
      name: "the marker of a refused PIN of 0.1.0",
      sample: Buffer.from(
        JSON.stringify({
          tokenSerial: "1",
          sourceDigest: "sha256:ab",
          modifiedNs: "1",
          refusedAt: "2026-01-01T00:00:00Z",
        }),
      ),
      async read(bytes, where) {
        mkdirSync(join(where, "pin-refused"))
        writeFileSync(join(where, "pin-refused", `${FORMER_NAME}.json`), bytes)
        const { refused } = found(await storedPinMarkers(fileTexts(where)).get(MARKER.token))
        return fieldOf({ refused: [refused, [{ bits: null, answer: null, refusedAt: json(bytes)["refusedAt"] }]] })
      },
    },
    {
      name: "the custody log",
      sample: log,
      read(bytes, where) {
        writeFileSync(join(where, "custody.log.jsonl"), bytes, { mode: 0o600 })
        const { seq } = verifiedEnd(where)
        const accepted = [...custodyLines(where)]
        if ("fault" in verifyChain(accepted)) return Promise.resolve("its chain is broken")
        return Promise.resolve(fieldOf({ lines: [accepted, lines.slice(0, seq)] }))
      },
    },
    {
      name: "state.json",
      sample: Buffer.from('{\n  "version": 2\n}\n'),
      async read(bytes, where) {
        writeFileSync(join(where, "state.json"), bytes, { mode: 0o600 })
        await openStateDir(where)
        const { version } = json(bytes)
        return version === 1 || version === 2 ? null : "its version is none that is known"
      },
    },
  ]
}
