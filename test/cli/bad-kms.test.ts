import { join } from "node:path"
import { expect } from "chai"
import type { KeySpec } from "#src/core/key/key-spec.js"
import { outcomesByName } from "#test/support/cli.js"
import { type KmsProxy, startKmsProxy } from "#test/support/kms-proxy.js"
import { createKey, importedKey, makeMaterial } from "../support/local-kms-fixture.js"
import { inParallel, sharedLane } from "../support/in-parallel.js"
import { provisionArgs, refused, type Refusal } from "../support/refusal.js"
import { keysNamed, setStage, type Stage, tokenObjects } from "../support/stage.js"

const NOWHERE = "http://127.0.0.1:9"
const UNREACHABLE = { code: "ERR_KMS_UNREACHABLE", exit: 69 } as const
const ENDPOINT = { code: "ERR_KMS_ENDPOINT_REFUSED", exit: 78 } as const
const CREDENTIALS = { code: "ERR_KMS_CREDENTIALS", exit: 77 } as const
const REGION = { code: "ERR_KMS_REGION_MISSING", exit: 78 } as const
const STATE = { code: "ERR_KMS_KEY_STATE", exit: 65 } as const

describe("bad input: AWS KMS", () => {
  let stage: Stage
  before(async () => {
    stage = await setStage()
  })
  after(() => stage[Symbol.asyncDispose]())

  it("an answer that takes longer than --kms-timeout", async () => {
    const keyId = await createKey(stage.sdk)
    await stage.kms.fault({ kind: "delay", operation: "DescribeKey", milliseconds: 60_000 })
    const args = [...provisionArgs({ "key-id": keyId }), "--kms-timeout", "1s"]
    const result = await stage.run([...args, "--json"], { state: stage.state(), env: { AWS_MAX_ATTEMPTS: "1" } })
    await stage.kms.clearFaults()
    expect(result.error()).to.include({ code: "ERR_KMS_UNREACHABLE" })
    expect(result.stderr).to.include("within 1000 ms")
    for (const duration of ["0", "0s", "11m", "1", "soon", "30s 1"]) {
      const refusal = {
        code: "ERR_USAGE",
        exit: 64,
        tells: /--kms-timeout '.+' is no duration from 1s to 10m/,
      } as const
      await refused(stage, [...provisionArgs({ "key-id": keyId }), "--kms-timeout", duration], refusal)
    }
  })

  it("a key state that it does not know: no command says that the key is well", async () => {
    const [state, name] = [stage.state(), "frozen"]
    const made = await stage.run(provisionArgs({ name }), { state })
    expect(made.status, made.stderr).to.equal(0)
    await using proxy = await startKmsProxy(stage.kms.endpoint)
    const env = { AWS_ENDPOINT_URL: proxy.endpoint }
    for (const keyState of ["Frozen", "enabled"]) {
      proxy.alter("DescribeKey", ({ KeyMetadata }) => ({
        KeyMetadata: { ...(KeyMetadata as object), KeyState: keyState },
      }))
      for (const command of ["status", "plan", "rewrap"]) {
        const looked = await stage.run([command, "--json"], { state, env })
        expect([looked.status, outcomesByName(looked)], command).to.deep.equal([
          69,
          { frozen: "blocked STATE_UNKNOWN" },
        ])
        expect(looked.stdout).to.include(keyState)
      }
      const check = await stage.run(["check"], { state, env })
      expect([check.status, check.stdout.includes("[STATE_UNKNOWN]")], check.stdout).to.deep.equal([3, true])
    }
  })

  describe("the way there", () => {
    type Env = Readonly<Record<string, string>>
    const rows: readonly (readonly [what: string, env: Env, refusal: Refusal])[] = [
      ["a port where nothing listens", { AWS_ENDPOINT_URL: NOWHERE }, { ...UNREACHABLE, tells: /ECONNREFUSED/ }],
      [
        "a name that nobody knows",
        { AWS_ENDPOINT_URL: "https://kms.invalid" },
        { ...UNREACHABLE, tells: /ENOTFOUND|EAI_AGAIN/ },
      ],
      [
        "plain http to another machine",
        { AWS_ENDPOINT_URL: "http://kms.example.com" },
        { ...ENDPOINT, tells: /AWS_ENDPOINT_URL/ },
      ],
      ["plain http to an address that is no loopback", { AWS_ENDPOINT_URL: "http://10.0.0.1" }, ENDPOINT],
      ["an endpoint that is no URL", { AWS_ENDPOINT_URL: "kms.example.com" }, ENDPOINT],
      [
        "TLS without verification",
        { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
        { ...ENDPOINT, tells: /NODE_TLS_REJECT_UNAUTHORIZED/ },
      ],
      ["no Region", { AWS_REGION: "", AWS_DEFAULT_REGION: "" }, REGION],
      ["no credentials", { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "" }, CREDENTIALS],
      [
        "a profile that is not there",
        { AWS_PROFILE: "nobody" },
        { code: "ERR_KMS_PROFILE_UNKNOWN", exit: 78, tells: /nobody/ },
      ],
    ]
    inParallel(rows, {
      width: 1,
      name: ([what]) => what,
      lane: sharedLane,
      run: async ([, env, refusal]) => {
        await refused(stage, provisionArgs(), refusal, { env })
      },
    })

    it("a FIPS endpoint beside a named one", async () => {
      await refused(stage, provisionArgs({ fips: true }), { ...ENDPOINT, tells: /--fips/ })
    })
  })

  describe("the KMS key of --key-id", () => {
    const symmetric = (): Promise<string> => createKey(stage.sdk)
    const rows: readonly (readonly [what: string, keyId: () => Promise<string>, refusal: Refusal])[] = [
      [
        "an ID that KMS does not know",
        () => Promise.resolve("11111111-2222-3333-4444-555555555555"),
        { code: "ERR_KMS_KEY_NOT_FOUND", exit: 65 },
      ],
      [
        "an alias that KMS does not know",
        () => Promise.resolve("alias/nobody"),
        { code: "ERR_KMS_KEY_NOT_FOUND", exit: 65, tells: /alias\/nobody/ },
      ],
      [
        "another key spec",
        () => createKey(stage.sdk, "HMAC_256"),
        { code: "ERR_KMS_KEY_MISMATCH", exit: 65, tells: /HMAC_256/ },
      ],
      [
        "a key that holds material already",
        () => importedKey(stage.sdk, "SYMMETRIC_DEFAULT", makeMaterial("SYMMETRIC_DEFAULT")),
        STATE,
      ],
      [
        "a key that is disabled",
        async () => {
          const KeyId = await importedKey(stage.sdk, "SYMMETRIC_DEFAULT", makeMaterial("SYMMETRIC_DEFAULT"))
          await stage.sdk.disableKey({ KeyId })
          return KeyId
        },
        { ...STATE, tells: /disabled/ },
      ],
      [
        "a key that is pending deletion",
        async () => {
          const KeyId = await symmetric()
          await stage.sdk.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
          return KeyId
        },
        { ...STATE, tells: /pending deletion/ },
      ],
    ]
    for (const [what, keyId, refusal] of rows) {
      it(what, async () => {
        const id = await keyId()
        await refused(stage, provisionArgs({ "key-id": id }), refusal)
        // params asks for no key spec, and may renew the parameters of a key that holds material
        if (!/another key spec|holds material/.test(what)) {
          await refused(stage, ["params", "--key-id", id, "--out", join(stage.folder, "none.json")], refusal)
        }
      })
    }

    describe("whose origin is not EXTERNAL", () => {
      let proxy: KmsProxy
      before(async () => {
        proxy = await startKmsProxy(stage.kms.endpoint)
        proxy.alter("DescribeKey", ({ KeyMetadata }) => ({
          KeyMetadata: { ...(KeyMetadata as object), Origin: "AWS_KMS" },
        }))
      })
      after(() => proxy[Symbol.asyncDispose]())
      for (const command of ["provision", "params"]) {
        it(command, async () => {
          const id = await symmetric()
          const args = {
            provision: provisionArgs({ "key-id": id }),
            params: ["params", "--key-id", id, "--out", join(stage.folder, "none.json")],
          }[command]!
          const refusal = { code: "ERR_KMS_KEY_ORIGIN", exit: 65, tells: /AWS_KMS, not EXTERNAL/ } as const
          await refused(stage, args, refusal, { env: { AWS_ENDPOINT_URL: proxy.endpoint } })
        })
      }
    })

    it("is found by its alias", async () => {
      const KeyId = await symmetric()
      await stage.sdk.createAlias({ AliasName: "alias/waiting", TargetKeyId: KeyId })
      const result = await stage.run([...provisionArgs({ "key-id": "alias/waiting" }), "--json"], {
        state: stage.state(),
      })
      expect(result.json()).to.include({ keyArn: KeyId, outcome: "done" })
    })

    it("is not taken for a second name", async () => {
      const state = stage.state()
      const KeyId = await symmetric()
      await stage.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
      expect((await stage.run(provisionArgs({ name: "first", "key-id": KeyId }), { state })).status).to.equal(77)
      const refusal = { code: "ERR_NAME_TAKEN", exit: 65, tells: /first/ } as const
      await refused(stage, provisionArgs({ name: "second", "key-id": KeyId }), refusal, { state })
    })
  })

  it("an alias that names another key", async () => {
    const TargetKeyId = await createKey(stage.sdk)
    await stage.sdk.createAlias({ AliasName: "alias/taken", TargetKeyId })
    await refused(stage, provisionArgs({ alias: "alias/taken" }), {
      code: "ERR_KMS_ALIAS_TAKEN",
      exit: 65,
      tells: /alias\/taken/,
    })
  })

  describe("AccessDenied at each operation names it and what was made, and is made good by the same command", () => {
    beforeEach(() => stage.kms.reset())
    interface Row {
      readonly operation: string
      readonly keySpec?: KeySpec
      readonly options?: Readonly<Record<string, string>>
      readonly existing?: boolean
      /** Whether a KMS key of ours exists when it is refused. */
      readonly made: boolean
    }
    const EC = { "key-usage": "SIGN_VERIFY" }
    const rows: readonly Row[] = [
      { operation: "DescribeKey", options: { alias: "alias/denied" }, made: false },
      { operation: "DescribeKey", existing: true, made: false },
      { operation: "TagResource", existing: true, made: false },
      { operation: "CreateKey", made: false },
      { operation: "GetParametersForImport", made: true },
      { operation: "ImportKeyMaterial", made: true },
      { operation: "CreateAlias", options: { alias: "alias/denied" }, made: true },
      { operation: "GetPublicKey", keySpec: "ECC_NIST_P384", options: EC, made: true },
      { operation: "VerifyMac", keySpec: "HMAC_384", made: true },
    ]
    for (const { operation, keySpec = "SYMMETRIC_DEFAULT", options = {}, existing = false, made } of rows) {
      it(`${operation}${existing ? " of a key given by --key-id" : ""}`, async () => {
        const state = stage.state()
        const objects = tokenObjects(stage.token)
        const name = `denied-${operation.toLowerCase()}${existing ? "-existing" : ""}`
        const keyId = existing ? { "key-id": await createKey(stage.sdk) } : {}
        const args = [...provisionArgs({ name, "key-spec": keySpec, ...options, ...keyId }), "--json"]
        await stage.kms.fault({ kind: "access-denied", operation })
        const denied = await stage.run(args, { state })
        const error = denied.error()
        expect(error.code).to.equal("ERR_KMS_ACCESS_DENIED")
        expect(denied.status).to.equal(77)
        expect(denied.stdout).to.equal("")
        expect(error.message).to.include(operation)
        expect(error.hint).to.include(`kms:${operation}`)
        expect(error.causes[0]?.code).to.equal("AccessDeniedException")
        expect(error.causes[0]?.message).to.match(/request ID [0-9a-f-]{36}/)
        const [left, ...others] = await keysNamed(stage.sdk, name)
        expect(others).to.deep.equal([])
        expect(left !== undefined).to.equal(made)
        if (left !== undefined) expect(error.key).to.include(left.arn)

        const again = await stage.run(args, { state })
        expect(again.stderr + again.stdout).to.include('"outcome": "done"')
        const keys = await keysNamed(stage.sdk, name)
        expect(keys.map((key) => key.state)).to.deep.equal(["Enabled"])
        if (left !== undefined) expect(keys[0]?.arn).to.equal(left.arn)
        expect(tokenObjects(stage.token) - objects).to.equal(keySpec.startsWith("ECC") ? 2 : 1)
        const { Aliases = [] } = await stage.sdk.listAliases({ KeyId: keys[0]?.arn })
        expect(Aliases.map(({ AliasName }) => AliasName)).to.deep.equal("alias" in options ? [options["alias"]] : [])
      })
    }
  })

  it("a text error names what failed, of which key, what to do, and the cause with its request ID", async () => {
    await stage.kms.fault({ kind: "access-denied", operation: "GetParametersForImport" })
    const { stderr } = await stage.run(provisionArgs({ name: "texts" }), { state: stage.state() })
    const [error, hint, cause, ...rest] = stderr.slice(stderr.indexOf("keyferry: error:")).trimEnd().split("\n")
    const [key] = await keysNamed(stage.sdk, "texts")
    expect(error).to.match(/^keyferry: error: GetParametersForImport: .* \[ERR_KMS_ACCESS_DENIED\]$/)
    expect(error).to.include(key?.arn)
    expect(hint).to.match(/^keyferry: hint: allow kms:GetParametersForImport/)
    expect(cause).to.match(/^ {2}AccessDeniedException: User: .*\(request ID [0-9a-f-]{36}\)$/)
    expect(rest).to.deep.equal([])
  })
})
