import type { TestToken } from "../../support/tokens.js"

export const REGIONS = ["ap-south-1", "eu-west-3", "us-east-1"] as const
export type Region = (typeof REGIONS)[number]

/** Of every so many keys one is a multi-Region key with a replica, and one has two generations. */
const [REPLICATED_EVERY, ROTATED_EVERY] = [10, 25]

/** A key of the configuration file. */
export interface Key {
  readonly name: string
  readonly region: Region
  readonly replica: Region | null
  readonly rotated: boolean
  /** 1 before 2; none comes last. */
  readonly priority: number | null
}

/** So many keys, whose names stand together by Region: one Region must not keep the others waiting. */
export function keysOfRegions(count: number): readonly Key[] {
  return Array.from({ length: count }, (_, index) => {
    const place = index % REGIONS.length
    const region = REGIONS[place] ?? "us-east-1"
    return {
      name: `${region}-${String(index).padStart(4, "0")}`,
      region,
      replica: index % REPLICATED_EVERY === 0 ? (REGIONS[(place + 1) % REGIONS.length] ?? null) : null,
      rotated: index % ROTATED_EVERY === 1,
      priority: [1, 2, 3, null][(index * 7) % 4] ?? null,
    }
  })
}

/** In the order in which they are to come back. */
export function mostImportantFirst(keys: readonly Key[]): readonly Key[] {
  return [...keys].sort((a, b) => (a.priority ?? Infinity) - (b.priority ?? Infinity) || (a.name < b.name ? -1 : 1))
}

export function manifestOf(
  keys: readonly Key[],
  { token, endpoint, quotas }: { token: TestToken; endpoint: string; quotas?: Readonly<Record<string, number>> },
): object {
  const rows = keys.map(({ name, region, replica, priority }, index) => [
    name,
    {
      keySpec: "SYMMETRIC_DEFAULT",
      targets: [region],
      custody: index % 2 === 0 ? "sealed" : "token",
      ...(replica === null ? {} : { multiRegion: { replicas: [replica] } }),
      ...(priority === null ? {} : { priority }),
    },
  ])
  const target = { endpoint, ...(quotas === undefined ? {} : { quotas }) }
  return {
    version: 1,
    id: "recovery",
    tokens: { hsm: { uri: token.uri } },
    targets: Object.fromEntries(REGIONS.map((region) => [region, { region, ...target }])),
    defaults: { token: "hsm", wrappingKeySpec: "RSA_2048" },
    keys: Object.fromEntries(rows) as object,
  }
}
