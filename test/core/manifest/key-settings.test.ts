import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect } from "chai"
import fc from "fast-check"
import yargs from "yargs"
import type { OptionTable } from "#src/cli/command.js"
import { settingOptions, settingsFrom } from "#src/cli/options/key-settings.js"
import { effectiveText } from "#src/config/effective.js"
import { parseManifest } from "#src/config/load.js"
import { provisionRequest } from "#src/app/fleet/execute.js"
import { KeyferryError } from "#src/core/base/error.js"
import { CUSTODY_NAMES } from "#src/core/key/custody.js"
import { KEY_SPECS, KEY_SPEC_NAMES } from "#src/core/key/key-spec.js"
import {
  DEFAULT_SETTINGS,
  KEY_SETTINGS,
  SETTING_NAMES,
  settingOf,
  settingsFor,
} from "#src/core/manifest/key-settings.js"
import { bindingsOf } from "#src/core/manifest/manifest.js"
import { SETTING_EXAMPLES } from "#test/support/setting-examples.js"

const BASE = { version: 1, targets: { here: { region: "eu-west-3" } } }
const manifest = (key: object) =>
  parseManifest(JSON.stringify({ ...BASE, keys: { k: key } }), "keyferry.yaml", ["softhsm2"])

/** What flags ask of `provision`, parsed as the command parses them. */
async function byFlags(words: readonly string[]) {
  const args = await yargs([...words])
    .options(settingOptions("provision") as OptionTable)
    .exitProcess(false)
    .parseAsync()
  return await settingsFrom("provision", args)
}

/** What the file asks of `provision` for one key. */
function byFile(key: object) {
  const [binding] = bindingsOf(manifest(key))
  if (binding === undefined) throw new Error("no binding")
  const { name, owner, target, keyId, acceptNoReimport, ...settings } = provisionRequest(binding)
  expect([name, owner, target, keyId]).to.deep.equal(["k", "keyferry", "here", null])
  expect(acceptNoReimport).to.equal(settings.expiresIn === "never")
  return settings
}

/** What a setting cannot be without. */
const NEEDS: Readonly<Record<string, readonly (keyof typeof SETTING_EXAMPLES)[]>> = {
  keyUsage: ["keySpec"],
  tagKey: ["keyArn"],
  custody: ["expiresIn"],
  localUse: ["custody", "expiresIn"],
  replicas: ["multiRegion"],
  keySpec: ["keyUsage"],
  wrappingAlgorithm: ["keySpec", "keyUsage"],
}

