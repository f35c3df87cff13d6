import { randomBytes } from "node:crypto"
import type { KMS } from "@aws-sdk/client-kms"
import { expect } from "chai"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "#test/support/local-kms.js"
import { createKey, getParameters, importMaterial, refusalOf } from "../support/local-kms-fixture.js"

const STATES = [
  ...["Enabled", "Disabled", "PendingDeletion", "PendingImport"],
  ...["Creating", "Updating", "PendingReplicaDeletion"],
] as const
type State = (typeof STATES)[number]

/** Refusals: Disabled, pending Deletion, pending Import, Creating, Updating, pending Replica deletion, Not pending deletion. */
const ANSWERS = {
  ok: ["", /not refused/],
  D: ["DisabledException", /is disabled\.$/],
  X: ["KMSInvalidStateException", /is pending deletion\.$/],
  I: ["KMSInvalidStateException", /is pending import\.$/],
  C: ["KMSInvalidStateException", /is creating\.$/],
  U: ["KMSInvalidStateException", /is updating\.$/],
  R: ["KMSInvalidStateException", /is pending replica deletion\.$/],
  N: ["KMSInvalidStateException", /is not pending deletion\.$/],
} as const
type Answer = keyof typeof ANSWERS

describe("local KMS: key states", () => {
  let kms: LocalKmsProcess
  let client: KMS
  let paris: KMS
  const material = randomBytes(32)
  before(async () => {
    kms = await startLocalKms({ regions: ["us-east-1", "eu-west-3"], replicationSeconds: 0 })
    client = kmsClient(kms)
    paris = kmsClient(kms, "eu-west-3")
  })
  after(() => kms.stop())

  const enabled = async () => {
    const KeyId = await createKey(client)
    await importMaterial(client, KeyId, material)
    return KeyId
  }
  /** A multi-Region key with material in one Region and a replica of it in another. */
  async function replicated(from: KMS, ReplicaRegion: string): Promise<string> {
    const KeyId = (await from.createKey({ Origin: "EXTERNAL", MultiRegion: true })).KeyMetadata!.KeyId!
    await importMaterial(from, KeyId, material)
    await from.replicateKey({ KeyId, ReplicaRegion })
    return KeyId
  }
  /** Makes what is under way stay so. */
  async function slowly<T>(work: () => Promise<T>): Promise<T> {
    await kms.replicationSeconds(3600)
    try {
      return await work()
    } finally {
      await kms.replicationSeconds(0)
    }
  }
  /** Make a key in the state. */
  const REACH: Readonly<Record<State, () => Promise<string>>> = {
    Enabled: enabled,
    Disabled: async () => {
      const KeyId = await enabled()
      await client.disableKey({ KeyId })
      return KeyId
    },
    PendingDeletion: async () => {
      const KeyId = await enabled()
      await client.scheduleKeyDeletion({ KeyId })
      return KeyId
    },
    PendingImport: () => createKey(client),
    Creating: () => slowly(() => replicated(paris, "us-east-1")),
    Updating: async () => {
      const KeyId = await replicated(paris, "us-east-1")
      await importMaterial(client, KeyId, material)
      await slowly(() => paris.updatePrimaryRegion({ KeyId, PrimaryRegion: "us-east-1" }))
      return KeyId
    },
    PendingReplicaDeletion: async () => {
      const KeyId = await replicated(client, "eu-west-3")
      await client.scheduleKeyDeletion({ KeyId })
      return KeyId
    },
  }
  const stateOf = async (KeyId: string) => (await client.describeKey({ KeyId })).KeyMetadata!.KeyState

  const Tags = [{ TagKey: "a", TagValue: "b" }]
  const alias = () => `alias/${randomBytes(8).toString("hex")}`
  const row = (answers: string) => answers.split(/ +/) as Answer[]
  // "Key states of AWS KMS keys" of the developer guide: answers in the order of STATES, and the state afterwards where it changes
  const table: [
    operation: string,
    call: (KeyId: string) => Promise<unknown>,
    answers: readonly Answer[],
    after: Partial<Record<State, State>>,
  ][] = [
    ["DescribeKey", (KeyId) => client.describeKey({ KeyId }), row("ok ok ok ok  ok ok ok"), {}],
    [
      "GetParametersForImport",
      (KeyId) => getParameters(client, KeyId, "RSAES_OAEP_SHA_256"),
      row("ok ok X ok  C U R"),
      {},
    ],
    [
      "ImportKeyMaterial",
      (KeyId) => importMaterial(client, KeyId, material),
      row("ok ok X ok  C U R"),
      { Disabled: "Enabled", PendingImport: "Enabled" },
    ],
    [
      "DeleteImportedKeyMaterial",
      (KeyId) => client.deleteImportedKeyMaterial({ KeyId }),
      row("ok ok ok ok  C U ok"),
      { Enabled: "PendingImport", Disabled: "PendingImport" },
    ],
    ["EnableKey", (KeyId) => client.enableKey({ KeyId }), row("ok ok X I  C U R"), { Disabled: "Enabled" }],
    ["DisableKey", (KeyId) => client.disableKey({ KeyId }), row("ok ok X I  C U R"), { Enabled: "Disabled" }],
    ["Encrypt", (KeyId) => client.encrypt({ KeyId, Plaintext: material }), row("ok D X I  C ok R"), {}],
    ["GenerateDataKey", (KeyId) => client.generateDataKey({ KeyId, KeySpec: "AES_256" }), row("ok D X I  C ok R"), {}],
    ["RotateKeyOnDemand", (KeyId) => rotate(KeyId), row("ok D X I  C U R"), {}],
    ["ListKeyRotations", (KeyId) => client.listKeyRotations({ KeyId }), row("ok ok ok ok  ok ok ok"), {}],
    ["GetKeyRotationStatus", (KeyId) => client.getKeyRotationStatus({ KeyId }), row("ok ok ok ok  ok ok ok"), {}],
    [
      "ScheduleKeyDeletion",
      (KeyId) => client.scheduleKeyDeletion({ KeyId }),
      row("ok ok X ok  ok U R"),
      {
        Enabled: "PendingDeletion",
        Disabled: "PendingDeletion",
        PendingImport: "PendingDeletion",
        Creating: "PendingDeletion",
      },
    ],
    [
      "CancelKeyDeletion",
      (KeyId) => client.cancelKeyDeletion({ KeyId }),
      row("N N ok N  N N ok"),
      { PendingDeletion: "Disabled", PendingReplicaDeletion: "Disabled" },
    ],
    ["TagResource", (KeyId) => client.tagResource({ KeyId, Tags }), row("ok ok X ok  ok ok R"), {}],
    ["UntagResource", (KeyId) => client.untagResource({ KeyId, TagKeys: ["a"] }), row("ok ok X ok  ok ok R"), {}],
    ["ListResourceTags", (KeyId) => client.listResourceTags({ KeyId }), row("ok ok ok ok  ok ok ok"), {}],
    [
      "UpdateKeyDescription",
      (KeyId) => client.updateKeyDescription({ KeyId, Description: "x" }),
      row("ok ok X ok  ok ok R"),
      {},
    ],
    [
      "CreateAlias",
      (TargetKeyId) => client.createAlias({ TargetKeyId, AliasName: alias() }),
      row("ok ok X ok  ok ok R"),
      {},
    ],
    ["GetKeyPolicy", (KeyId) => client.getKeyPolicy({ KeyId }), row("ok ok ok ok  ok ok ok"), {}],
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
        const KeyId = await REACH[state]()
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
