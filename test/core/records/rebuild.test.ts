import { expect } from "chai"
import { type FoundSource, rebuiltEntry, type Remains } from "#src/core/records/rebuild.js"
import { labelOf } from "#src/core/key/source-key.js"
import type { KeyDescription } from "#src/core/key/key-description.js"
import { arn, days, description, materialId, REGION, REPLICA, rotation } from "../../support/plan-world.js"

const token = { label: "a", serial: "1", manufacturer: "m", model: "m", firmwareVersion: "1", library: "l" }
const { attributes } = { attributes: { extractable: true } as FoundSource["attributes"] }
const source = (generation: number, id: string, custody: FoundSource["custody"] = "token"): FoundSource => ({
  id,
  label: labelOf({ owner: "keyferry", name: "payments", generation }),
  custody,
  attributes,
  kcv: `c${id}`,
  token,
  publicKeyFingerprint: null,
})
const SPEC = { keySpec: "SYMMETRIC_DEFAULT", keyUsage: "ENCRYPT_DECRYPT" } as const
const primary = (more: Partial<KeyDescription> = {}, rotations = [rotation(0)]): Remains["primary"] => ({
  region: REGION,
  description: { ...description(), ...more, ...SPEC },
  rotations,
})

const REMAINS: Remains = {
  owner: "keyferry",
  name: "payments",
  target: "prod",
  primary: primary(),
  replicas: [],
  aliases: ["alias/payments"],
  requestId: "r-9",
  sourceId: "aa",
  terms: null,
  sources: [source(0, "aa"), source(1, "bb", "sealed"), { ...source(0, "cc"), label: "another" }],
  sourceOfMaterial: new Map(),
  seals: false,
  now: "2026-06-01T00:00:00Z",
}
/** Losses of which nothing else tells. */
const lostBeside = (remains: Remains): readonly string[] => rebuiltEntry(remains).lost.slice(3)

