import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect } from "chai"
import { verifyChain } from "#src/core/records/custody-chain.js"
import { generationsOf, type InventoryEntry, importOf } from "#src/core/records/inventory.js"
import { isAsymmetric } from "#src/core/key/key-spec.js"
import { fileTexts } from "#src/store/files/file-texts.js"
import { storedInventory } from "#src/store/records/inventory.js"
import { storedOperations } from "#src/store/records/operations.js"
import { storedVault } from "#src/store/records/vault.js"
import { keysNamed, type Stage, tokenObjects } from "./stage.js"
import { keyNames, type Operation, type Subject } from "./kill-operations.js"

const REGION = "us-east-1"

/**
 * Holds the world after a command that was broken off and run again against what it must be: the KMS keys that were
 * asked for and no other, each generation imported, inventory equal to KMS, sealed material there for each source key
 * and for no other, the custody log's chain intact.
 */
export async function expectConverged(stage: Stage, operation: Operation, subject: Subject): Promise<void> {
  const { state } = subject
  for (const name of keyNames(subject.name, operation.keys)) await expectKey(stage, operation, { ...subject, name })
  expect(await storedOperations(fileTexts(state)).list(), "operations").to.deep.equal({ operations: [], damaged: [] })
  await expectKept(stage, state, operation)
  expect(verifyChain(readFileSync(join(state, "custody.log.jsonl"), "utf8").trim().split("\n"))).to.have.property("end")
}

/** The KMS keys of one name, their generations and rotations, counted, and what the inventory says of them. */
async function expectKey(stage: Stage, operation: Operation, subject: Subject): Promise<void> {
  const { state, name } = subject
  const entry = await storedInventory(fileTexts(state)).get(name, REGION)
  if (entry === undefined) throw new Error(`the inventory does not know ${name}`)
  expect(entry).to.include({ creating: false, importing: null, replacement: null, custody: operation.custodyAfter })

  const keys = await keysNamed(stage.sdk, name)
  const entries: readonly InventoryEntry[] = [entry, ...entry.former]
  expect(keys.map(({ arn }) => arn).sort()).to.deep.equal(entries.map(({ keyArn }) => keyArn).sort())
  expect(keys.map((key) => key.state)).to.deep.equal(keys.map(() => "Enabled"))
  expect(keys.length).to.equal(subject.keysBefore + operation.adds.keys)
  expect(generationsOf(entry).length).to.equal(
    operation.fresh || operation.adds.keys > 0 ? 1 : subject.generationsBefore + operation.adds.generations,
  )
  for (const one of entries) await expectImported(stage, one)
  for (const CiphertextBlob of subject.ciphertexts ?? []) {
    const { Plaintext } = await stage.sdk.decrypt({ CiphertextBlob })
    expect(Buffer.from(Plaintext!).toString()).to.equal(name)
  }
  // the three steps make none
  if (operation.steps !== undefined) return
  const alias = await stage.sdk.describeKey({ KeyId: `alias/${name}` })
  expect(alias.KeyMetadata?.Arn).to.equal(entry.keyArn)
}

/** Each generation is imported, and to the date that the inventory says. */
async function expectImported(stage: Stage, entry: InventoryEntry): Promise<void> {
  const KeyId = entry.keyArn ?? ""
  const { KeyMetadata } = await stage.sdk.describeKey({ KeyId })
  const dates = generationsOf(entry).map(({ generation }) => importOf(entry, generation, REGION)?.validTo ?? null)
  const earliest = dates.sort()[0] ?? ""
  expect(KeyMetadata?.ValidTo?.getTime()).to.equal(new Date(earliest).getTime())
  if (entry.keySpec !== "SYMMETRIC_DEFAULT") return
  const { Rotations = [] } = await stage.sdk.listKeyRotations({ KeyId, IncludeKeyMaterial: "ALL_KEY_MATERIAL" })
  const here = generationsOf(entry).map(({ generation }) => {
    const record = importOf(entry, generation, REGION)
    return [record?.keyMaterialId, "IMPORTED", new Date(record?.validTo ?? "").getTime()]
  })
  const there = Rotations.map((one) => [one.KeyMaterialId, one.ImportState, one.ValidTo?.getTime()])
  expect(there.sort()).to.deep.equal(here.sort())
  const rotated = Rotations.filter(({ RotationDate }) => RotationDate !== undefined)
  expect(rotated.length, "rotations of the KMS key").to.equal(entry.source.generation)
  const current = importOf(entry, entry.source.generation, REGION)
  expect(KeyMetadata?.CurrentKeyMaterialId).to.equal(current?.keyMaterialId)
}

/** Over all names of a state: the vault holds what the inventory names and nothing else, and so does the token. */
async function expectKept(stage: Stage, state: string, { grows }: Operation): Promise<void> {
  const all = await storedInventory(fileTexts(state)).list()
  const ids = (custody: string): readonly string[] =>
    all
      .flatMap((entry) => [entry, ...entry.former])
      .filter((entry) => entry.custody === custody)
      .flatMap(generationsOf)
      .map(({ id }) => id)
      .sort()
  const { sealed, damaged } = await storedVault(fileTexts(state)).list()
  expect(damaged).to.deep.equal([])
  expect(sealed.map(({ id }) => id).sort()).to.deep.equal(ids("sealed"))
  // SoftHSM's objects: one a secret key, two a pair, the custody keys that seal among them
  const halves = all.filter(({ keySpec, custody }) => custody === "token" && isAsymmetric(keySpec)).length
  const objects = new Set(sealed.map(({ custodyKey }) => custodyKey.id)).size + ids("token").length + halves
  expect(tokenObjects(stage.token)).to.be.at.least(objects)
  if (grows !== true) expect(tokenObjects(stage.token)).to.equal(objects)
}
