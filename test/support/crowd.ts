import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { KeyRow } from "#src/core/plan/row.js"
import { type CliResult, keyferry } from "./cli.js"
import { hostClock } from "./host-clock.js"
import { kmsClient, type LocalKmsProcess, startLocalKms } from "./local-kms.js"
import { softhsmToken } from "./tokens.js"

const ACCOUNTS = { prod: "111122223333", test: "444455556666", old: "777788889999" } as const
type Account = keyof typeof ACCOUNTS
const REGIONS = ["ap-south-1", "eu-west-3", "us-east-1", "us-west-2"] as const
/** Keys of the account that cannot be reached; of the others 5 are dead, and 7 due. */
const [UNREACHED, DEAD, DUE] = [98, 5, 7]
const PASSED_S = 10 * 86_400

/** 300 keys over 3 accounts and 4 Regions, of which some need a person. */
export interface Crowd extends AsyncDisposable {
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliResult>
}

export async function openCrowd(): Promise<Crowd> {
  const folder = mkdtempSync(join(tmpdir(), "keyferry-crowd-"))
  const token = softhsmToken()
  const kms = new Map<Account, LocalKmsProcess>()
  for (const [name, account] of Object.entries(ACCOUNTS)) kms.set(name as Account, await startLocalKms({ account }))
  const of = (account: Account): LocalKmsProcess => kms.get(account) ?? expectNever(account)
  const config = join(folder, "keyferry.json")
  writeFileSync(config, JSON.stringify(manifest(token.uri, (account) => of(account).endpoint)))
  const env = { ...of("prod").env, ...token.env, KEYFERRY_STATE_DIR: join(folder, "state"), KEYFERRY_CONFIG: config }
  const ownEnv = Object.fromEntries(Object.entries(env).filter(([name]) => name !== "AWS_ENDPOINT_URL"))
  const run = (args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<CliResult> =>
    keyferry(args, { env: { ...ownEnv, ...hostClock(passedS), ...more } })
  let passedS = 0
  const made = await run(["apply", "--json"])
  if (made.status !== 0) throw new Error(made.stdout.slice(-2000) + made.stderr)
  const { keys } = made.json() as { readonly keys: readonly KeyRow[] }
  passedS = PASSED_S
  for (const one of kms.values()) await one.clock.advance(passedS)
  for (const { keyArn, target } of keys.filter(({ name }) => name.startsWith("dead"))) {
    const [account, region] = [target?.startsWith("test") === true ? "test" : "prod", keyArn?.split(":")[3]] as const
    const client = kmsClient(of(account), region)
    await client.deleteImportedKeyMaterial({ KeyId: keyArn ?? "" })
    client.destroy()
  }
  await of("old").stop()
  return {
    run,
    async [Symbol.asyncDispose]() {
      for (const one of kms.values()) await one.stop()
      token.remove()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const expectNever = (account: string): never => {
  throw new Error(`no account ${account}`)
}

/** Names and places as they come: what needs a person is nowhere together. */
function manifest(uri: string, endpointOf: (account: Account) => string): object {
  const targets = Object.entries(ACCOUNTS).flatMap(([name, account]) =>
    REGIONS.map((region) => [`${name}-${region}`, { region, account, endpoint: endpointOf(name as Account) }] as const),
  )
  const words = ["payments", "ledger", "archive", "customers", "reports", "sessions"]
  const keys = Array.from({ length: 300 }, (_, index) => {
    const isOld = index % 3 === 2 && index < UNREACHED * 3
    const account = isOld ? "old" : index % 2 === 0 ? "prod" : "test"
    const target = `${account}-${REGIONS[Math.floor(index / 3) % REGIONS.length] ?? ""}`
    const word = `${words[index % words.length] ?? ""}-${String(index).padStart(3, "0")}`
    return { isOld, word, target }
  })
  const reached = keys.filter(({ isOld }) => !isOld)
  const rows = keys.map(({ isOld, word, target }) => {
    const place = reached.findIndex((key) => key.word === word)
    const isDead = !isOld && place % 37 === 7 && place < 37 * DEAD
    const isDue = !isOld && place % 23 === 11 && place < 23 * DUE
    const name = isDead ? `dead-${word}` : word
    const isTwice = !isOld && !isDead && !isDue && place % 20 === 3
    const targets = isTwice ? [target, target === "prod-us-east-1" ? "prod-eu-west-3" : "prod-us-east-1"] : [target]
    return [name, { keySpec: "SYMMETRIC_DEFAULT", targets, ...(isDue ? { renewBefore: "80d" } : {}) }]
  })
  return {
    version: 1,
    id: "crowd",
    tokens: { hsm: { uri } },
    targets: Object.fromEntries(targets),
    defaults: { token: "hsm", custody: "token", wrappingKeySpec: "RSA_2048", expiresIn: "90d", renewBefore: "30d" },
    keys: Object.fromEntries(rows) as object,
  }
}
