import { writeFileSync } from "node:fs"
import { expect } from "chai"
import type { ErrorCode } from "#src/core/base/error.js"
import { createKey } from "../../support/local-kms-fixture.js"
import type { CliResult } from "#test/support/cli.js"
import { AES, commandIn, flagIn, type Followed, type Situation } from "./situation.js"

const CUSTODY = ["--custody", "token"] as const
const PROVISION = (name: string): readonly string[] => ["provision", "--name", name, ...AES, ...CUSTODY]
const OAEP = ["--wrapping-algorithm", "RSAES_OAEP_SHA_1"] as const

/** The same command once KMS answers again; the local KMS' fault is spent or cleared. */
const again =
  (...words: readonly string[]) =>
  async ({ stage, name, run }: Situation, hint: string): Promise<CliResult> => {
    for (const word of words) expect(hint).to.include(word)
    await stage.kms.clearFaults()
    await stage.kms.quotas({ preset: "off" })
    return await run(PROVISION(name))
  }

/** The three steps: a source key, parameters, and what is wrapped under them. */
async function wrapped(situation: Situation, step: string): Promise<void> {
  const { name, file, well } = situation
  await well(["params", "--name", name, ...AES, ...CUSTODY, ...OAEP, "--out", file(`${step}.json`)])
  await well(["wrap", "--name", name, "--parameters", file(`${step}.json`), "--out", file(`${step}.bin`)])
}
const importOf = ({ name, file, run }: Situation, step: string): Promise<CliResult> =>
  run(["import", "--name", name, "--wrapped", file(`${step}.bin`), "--parameters", file(`${step}.json`)])

