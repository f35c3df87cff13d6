import { randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey, getParameters, importMaterial, refusalOf } from "./fixture.js"

const STATES = ["Enabled", "Disabled", "PendingDeletion", "PendingImport"] as const
type State = (typeof STATES)[number]

/** Refusals: Disabled, pending Deletion, pending Import, Not pending deletion. */
const ANSWERS = {
  ok: ["", /not refused/],
  D: ["DisabledException", /is disabled\.$/],
  X: ["KMSInvalidStateException", /is pending deletion\.$/],
  I: ["KMSInvalidStateException", /is pending import\.$/],
  N: ["KMSInvalidStateException", /is not pending deletion\.$/],
} as const
type Answer = keyof typeof ANSWERS

describe("local KMS: key states", () => {
  let kms: LocalKmsProcess
  let client: KMS
  const material = randomBytes(32)
  before(async () => {
    kms = await startLocalKms()
    client = kmsClient(kms)
  })
  after(() => kms.stop())

  const REACH: Readonly<Record<State, (KeyId: string) => Promise<unknown>>> = {
    Enabled: (KeyId) => importMaterial(client, KeyId, material),
    Disabled: async (KeyId) => {
      await importMaterial(client, KeyId, material)
      await client.disableKey({ KeyId })
    },
    PendingDeletion: async (KeyId) => {
      await importMaterial(client, KeyId, material)
      await client.scheduleKeyDeletion({ KeyId })
    },
    PendingImport: () => Promise.resolve(),
  }
  const stateOf = async (KeyId: string) => (await client.describeKey({ KeyId })).KeyMetadata!.KeyState

  const Tags = [{ TagKey: "a", TagValue: "b" }]
  const alias = () => `alias/${randomBytes(8).toString("hex")}`
  // KMS.md A1: answers in the order of STATES, and the state afterwards where it changes
  const table: [
    operation: string,
    call: (KeyId: string) => Promise<unknown>,
    answers: [Answer, Answer, Answer, Answer],
    after: Partial<Record<State, State>>,
  ][] = [
    ["DescribeKey", (KeyId) => client.describeKey({ KeyId }), ["ok", "ok", "ok", "ok"], {}],
    [
      "GetParametersForImport",
      (KeyId) => getParameters(client, KeyId, "RSAES_OAEP_SHA_256"),
      ["ok", "ok", "X", "ok"],
      {},
    ],
    [
      "ImportKeyMaterial",
      (KeyId) => importMaterial(client, KeyId, material),
      ["ok", "ok", "X", "ok"],
      { Disabled: "Enabled", PendingImport: "Enabled" },
    ],
    [
      "DeleteImportedKeyMaterial",
      (KeyId) => client.deleteImportedKeyMaterial({ KeyId }),
      ["ok", "ok", "ok", "ok"],
      { Enabled: "PendingImport", Disabled: "PendingImport" },
    ],
    ["EnableKey", (KeyId) => client.enableKey({ KeyId }), ["ok", "ok", "X", "I"], { Disabled: "Enabled" }],
    ["DisableKey", (KeyId) => client.disableKey({ KeyId }), ["ok", "ok", "X", "I"], { Enabled: "Disabled" }],
    ["Encrypt", (KeyId) => client.encrypt({ KeyId, Plaintext: material }), ["ok", "D", "X", "I"], {}],
    ["GenerateDataKey", (KeyId) => client.generateDataKey({ KeyId, KeySpec: "AES_256" }), ["ok", "D", "X", "I"], {}],
    ["RotateKeyOnDemand", (KeyId) => rotate(KeyId), ["ok", "D", "X", "I"], {}],
    ["ListKeyRotations", (KeyId) => client.listKeyRotations({ KeyId }), ["ok", "ok", "ok", "ok"], {}],
    ["GetKeyRotationStatus", (KeyId) => client.getKeyRotationStatus({ KeyId }), ["ok", "ok", "ok", "ok"], {}],
    [
      "ScheduleKeyDeletion",
      (KeyId) => client.scheduleKeyDeletion({ KeyId }),
      ["ok", "ok", "X", "ok"],
      { Enabled: "PendingDeletion", Disabled: "PendingDeletion", PendingImport: "PendingDeletion" },
    ],
    [
      "CancelKeyDeletion",
      (KeyId) => client.cancelKeyDeletion({ KeyId }),
      ["N", "N", "ok", "N"],
      { PendingDeletion: "Disabled" },
    ],
    ["TagResource", (KeyId) => client.tagResource({ KeyId, Tags }), ["ok", "ok", "X", "ok"], {}],
    ["UntagResource", (KeyId) => client.untagResource({ KeyId, TagKeys: ["a"] }), ["ok", "ok", "X", "ok"], {}],
    ["ListResourceTags", (KeyId) => client.listResourceTags({ KeyId }), ["ok", "ok", "ok", "ok"], {}],
    [
      "UpdateKeyDescription",
      (KeyId) => client.updateKeyDescription({ KeyId, Description: "x" }),
      ["ok", "ok", "X", "ok"],
      {},
    ],
    [
      "CreateAlias",
      (TargetKeyId) => client.createAlias({ TargetKeyId, AliasName: alias() }),
      ["ok", "ok", "X", "ok"],
      {},
    ],
    ["GetKeyPolicy", (KeyId) => client.getKeyPolicy({ KeyId }), ["ok", "ok", "ok", "ok"], {}],
  ]

  /** Rotates to staged material where the state lets it be staged. */
  async function rotate(KeyId: string): Promise<void> {
    if ((await stateOf(KeyId)) === "Enabled") {
      await importMaterial(client, KeyId, randomBytes(32), { ImportType: "NEW_KEY_MATERIAL" })
    }
    await client.rotateKeyOnDemand({ KeyId })
  }

  for (const [operation, call, answers, after] of table) {
    it(operation, async () => {
      for (const [i, state] of STATES.entries()) {
        const KeyId = await createKey(client)
        await REACH[state](KeyId)
        expect(await stateOf(KeyId)).to.equal(state)
        const refusal = await refusalOf(call(KeyId))
        const [name, message] = ANSWERS[answers[i]!]
        expect(refusal.name, `${operation} in ${state}`).to.equal(name)
        expect(refusal.message).to.match(message)
        expect(await stateOf(KeyId), `state after ${operation} in ${state}`).to.equal(after[state] ?? state)
      }
    })
  }

  it("returns a key without material to PendingImport when its deletion is cancelled", async () => {
    const KeyId = await createKey(client)
    await client.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    await client.cancelKeyDeletion({ KeyId })
    expect(await stateOf(KeyId)).to.equal("PendingImport")
  })

  it("deletes a key with its aliases when its window is over", async () => {
    const KeyId = await createKey(client)
    const AliasName = alias()
    await client.createAlias({ TargetKeyId: KeyId, AliasName })
    await kms.clock.freeze()
    const { DeletionDate } = await client.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    expect(DeletionDate!.getTime() - (await kms.clock.now()).getTime()).to.equal(7 * 24 * 3600 * 1000)
    await kms.clock.advance(7 * 24 * 3600 - 1)
    expect(await stateOf(AliasName)).to.equal("PendingDeletion")
    await kms.clock.advance(1)
    const refusal = await refusalOf(client.describeKey({ KeyId }))
    expect(refusal).to.deep.equal({ name: "NotFoundException", message: `Key '${KeyId}' does not exist` })
    const { Aliases } = await client.listAliases({})
    expect(Aliases!.map((entry) => entry.AliasName)).not.to.include(AliasName)
    await kms.clock.tick()
  })

  it("takes windows of 7 to 30 days, 30 by default", async () => {
    const KeyId = await createKey(client)
    for (const PendingWindowInDays of [6, 31]) {
      const call = client.scheduleKeyDeletion({ KeyId, PendingWindowInDays })
      expect((await refusalOf(call)).name).to.equal("ValidationException")
    }
    expect((await client.scheduleKeyDeletion({ KeyId })).PendingWindowInDays).to.equal(30)
  })
})
