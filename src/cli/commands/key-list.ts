import { printable } from "../../core/base/printable.js"
import type { ListedKey } from "../../app/source-key/list.js"
import { defineCommand } from "../command.js"
import { custodyText } from "../text/key-text.js"
import { TOKEN } from "../options/options.js"
import { table } from "../text/table.js"

export const keyList = defineCommand({
  name: "key list",
  describe: "source keys of the token, the KMS keys that hold their material, and what stopped runs left",
  examples: [["$0 key list", "as a table"]],
  options: TOKEN,
  async run(_args, { world }) {
    const { listKeys } = await import("../../app/source-key/list.js")
    const list = await listKeys(await world.withoutKms({ lock: false }))
    const keysTable =
      list.keys.length === 0
        ? "the token has no source keys of keyferry"
        : table(
            ["NAME", "KEY SPEC", "CUSTODY", "ID", "KMS KEY", "STATUS", "EXPIRES"],
            list.keys.flatMap((key) => {
              const keyCells = [key.name, key.keySpec, custodyWord(key), key.id]
              if (key.kms.length === 0) return [[...keyCells, null, "no record here", null]]
              return key.kms.map((side) => [
                ...keyCells,
                side.keyArn,
                side.status,
                side.validTo ?? (side.status === "imported" ? "never" : null),
              ])
            }),
          )
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
    return { result: list, text: [keysTable, ...parts.map(printable)].join("\n"), exit }
  },
})

const custodyWord = ({ custody, unenforced }: ListedKey): string =>
  unenforced == null ? custody : `${custody}, NOT ENFORCED`