export const KMS_HINTS = {
  ERR_KMS_REGION_INVALID: {
    fails: ({ name, run }) => run(PROVISION(name), { AWS_REGION: "Frankfurt", AWS_DEFAULT_REGION: undefined }),
    follow: ({ name, run }, hint) =>
      run([...PROVISION(name), flagIn(hint, "--region"), "us-east-1"], { AWS_REGION: "Frankfurt" }),
  },
  ERR_KMS_PROFILE_UNKNOWN: {
    fails: ({ name, run }) => run([...PROVISION(name), "--profile", "nobody"]),
    follow({ stage, name, file, run }, hint) {
      expect(hint).to.include("AWS_CONFIG_FILE")
      const { AWS_ACCESS_KEY_ID: id = "", AWS_SECRET_ACCESS_KEY: secret = "" } = stage.env
      writeFileSync(
        file("config"),
        `[profile somebody]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`,
      )
      return run([...PROVISION(name), "--profile", "somebody"], { AWS_CONFIG_FILE: file("config") })
    },
  },
  ERR_KMS_SETTING: {
    fails: ({ name, run }) => run(PROVISION(name), { AWS_MAX_ATTEMPTS: "many" }),
    follow: ({ name, run }) => run(PROVISION(name), { AWS_MAX_ATTEMPTS: undefined }),
  },
  ERR_KMS_ENDPOINT_REFUSED: {
    fails: ({ name, run }) => run(PROVISION(name), { AWS_ENDPOINT_URL: "http://kms.example.com" }),
    follow({ stage, name, run }, hint) {
      expect(hint).to.include("plain http to loopback")
      return run(PROVISION(name), { AWS_ENDPOINT_URL: stage.kms.endpoint })
    },
  },
  ERR_KMS_CREDENTIALS: {
    fails: ({ name, run }) =>
      run(PROVISION(name), {
        AWS_ACCESS_KEY_ID: undefined,
        AWS_SECRET_ACCESS_KEY: undefined,
        AWS_EC2_METADATA_DISABLED: "true",
      }),
    async follow({ name, run }, hint) {
      await run(commandIn(hint, "doctor"))
      return await run(PROVISION(name))
    },
  },
  ERR_KMS_ACCESS_DENIED: {
    async fails({ stage, name, run }) {
      await stage.kms.fault({ kind: "access-denied", operation: "CreateKey", count: 100 })
      return await run(PROVISION(name))
    },
    follow: again("allow kms:CreateKey"),
  },
  ERR_KMS_UNREACHABLE: {
    fails: ({ name, run }) => run(PROVISION(name), { AWS_ENDPOINT_URL: "http://127.0.0.1:1" }),
    async follow({ name, run }, hint) {
      const { stdout } = await run(commandIn(hint, "doctor"), { AWS_ENDPOINT_URL: "http://127.0.0.1:1" })
      expect(stdout).to.match(/127\.0\.0\.1:1/)
      return await run(PROVISION(name))
    },
  },
  ERR_KMS_UNAVAILABLE: {
    async fails({ stage, name, run }) {
      await stage.kms.fault({ kind: "unavailable", operation: "GetParametersForImport", count: 100 })
      return await run(PROVISION(name))
    },
    follow: again("run the same command again"),
  },
  ERR_KMS_THROTTLED: {
    async fails({ stage, name, run }) {
      await stage.kms.fault({ kind: "throttle", operation: "GetParametersForImport", count: 100 })
      return await run(PROVISION(name))
    },
    follow: again("run the same command again"),
  },
  ERR_KMS_KEY_STATE: {
    async fails({ name, run, well }) {
      await well(PROVISION(name))
      await well(["disable", name, "--yes"])
      return await run(["rotate", name])
    },
    async follow({ name, run, well }, hint) {
      expect(hint).to.include("enable")
      await well(["enable", name])
      return await run(["rotate", name])
    },
  },
  ERR_KMS_KEY_MISMATCH: {
    async fails({ stage, name, run }) {
      return await run([...PROVISION(name), "--key-id", await createKey(stage.sdk, "HMAC_256")])
    },
    async follow({ stage, name, run }, hint) {
      expect(hint).to.include("name another --key-id")
      return await run([...PROVISION(name), "--key-id", await createKey(stage.sdk)])
    },
  },
  ERR_ROTATION_UNSUPPORTED: {
    async fails({ name, run, well }) {
      await well(["provision", "--name", name, "--key-spec", "HMAC_256", ...CUSTODY])
      return await run(["rotate", name])
    },
    follow({ name, run }, hint) {
      expect(hint).to.include("keyferry replace")
      return run(["replace", name])
    },
  },
  ERR_REPLICA_REFUSED: {
    fails: ({ name, run }) =>
      run([
        ...["provision", "--name", name, ...AES, "--custody", "session", "--expires-in", "never"],
        ...["--accept-no-reimport", "--multi-region", "--replica", "eu-west-1"],
      ]),
    follow({ name, run }, hint) {
      expect(hint).to.include("whose custody can import again")
      return run([...PROVISION(name), flagIn(hint, "--multi-region"), "--replica", "eu-west-1"])
    },
  },
  ERR_KMS_ALIAS_TAKEN: {
    async fails({ stage, name, run }) {
      await stage.sdk.createAlias({ AliasName: `alias/${name}`, TargetKeyId: await createKey(stage.sdk) })
      return await run([...PROVISION(name), "--alias", `alias/${name}`])
    },
    follow: ({ name, run }, hint) => run([...PROVISION(name), flagIn(hint, "--alias"), `alias/${name}-b`]),
  },
  ERR_IMPORT_TOKEN_EXPIRED: {
    async fails(situation) {
      const { stage, name, well } = situation
      await well(["key", "generate", "--name", name, ...AES, ...CUSTODY])
      await wrapped(situation, "a")
      await stage.kms.clock.advance(25 * 3600)
      return await importOf(situation, "a")
    },
    async follow(situation, hint) {
      expect(hint).to.include("fetch new ones and wrap again")
      await wrapped(situation, "c")
      return await importOf(situation, "c")
    },
  },
  ERR_KMS_ANSWER: {
    fails: ({ stage, name, run }) => run(PROVISION(name), { AWS_ENDPOINT_URL: `${stage.kms.endpoint}/elsewhere` }),
    follow({ name, run }, hint) {
      expect(hint).to.include("--endpoint-url")
      return run(PROVISION(name))
    },
  },
} as const satisfies Partial<Record<ErrorCode, Followed>>
