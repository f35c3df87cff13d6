import { expect } from "chai"
import { type InventoryEntry, withSealed } from "#src/core/records/inventory.js"
import type { KeyAttributes } from "#src/core/key/key-attributes.js"
import type { CustodyKey, CustodyKeyRecord, SealedMaterial } from "#src/core/records/sealed-material.js"
import type { TokenInfo } from "#src/core/token/token-info.js"
import { assessCustodyKey, judgeVault, type VaultView } from "#src/core/records/vault-health.js"
import { arn, days, entryOf, importRecord, NOW, REPLICA } from "../../support/plan-world.js"

const TOKEN: TokenInfo = {
  label: "byok",
  serial: "1",
  manufacturer: "m",
  model: "m",
  firmwareVersion: "1.0",
  library: "lib",
}
const ATTRIBUTES: KeyAttributes = {
  class: "CKO_SECRET_KEY",
  keyType: "CKK_AES",
  token: true,
  private: true,
  sensitive: true,
  extractable: false,
  alwaysSensitive: true,
  neverExtractable: true,
  local: true,
  modifiable: true,
  wrapWithTrusted: false,
  encrypt: false,
  decrypt: false,
  sign: false,
  verify: false,
  wrap: true,
  unwrap: true,
  derive: false,
  keyGenMechanism: "CKM_AES_KEY_GEN",
}
const KEY: CustodyKey = {
  id: "c1",
  label: "keyferry/custody/keyferry/1",
  number: 1,
  attributes: ATTRIBUTES,
  kcv: "aabbcc",
  allowedMechanisms: true,
  unwrapTemplate: false,
}
const sealed = (more: Partial<SealedMaterial> = {}): SealedMaterial => ({
  owner: "keyferry",
  name: "payments",
  generation: 0,
  id: "0a",
  label: "keyferry/keyferry/payments/0",
  keySpec: "SYMMETRIC_DEFAULT",
  ciphertext: new Uint8Array(40),
  mechanism: "CKM_AES_KEY_WRAP_PAD",
  custodyKey: { id: KEY.id, label: KEY.label, kcv: KEY.kcv },
  token: TOKEN,
  sealedAt: NOW.toISOString(),
  unenforced: null,
  provenance: { origin: "generated", at: NOW.toISOString(), attributes: ATTRIBUTES, kcv: "010203", publicKey: null },
  ...more,
})
const RECORD: CustodyKeyRecord = {
  id: KEY.id,
  label: KEY.label,
  owner: "keyferry",
  number: 1,
  kcv: KEY.kcv,
  token: TOKEN,
  createdAt: NOW.toISOString(),
  canary: sealed({ name: "canary" }),
  backupConfirmedAt: null,
}
const source = (id: string, generation = 0) => ({
  id,
  label: `keyferry/keyferry/payments/${generation}`,
  generation,
  attributes: ATTRIBUTES,
  kcv: "010203",
  publicKeyFingerprint: null,
})
const alive = importRecord(0, { validTo: days(20) })
const entry = (more: Partial<InventoryEntry> = {}): InventoryEntry =>
  entryOf([alive], {
    owner: "keyferry",
    name: "payments",
    custody: "sealed",
    token: TOKEN,
    source: source("0a"),
    ...more,
  })
const view = (more: Partial<VaultView> = {}): VaultView => ({
  owner: "keyferry",
  entries: [entry()],
  vault: { sealed: [sealed()], damaged: [] },
  records: [RECORD],
  token: { info: TOKEN, custodyKeys: [KEY], objects: [] },
  now: NOW,
  ...more,
})
const withKey = (more: Partial<CustodyKey>): Partial<VaultView> => ({
  token: { info: TOKEN, custodyKeys: [{ ...KEY, ...more }], objects: [] },
})
const faults = (more: Partial<VaultView>): readonly string[] =>
  judgeVault(view(more)).findings.map(({ fault }) => fault)