describe("rebuiltEntry", () => {
  it("is whole where token and KMS have everything", () => {
    const { entry, lost, diesAt } = rebuiltEntry(REMAINS)
    expect(entry).to.deep.include({
      ...{ owner: "keyferry", name: "payments", target: "prod", region: REGION, ...SPEC, custody: "token" },
      ...{ alias: "alias/payments", aliasGiven: true, keyArn: arn(REGION), token, requestId: "r-9" },
      ...{ rotating: false, earlier: [], replicas: [], multiRegion: false, intendedAt: days(-10).toISOString() },
      source: {
        ...{ id: "aa", label: "keyferry/keyferry/payments/0", generation: 0 },
        ...{ attributes, kcv: "caa", publicKeyFingerprint: null },
      },
    })
    expect(entry.imports).to.have.length(1)
    expect(entry.imports[0]).to.include({
      keyMaterialId: materialId(0),
      validTo: "2026-08-20T00:00:00Z",
      region: REGION,
    })
    expect(entry.withheldAt).to.equal(null)
    expect([lost.length, diesAt]).to.deep.equal([3, null])
    const terms = { expiresIn: "30d", wrappingAlgorithm: "auto", wrappingKeySpec: "RSA_2048" } as const
    const configured = rebuiltEntry({ ...REMAINS, terms })
    expect(configured.entry.terms).to.deep.equal(terms)
    expect(configured.lost).to.deep.equal(lost.slice(0, 2))
  })

  const rotations = [
    rotation(2, { keyMaterialState: "PENDING_ROTATION", rotationDate: null }),
    rotation(1, { rotationDate: days(-3) }),
    rotation(0, { keyMaterialState: "NON_CURRENT" }),
  ]

  it("puts generations in their order; the one that waits is the last, and the tag names the one in use", () => {
    const sources = [source(0, "aa"), source(2, "dd")]
    const { entry, lost, diesAt } = rebuiltEntry({
      ...REMAINS,
      primary: primary({}, rotations),
      sources,
      sourceId: "bb",
    })
    expect(entry.rotating).to.equal(true)
    expect([...entry.earlier, entry.source].map(({ id, generation }) => [id, generation])).to.deep.equal([
      ["aa", 0],
      ["bb", 1],
      ["dd", 2],
    ])
    expect(entry.imports.map(({ keyMaterialId, importedAt }) => [keyMaterialId, importedAt])).to.deep.equal([
      [materialId(0), "2026-05-22T00:00:00Z"],
      [materialId(1), "2026-05-29T00:00:00Z"],
      [materialId(2), "2026-05-22T00:00:00Z"],
    ])
    expect(lost.slice(3)).to.deep.equal([
      "the source key of generation 1 (bb): it is neither in the token nor in the vault",
    ])
    expect(diesAt).to.equal("2026-08-20T00:00:00Z")
  })

  it("believes an import that an entry there saw before labels, which two hosts may give twice", () => {
    const sources = [source(0, "aa"), source(1, "bb"), source(1, "cc")]
    const three = [rotation(2, { rotationDate: days(-1) }), rotation(1, { rotationDate: days(-3) }), rotation(0)].map(
      (material, index) => ({
        ...material,
        keyMaterialState: index === 0 ? "CURRENT" : "NON_CURRENT",
      }),
    )
    const rebuilt = (sourceOfMaterial: Remains["sourceOfMaterial"]) =>
      rebuiltEntry({ ...REMAINS, primary: primary({}, three), sources, sourceId: "cc", sourceOfMaterial })
    const ids = ({ entry }: ReturnType<typeof rebuilt>) => [...entry.earlier, entry.source].map(({ id }) => id)
    const both = new Map([
      [materialId(1), "bb"],
      [materialId(2), "cc"],
    ])
    expect(ids(rebuilt(both))).to.deep.equal(["aa", "bb", "cc"])
    expect(rebuilt(both).lost).to.have.length(3)
    expect(ids(rebuilt(new Map([[materialId(2), "cc"]])))).to.deep.equal(["aa", "bb", "cc"])
    const destroyed = rebuilt(new Map([[materialId(1), "dd"]]))
    expect(destroyed.lost).to.include(
      "the source key of generation 1 (dd): it is neither in the token nor in the vault",
    )
  })

  it("names the end of what nothing can give back: the first of expiries and deletions, in every Region", () => {
    const gone = { ...REMAINS, sources: [] }
    expect(rebuiltEntry(gone)).to.deep.include({ diesAt: "2026-08-20T00:00:00Z" })
    expect(rebuiltEntry(gone).entry).to.deep.include({ token: null, custody: "token" })
    const there = {
      region: REPLICA,
      description: description({ keyArn: arn(REPLICA), validTo: days(5) }),
      rotations: [rotation(0)],
    }
    const { diesAt, entry } = rebuiltEntry({ ...gone, replicas: [there] })
    expect(diesAt).to.equal("2026-06-06T00:00:00Z")
    expect(entry.replicas).to.deep.equal([{ region: REPLICA, keyArn: arn(REPLICA), aliasGiven: false }])
    expect(entry.imports.map(({ region }) => region)).to.deep.equal([REGION, REPLICA])
    const dying = primary({ deletionDate: days(2), validTo: null })
    expect(rebuiltEntry({ ...gone, primary: dying }).diesAt).to.equal("2026-06-03T00:00:00Z")
    expect(rebuiltEntry({ ...gone, primary: primary({ validTo: null }) }).diesAt).to.equal(null)
  })

  it("says which of several it took, and takes none where nothing tells", () => {
    expect(lostBeside({ ...REMAINS, aliases: ["alias/a", "alias/b"] })).to.deep.equal([
      "which of alias/a, alias/b is its alias, taken to be alias/a",
    ])
    expect(rebuiltEntry({ ...REMAINS, aliases: [] }).entry).to.deep.include({ alias: null, aliasGiven: false })
    const two = { ...REMAINS, sources: [source(0, "aa"), source(0, "ee", "locked")] }
    expect(rebuiltEntry({ ...two, sourceId: "ee" }).entry).to.deep.include({ custody: "locked" })
    expect(lostBeside({ ...two, sourceId: "ff" })).to.deep.equal([
      "which of aa, ee is generation 0",
      "its custody, taken to be token",
    ])
  })

  const assumed: readonly [seals: boolean, model: KeyDescription["expirationModel"], custody: string][] = [
    [true, "KEY_MATERIAL_EXPIRES", "sealed"],
    [true, "KEY_MATERIAL_DOES_NOT_EXPIRE", "sealed"],
    [false, "KEY_MATERIAL_DOES_NOT_EXPIRE", "session"],
    [false, "KEY_MATERIAL_EXPIRES", "token"],
  ]
  for (const [seals, expirationModel, custody] of assumed) {
    it(`takes what is gone for ${custody}${seals ? ", since the token seals" : ""}: ${expirationModel ?? ""}`, () => {
      const remains = { ...REMAINS, sources: [], seals, primary: primary({ expirationModel }) }
      expect(rebuiltEntry(remains).entry.custody).to.equal(custody)
      expect(lostBeside(remains).at(-1)).to.equal(`its custody, taken to be ${custody}`)
    })
  }

  it("records an import of a MAC key where KMS has its material, and where it may have lost it, which recover brings back", () => {
    const mac = { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" } as const
    const key = (keyState: string): Remains["primary"] => ({
      region: REGION,
      description: { ...description({ keyState, currentKeyMaterialId: null }), ...mac },
      rotations: [],
    })
    const [record, second] = rebuiltEntry({ ...REMAINS, primary: key("Enabled") }).entry.imports
    expect(second).to.equal(undefined)
    expect(record).to.include({ generation: 0, keyMaterialId: null, validTo: "2026-08-20T00:00:00Z" })
    const { entry, lost } = rebuiltEntry({
      ...REMAINS,
      primary: key("PendingImport"),
      replicas: [key("PendingImport")],
    })
    expect(entry.imports.map(({ generation, expirationModel }) => [generation, expirationModel])).to.deep.equal([
      [0, "KEY_MATERIAL_EXPIRES"],
    ])
    expect(entry.withheldAt).to.equal(REMAINS.now)
    expect(lost.join()).to.include(`keyferry recover ${REMAINS.name} --yes`)
  })
})
