import { expect } from "chai"
import { costsOf } from "#src/core/plan/costs.js"
import type { Drift } from "#src/core/plan/snapshot.js"
import { arn, BINDING, REGION, REPLICA } from "../../support/plan-world.js"

const HMAC = { keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" } as const
const EC = { keySpec: "ECC_NIST_P384", keyUsage: "SIGN_VERIFY" } as const
const THREE = { multiRegion: true, replicas: [REPLICA, "ap-south-1"] }
const planned = (generation: number) => ({
  region: REGION,
  keyArn: arn(REGION),
  generation,
  keyMaterialId: null,
  importType: null,
})
const drift = (field: Drift["field"], region = REGION): Drift => ({
  field,
  region,
  wanted: "a",
  found: "b",
  correctable: true,
})
const imported = (count: number) => ({ GetParametersForImport: count, ImportKeyMaterial: count })

type Costly = Parameters<typeof costsOf>[0]
const ROWS: readonly [
  action: Costly["action"],
  what: string,
  more: Partial<Costly>,
  Readonly<Record<string, number>>,
][] = [
  ["none", "", {}, {}],
  ["blocked", "", { imports: [planned(0)] }, {}],
  ["rewrap", "of two generations", { imports: [planned(0), planned(1)] }, imported(2)],
  [
    "rewrap",
    "of a pair",
    { imports: [planned(0)], binding: { ...BINDING, ...EC } },
    { ...imported(1), GetPublicKey: 1 },
  ],
  ["provision", "", {}, { CreateKey: 1, ...imported(1) }],
  ["provision", "as the flag says: proven twice", { options: { prove: "full" } }, { CreateKey: 1, ...imported(2) }],
  ["provision", "as the manifest says", { binding: { ...BINDING, prove: "full" } }, { CreateKey: 1, ...imported(2) }],
  [
    "provision",
    "of a MAC key with an alias, proven once",
    { binding: { ...BINDING, ...HMAC, alias: "alias/a" }, options: { prove: "full" } },
    { CreateKey: 1, ...imported(1), VerifyMac: 1, CreateAlias: 1 },
  ],
  [
    "provision",
    "in three Regions",
    { binding: { ...BINDING, ...THREE }, options: { prove: "full" } },
    { CreateKey: 1, ReplicateKey: 2, ...imported(4) },
  ],
  ["replicate", "", { binding: { ...BINDING, ...THREE } }, { ReplicateKey: 1, ...imported(1) }],
  ["rotate", "in three Regions", { binding: { ...BINDING, ...THREE } }, { ...imported(3), RotateKeyOnDemand: 1 }],
  ["finish-rotation", "", {}, { RotateKeyOnDemand: 1 }],
  ["finish-replacement", "in three Regions", { binding: { ...BINDING, ...THREE } }, { CreateKey: 1, ...imported(3) }],
  [
    "correct",
    "once a Region, however many tags",
    { drift: [drift("tags"), drift("tags"), drift("tags", REPLICA), drift("description")] },
    { TagResource: 2, UpdateKeyDescription: 1 },
  ],
]

describe("costsOf", () => {
  for (const [action, what, more, costs] of ROWS) {
    it(`${action} ${what}`, () => {
      expect(costsOf({ action, binding: BINDING, options: {}, imports: [], drift: [], ...more })).to.deep.equal(costs)
    })
  }
})
