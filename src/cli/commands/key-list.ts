import { printable } from "../../core/base/printable.js"
import type { ListedKey } from "../../app/source-key/list.js"
import { defineCommand } from "../command.js"
import { custodyText } from "../text/key-text.js"
import { TOKEN } from "../options/options.js"
import type { Layout } from "../text/layout.js"
import { table } from "../text/table.js"
import { wrapped } from "../text/width.js"

export const keyList = defineCommand({
  name: "key list",
  describe: "source keys of the token, the KMS keys that hold their material, and what stopped runs left",
  examples: [["$0 key list", "as a table"]],
  options: TOKEN,
  async run(_args, { world }) {
    const { listKeys } = await import("../../app/source-key/list.js")
    const list = await listKeys(await world.withoutKms({ lock: false }))
    const parts: string[] = []
    for (const key of list.keys) {
      if (key.unenforced != null) parts.push(`${key.label}: custody ${custodyText(key.custody, key.unenforced)}`)
      for (const { note, target } of key.kms) if (note !== null) parts.push(`${key.name} (${target}): ${note}`)
    }
    for (const leftover of list.leftovers) {
      parts.push(
        `${leftover.name} (${leftover.target}): no source key ${leftover.sourceKeyId} in this token; ${leftover.keyArn ?? "no KMS key"}; ${leftover.note ?? leftover.status}`,
      )
    }
    for (const { name, target, token, keyArn, note, status } of list.elsewhere) {
      parts.push(`${name} (${target}): in token "${token?.label ?? ""}"; ${keyArn ?? "no KMS key"}; ${note ?? status}`)
    }
    for (const stray of list.strays) parts.push(`stray object ${stray.label} (${stray.id}): ${stray.reason}`)
    for (const { name, target, reason } of list.unreadable) parts.push(`${name} (${target}): ${reason}`)
    const exit = list.unreadable.length > 0 ? "DATAERR" : "OK"
    const text = (layout: Layout): string => {
      const width = layout.wide ? undefined : layout.width
      return [keysTable(list.keys, layout), ...parts.map((part) => wrapped(printable(part), width))].join("\n")
    }
    return { result: list, text, exit }
  },
})

const HEAD = ["NAME", "KEY SPEC", "CUSTODY", "STATUS", "EXPIRES", "TARGET", "ID", "KMS KEY"]
/** Of these how many are shown where not all are asked for. */
const MOST_ASKED = 6

function keysTable(keys: readonly ListedKey[], layout: Layout): string {
  if (keys.length === 0) return "the token has no source keys of keyferry"
  const rows = keys.flatMap((key) => {
    const cells = [key.name, key.keySpec, custodyWord(key)]
    if (key.kms.length === 0) return [[...cells, "no record here", null, null, key.id, null]]
    return key.kms.map(({ status, validTo, target, keyArn }) => {
      const expires = validTo ?? (status === "imported" ? "never" : null)
      return [...cells, status, layout.wide ? expires : (expires?.slice(0, 10) ?? null), target, key.id, keyArn]
    })
  })
  const shown = layout.wide ? HEAD.length : MOST_ASKED
  return table(
    HEAD.slice(0, shown),
    rows.map((row) => row.slice(0, shown)),
    layout,
  )
}

const custodyWord = ({ custody, unenforced }: ListedKey): string =>
  unenforced == null ? custody : `${custody}, NOT ENFORCED`
