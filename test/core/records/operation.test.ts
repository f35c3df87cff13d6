import { expect } from "chai"
import {
  type AskedRotation,
  governs,
  type KeyProgress,
  progressOf,
  type ReplaceOperation,
  type ResealOperation,
  type RotateOperation,
  unfinishedOf,
} from "#src/core/records/operation.js"
import type { FormerEntry, InventoryEntry } from "#src/core/records/inventory.js"
import { arn, BINDING, entryOf, importRecord, REGION, REPLICA } from "../../support/plan-world.js"

const wishes = { expiresIn: "30d", wrappingAlgorithm: null, wrappingKeySpec: null, prove: "accept" } as const
const { owner, name, target } = BINDING
const ARN = arn(REGION)
/** Of a KMS key that the name stood for before. */
const OLD = arn(REPLICA)
const KEY: AskedRotation = { name, keyArn: ARN, generation: 2 }
const OTHER: AskedRotation = { name: "other", keyArn: OLD, generation: 7 }
const ROTATE: RotateOperation = {
  command: "rotate",
  id: "r-1",
  owner,
  target,
  askedAt: "2026-05-01T00:00:00Z",
  keys: [OTHER, KEY],
  wishes,
}
const REPLACE: ReplaceOperation = { ...ROTATE, command: "replace", id: "p-1", askedAt: "2026-05-02T00:00:00Z" }
const RESEAL: ResealOperation = {
  command: "reseal",
  id: "s-1",
  owner,
  askedAt: "2026-05-03T00:00:00Z",
  token: { label: "a", serial: "1", manufacturer: "m", model: "m", firmwareVersion: "1", library: "l" },
  newestBefore: 1,
}

/** Of the newest generation. */
const at = (generation: number, more: Partial<InventoryEntry> = {}): InventoryEntry =>
  entryOf([importRecord(0), importRecord(generation)], more)
const former = (keyArn: string): FormerEntry => ({
  ...entryOf([importRecord(0)], { keyArn }),
  replacedAt: "2026-05-01T00:00:00Z",
  retiredAt: null,
})

describe("progressOf", () => {
  const rows: readonly [
    what: string,
    progress: KeyProgress,
    operation: typeof ROTATE | typeof REPLACE,
    InventoryEntry?,
  ][] = [
    ["a rotation: the key is gone from the inventory", "done", ROTATE],
    ["a rotation: another KMS key has the name", "done", ROTATE, at(1, { keyArn: OLD })],
    ["a rotation: an earlier generation is the newest", "asked", ROTATE, at(1)],
    ["a rotation: an earlier one waits for its rotation", "asked", ROTATE, at(1, { rotating: true })],
    ["a rotation: its generation waits", "begun", ROTATE, at(2, { rotating: true })],
    ["a rotation: its generation is in use", "done", ROTATE, at(2)],
    ["a rotation: a later generation is in use", "done", ROTATE, at(3)],
    ["a replacement: the key is gone from the inventory", "done", REPLACE],
    ["a replacement: nothing is made", "asked", REPLACE, at(1)],
    ["a replacement: the new one is being made", "begun", REPLACE, at(1, { replacement: entryOf([]) })],
    ["a replacement: the new one has the name", "done", REPLACE, at(0, { keyArn: OLD })],
  ]
  for (const [what, progress, operation, entry] of rows) {
    it(`${what}: ${progress}`, () => expect(progressOf(operation, KEY, entry)).to.equal(progress))
  }
})

describe("governs", () => {
  const rows: readonly [what: string, expected: boolean, operation: typeof ROTATE | typeof REPLACE, InventoryEntry][] =
    [
      ["the KMS key that it was asked for", true, ROTATE, at(1)],
      ["not another name's", false, ROTATE, at(1, { name: "another" })],
      ["not another KMS key of the name", false, ROTATE, at(1, { keyArn: OLD })],
      [
        "not, being a rotation, the key that has replaced it",
        false,
        ROTATE,
        at(0, { keyArn: OLD, former: [former(ARN)] }),
      ],
      ["the key that has replaced it", true, REPLACE, at(0, { keyArn: OLD, former: [former(ARN)] })],
      ["not a key that has replaced another", false, REPLACE, at(0, { keyArn: OLD, former: [former("arn:x")] })],
    ]
  for (const [what, expected, operation, entry] of rows) {
    it(what, () => expect(governs(operation, KEY, entry)).to.equal(expected))
  }
})

describe("unfinishedOf", () => {
  it("tells rotation and replacement of the entry apart", () => {
    expect(unfinishedOf([ROTATE], at(1))).to.deep.equal({ rotation: ROTATE, replacement: null })
    expect(unfinishedOf([REPLACE], at(1))).to.deep.equal({ rotation: null, replacement: REPLACE })
    expect(unfinishedOf([RESEAL, REPLACE, ROTATE], at(1))).to.deep.equal({ rotation: ROTATE, replacement: REPLACE })
  })

  const nothing: readonly [what: string, InventoryEntry][] = [
    ["what is done", at(2)],
    ["another owner's", at(1, { owner: "another" })],
    ["another target's", at(1, { target: "another" })],
    ["another name's", at(1, { name: "another" })],
  ]
  for (const [what, entry] of nothing) {
    it(`leaves out ${what}`, () =>
      expect(unfinishedOf([ROTATE], entry)).to.deep.equal({ rotation: null, replacement: null }))
  }
})