describe("judgeVault", () => {
  it("finds nothing where all is well, and counts the sealed keys", () => {
    const { findings, sealed: count, inForce } = judgeVault(view())
    expect([findings, count]).to.deep.equal([[], 1])
    expect(inForce).to.deep.equal({ id: "c1", label: KEY.label, backupConfirmedAt: null })
  })

  const damaged = { path: "v.json", name: "payments", generation: 0, id: "0a", reason: "its digest does not fit" }
  const elsewhere = { ...TOKEN, serial: "2" }
  const cases: [name: string, view: Partial<VaultView>, expected: readonly string[]][] = [
    ["a missing file", { vault: { sealed: [], damaged: [] } }, ["missing"]],
    ["a missing file of an earlier generation", { entries: [entry({ earlier: [source("09")] })] }, ["missing"]],
    [
      "a file that was moved to the token again",
      { vault: { sealed: [], damaged: [] }, token: { info: TOKEN, custodyKeys: [], objects: ["0a"] } },
      [],
    ],
    ["a missing file, without a token", { vault: { sealed: [], damaged: [] }, token: null }, ["missing"]],
    ["an entry of a vault that is elsewhere", { vault: { sealed: [], damaged: [] }, token: null, records: [] }, []],
    ["a damaged file, once", { vault: { sealed: [], damaged: [damaged] } }, ["damaged"]],
    ["a custody key that is gone", { token: { info: TOKEN, custodyKeys: [], objects: [] } }, ["custody-key-missing"]],
    ["another key of its ID", withKey({ kcv: "ddeeff" }), ["custody-key-differs"]],
    ["a key without check value", withKey({ kcv: null }), []],
    [
      "other material than was recorded",
      { entries: [entry({ source: { ...source("0a"), kcv: "ffffff" } })] },
      ["material-differs"],
    ],
    [
      "material of another token",
      {
        vault: { sealed: [sealed({ token: elsewhere, custodyKey: { id: "c9", label: "x", kcv: null } })], damaged: [] },
      },
      [],
    ],
    [
      "material of another owner",
      {
        vault: {
          sealed: [sealed(), sealed({ owner: "x", custodyKey: { id: "c9", label: "x", kcv: null } })],
          damaged: [],
        },
      },
      [],
    ],
  ]
  for (const [name, more, expected] of cases) {
    it(name, () => {
      expect(faults(more)).to.deep.equal(expected)
    })
  }

  it("names every KMS key that dies of a fault, in each Region, and when", () => {
    const records = [alive, importRecord(0, { region: REPLICA, validTo: days(-1) })]
    const multi = entryOf(records, {
      owner: "keyferry",
      name: "payments",
      custody: "sealed",
      token: TOKEN,
      source: source("0a"),
      replicas: [{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: true }],
    })
    const former = { ...entry(), keyArn: "arn:former", replacedAt: NOW.toISOString(), retiredAt: null }
    const entries = [{ ...multi, former: [former, { ...former, keyArn: "arn:retired", retiredAt: NOW.toISOString() }] }]
    const [finding] = judgeVault(view({ entries, vault: { sealed: [], damaged: [] } })).findings
    expect(finding?.dependents).to.have.length(3)
    expect(finding?.message).to.include(
      `KMS key ${multi.keyArn ?? ""} loses its material on ${alive.validTo ?? ""} and cannot be renewed`,
    )
    expect(finding?.message).to.include(`KMS key ${arn(REPLICA)} lost its material on`)
    expect(finding?.message).to.include("arn:former").and.not.include("arn:retired")
  })

  it("judges custody keys: attributes, record, loss, backup", () => {
    const of = (more: Partial<VaultView>) =>
      judgeVault(view(more)).custodyKeys.map(({ severity, message }) => `${severity} ${message}`)
    expect(of({}).join()).to.match(/^warn no backup/)
    expect(of({ records: [{ ...RECORD, backupConfirmedAt: NOW.toISOString() }] })).to.deep.equal([])
    expect(of({ token: null }).join()).to.match(/^warn no backup/)
    expect(of(withKey({ attributes: { ...ATTRIBUTES, extractable: true } })).join())
      .to.include("fail")
      .and.include("CKA_EXTRACTABLE is true")
    expect(of({ records: [] }).join())
      .to.include("warn")
      .and.include("not recorded")
    expect(of({ token: { info: TOKEN, custodyKeys: [], objects: [] } }).join()).to.include(
      "sealed keys that are lost without it: 1",
    )
    const { custodyKeys } = judgeVault(view({ token: { info: TOKEN, custodyKeys: [], objects: [] } }))
    expect(custodyKeys.map(({ label }) => label)).to.include(KEY.label)
    expect(assessCustodyKey({ ...ATTRIBUTES, decrypt: true }).map(({ attribute }) => attribute)).to.deep.equal([
      "decrypt",
    ])
  })
})

describe("withSealed", () => {
  const vault = new Map([["0a", { unenforced: null }]])
  it("changes the custody of every KMS key whose generations are all in the vault", () => {
    const token = entry({ custody: "token" })
    expect(withSealed(token, vault).custody).to.equal("sealed")
    const two = entry({ custody: "token", earlier: [source("09")] })
    expect(withSealed(two, vault)).to.equal(two)
    const former = { ...token, replacedAt: NOW.toISOString(), retiredAt: null }
    const nested = withSealed({ ...two, former: [former], replacement: token }, vault)
    expect([nested.custody, nested.former[0]?.custody, nested.replacement?.custody]).to.deep.equal([
      "token",
      "sealed",
      "sealed",
    ])
    const done = entry()
    expect(withSealed(done, vault)).to.equal(done)
  })
})