describe("the settings of a key", () => {
  for (const name of SETTING_NAMES) {
    const { flags, file } = SETTING_EXAMPLES[name]
    const names = [name, ...(NEEDS[name] ?? [])]
    it(`has ${name} by flags and by the file alike, and it reaches the request`, async () => {
      const written = Object.fromEntries(names.map((each) => [each, SETTING_EXAMPLES[each].file]))
      const { multiRegion, replicas, ...plain } = { keySpec: "SYMMETRIC_DEFAULT", ...written } as Record<
        string,
        unknown
      >
      const key = multiRegion === true ? { ...plain, multiRegion: { replicas: replicas ?? [] } } : plain
      const { renewBefore, renewSpread, rotateEvery, priority, ...asked } =
        bindingsOf(manifest(key))[0] ?? expect.fail()
      expect(settingOf(name).flag === null).to.equal(flags === null)
      if (flags === null) {
        const kept = { renewBefore, renewSpread, rotateEvery, priority, ...asked }[name]
        if (name !== "wrapWithTrusted") expect(kept).to.not.deep.equal(settingOf(name).absent)
        return
      }
      const words = names.flatMap((each) => SETTING_EXAMPLES[each].flags ?? [])
      const request = await byFlags(names.includes("keySpec") ? words : ["--key-spec", "SYMMETRIC_DEFAULT", ...words])
      expect(request).to.deep.equal(byFile(key))
      expect(request).to.have.property(name).that.does.not.deep.equal(settingOf(name).absent)
      expect(file).to.not.equal(undefined)
    })
  }

  it("is refused in the same words by flag and by file", async () => {
    const faults: readonly (readonly [words: readonly string[], key: object, fault: RegExp])[] = [
      [["--alias", "a b"], { alias: "a b" }, /is no alias: alias\/ and letters/],
      [["--key-usage", "SIGN_VERIFY"], { keyUsage: "SIGN_VERIFY" }, /does not go with SYMMETRIC_DEFAULT/],
      [["--local-use"], { localUse: true }, /is for custody locked, not sealed/],
      [["--tag", "aws:a=b"], { tags: { "aws:a": "b" } }, /reserved prefix/],
      [["--key-policy", "{"], { keyPolicy: "{" }, /is no key policy: a mapping, or JSON text, with a Statement/],
      [["--description", "x".repeat(8193)], { description: "x".repeat(8193) }, /is longer than 8192 characters/],
    ]
    for (const [words, key, fault] of faults) {
      const flagged = await refusal(() => byFlags(["--key-spec", "SYMMETRIC_DEFAULT", ...words]))
      expect([flagged.code, flagged.message]).to.satisfy(
        ([code, message]: string[]) => code === "ERR_USAGE" && fault.test(message ?? ""),
      )
      const filed = await refusal(() => byFile({ keySpec: "SYMMETRIC_DEFAULT", ...key }))
      expect(filed.causes.map(({ message }) => message).join("\n")).to.match(fault)
    }
  })

  it("takes a key policy from a file, and says so where there is none", async () => {
    const missing = await refusal(() => byFlags(["--key-spec", "HMAC_256", "--key-policy", "/nonexistent.json"]))
    expect(missing.code).to.equal("ERR_INPUT_UNREADABLE")
    const folder = mkdtempSync(join(tmpdir(), "keyferry-policy-"))
    try {
      const path = join(folder, "policy.json")
      writeFileSync(path, '{"Statement":[]}')
      const { keyPolicy } = await byFlags(["--key-spec", "HMAC_256", "--key-policy", path])
      expect(keyPolicy).to.equal('{"Statement":[]}')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it("has no row that no command and no file gives", () => {
    for (const name of SETTING_NAMES) {
      const { flag, commands, file } = settingOf(name)
      expect(flag !== null || file !== null, name).to.equal(true)
      if (flag !== null) expect(commands, name).to.not.be.empty
    }
    expect(KEY_SETTINGS.expiresIn.absent).to.equal("90d")
    expect(
      settingsFor("provision", { ...DEFAULT_SETTINGS, keySpec: "HMAC_256", keyUsage: "GENERATE_VERIFY_MAC" }),
    ).to.include({ custody: "sealed" })
  })

  it("is printed by config check as a file that says the same", () => {
    const duration = fc
      .tuple(fc.integer({ min: 1, max: 89 }), fc.constantFrom("d", "h", "m"))
      .map(([count, unit]) => `${count}${unit}`)
    const text = fc.string({ minLength: 0, maxLength: 40, unit: "grapheme" })
    const written = fc.record(
      {
        custody: fc.constantFrom(...CUSTODY_NAMES.filter((custody) => custody === "sealed" || custody === "token")),
        wrappingKeySpec: fc.constantFrom("RSA_2048", "RSA_3072", "RSA_4096"),
        expiresIn: fc.oneof(fc.constant("never"), fc.constant("364d")),
        renewBefore: fc.oneof(
          duration,
          fc.integer({ min: 1, max: 99 }).map((percent) => `${percent}%`),
        ),
        renewSpread: fc.oneof(
          fc.constantFrom("0s", "1h"),
          fc.integer({ min: 0, max: 50 }).map((percent) => `${percent}%`),
        ),
        description: text,
        tags: fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), fc.stringMatching(/^[\wäß .:/=+@-]{0,20}$/), {
          maxKeys: 5,
        }),
        keyPolicy: fc.record({ Statement: fc.array(fc.record({ Sid: text }), { maxLength: 3 }) }),
        prove: fc.constantFrom("full", "accept"),
        multiRegion: fc.record({ replicas: fc.uniqueArray(fc.constantFrom("eu-west-1", "us-east-1", "us-west-2")) }),
      },
      { requiredKeys: [] },
    )
    const key = fc.tuple(fc.constantFrom(...KEY_SPEC_NAMES), written).map(([keySpec, more]) => ({
      keySpec,
      keyUsage: KEY_SPECS[keySpec].usages.at(-1),
      ...more,
      wrappingKeySpec: "RSA_4096",
    }))
    fc.assert(
      fc.property(key, (each) => {
        const first = manifest(each)
        const printed = effectiveText(first)
        expect(parseManifest(printed, "printed.yaml", ["softhsm2"]).keys).to.deep.equal(first.keys)
      }),
      { numRuns: process.env["SLOW"] === undefined ? 100 : 2000 },
    )
  })
})

async function refusal(run: () => unknown): Promise<KeyferryError> {
  try {
    await run()
  } catch (error) {
    if (error instanceof KeyferryError) return error
    throw error
  }
  return expect.fail("nothing was refused")
}
