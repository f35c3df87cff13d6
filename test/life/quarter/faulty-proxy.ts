import type { Seeded } from "../../support/seeded.js"
import type { KmsProxy } from "../../support/kms-proxy.js"

/** What a proxy's pages come with: redirects, refusals and failures, none of them AWS' own. */
const STATUSES = [200, 307, 403, 407, 408, 413, 502, 503]
const READS = ["DescribeKey", "GetKeyPolicy", "ListAliases", "ListKeyRotations", "ListKeys", "ListResourceTags"]
const CHANGES = ["CreateKey", "GetParametersForImport", "ImportKeyMaterial", "RotateKeyOnDemand", "TagResource"]
/** More than any run sends of an operation. */
const MOST = 200

/** Counts the pages that were answered. */
type PageCount = () => number

/** The proxy answers HTML to everything. */
export function pagesForAll(proxy: KmsProxy, chance: Seeded): PageCount {
  const respond = pageOf(chance)
  return sumOf(
    [...READS, ...CHANGES].map((operation) => proxy.spoil(operation, { effect: false, times: MOST, respond })),
  )
}

/** The proxy answers HTML to half of what changes something, and lets half of that take effect before. */
export function pagesForChanges(proxy: KmsProxy, chance: Seeded): PageCount {
  const respond = pageOf(chance)
  const counts = CHANGES.flatMap((operation) =>
    Array.from({ length: MOST }, (_, skip) => skip)
      .filter(() => chance.oneIn(2))
      .map((skip) => proxy.spoil(operation, { effect: chance.oneIn(2), skip, respond })),
  )
  return sumOf(counts)
}

type Respond = Parameters<KmsProxy["spoil"]>[1]["respond"]

/** What a corporate proxy says instead of KMS; its Date is the one that Node.js adds, that of this machine. */
function pageOf(chance: Seeded): Respond {
  return (response) => {
    const status = chance.pick(STATUSES)
    response.writeHead(status, { "content-type": "text/html" })
    response.end(`<html><body><h1>${status}</h1>the proxy's own page</body></html>`)
  }
}

const sumOf =
  (counts: readonly PageCount[]): PageCount =>
  () =>
    counts.reduce((sum, count) => sum + count(), 0)
