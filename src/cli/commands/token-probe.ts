import { KEY_SPEC_NAMES, WRAPPING_KEY_SPEC_NAMES } from "../../core/key/key-spec.js"
import type { WrapCapability } from "../../core/key/wrapping.js"
import { WRAPPING_ALGORITHM_NAMES } from "../../core/key/wrapping-algorithm.js"
import { defineCommand } from "../command.js"
import { TOKEN } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { table } from "../text/table.js"

export const tokenProbe = defineCommand({
  name: "token probe",
  describe:
    "what the token can carry to KMS, proven live with throw-away keys: every algorithm, key spec and wrapping key",
  examples: [["$0 token probe --fresh", "test everything again, whatever the cache says"]],
  options: {
    fresh: { type: "boolean", default: false, describe: "do not answer from the cache" },
    "draft-profile": { type: "boolean", default: false, describe: "add a draft profile of the token to the result" },
    ...TOKEN,
  },
  async run(args, { world }) {
    const token = await world.token()
    const requests = KEY_SPEC_NAMES.flatMap((keySpec) =>
      WRAPPING_ALGORITHM_NAMES.flatMap((wrappingAlgorithm) =>
        WRAPPING_KEY_SPEC_NAMES.map((wrappingKeySpec) => ({ keySpec, wrappingAlgorithm, wrappingKeySpec })),
      ),
    )
    const { fresh } = args
    const capabilities = await token.selfTest(requests, { fresh })
    const { facts, verdicts: custody } = await token.probeCustody({ fresh, keySpecs: ["SYMMETRIC_DEFAULT"] })
    const rows = merged(capabilities).map(({ keySpec, wrappingAlgorithm, under, usable, wrapPath, reason }) => [
      keySpec,
      wrappingAlgorithm,
      under.join(" "),
      usable ? wrapPath : "no",
      reason,
    ])
    const custodyRows = custody.map(({ custody: name, enforced, reason }) => [
      name,
      enforced ? "enforced" : "no",
      reason,
    ])
    const usable = capabilities.filter((capability) => capability.usable)
    const draft = args.draftProfile ? { draftProfile: draftProfile(token.info, usable) } : {}
    const text = (layout: Layout): readonly string[] => [
      table(["KEY SPEC", "ALGORITHM", "UNDER", "PATH", "REASON"], rows, layout),
      "",
      table(["CUSTODY", "", "REASON"], custodyRows, layout),
      ...(args.draftProfile ? ["", `draft of a row of ${PROFILES}:`, JSON.stringify(draft, null, 2)] : []),
    ]
    return {
      result: { token: token.info, capabilities, custody, custodyFacts: facts, ...draft },
      text: (layout) => text(layout).join("\n"),
    }
  },
})

/** Wrapping key specs with the same verdict share a row, for people; JSON has every one. */
function merged(capabilities: readonly WrapCapability[]) {
  const rows: (Omit<WrapCapability, "wrappingKeySpec"> & { under: string[] })[] = []
  for (const { wrappingKeySpec, ...verdict } of capabilities) {
    const last = rows.at(-1)
    const isSame = (["keySpec", "wrappingAlgorithm", "wrapPath", "reason"] as const).every(
      (name) => last?.[name] === verdict[name],
    )
    if (last !== undefined && isSame) last.under.push(wrappingKeySpec)
    else rows.push({ ...verdict, under: [wrappingKeySpec] })
  }
  return rows
}

/** Where the profiles of keyferry stand. */
const PROFILES = "src/pkcs11/profiles.ts"

/** What a row of {@link PROFILES} would say of this token, from what was proven; for its review. */
function draftProfile(
  info: { readonly manufacturer: string; readonly model: string },
  usable: readonly {
    readonly wrapPath: string | null
    readonly wrappingAlgorithm: string
    readonly mechanisms: readonly string[]
  }[],
): object {
  const kwp = usable.flatMap(({ wrapPath, mechanisms }) => (wrapPath === "composed" ? mechanisms.slice(0, 1) : []))
  return {
    match: { manufacturer: info.manufacturer, model: info.model },
    oaepHashes: [
      ...new Set(usable.map(({ wrappingAlgorithm }) => (wrappingAlgorithm.endsWith("SHA_1") ? "SHA-1" : "SHA-256"))),
    ],
    kwp: [...new Set(kwp)],
  }
}
