import type { Kms } from "../core/ports/kms.js"
import { ANSWERS } from "./answer.js"
import { Entries, paged } from "./listing.js"
import { type Session, tagList } from "./session.js"

/** Most entries a page of ListResourceTags and ListAliases. */
const PAGE = { tags: 50, aliases: 100 }
/** A key has 50 tags; an account and Region have 50 aliases a key. */
const MOST_PAGES = { tags: 50, aliases: 100_000 }

/** What KMS keys are known by: tags and aliases. */
export function nameOperations({
  call,
}: Session): Pick<
  Kms,
  "listResourceTags" | "tagResource" | "untagResource" | "createAlias" | "updateAlias" | "listAliases"
> {
  return {
    async listResourceTags(keyId) {
      const operation = "ListResourceTags"
      const pages = paged({ operation, most: MOST_PAGES.tags }, async (marker) => {
        const input = { KeyId: keyId, Limit: PAGE.tags, ...marker }
        const request = { operation, input, keyId, answer: ANSWERS.ListResourceTags }
        return (await call(request)).answer
      })
      const entries = new Entries(operation)
      const tags = new Map<string, string>()
      for await (const { Tags } of pages) {
        for (const { TagKey: tagKey, TagValue: tagValue } of Tags) {
          if (entries.isNew(tagKey, tagValue)) tags.set(tagKey, tagValue)
        }
      }
      return Object.fromEntries(tags)
    },

    async tagResource(keyId, tags) {
      const input = { KeyId: keyId, Tags: tagList(tags) }
      await call({ operation: "TagResource", input, keyId, answer: ANSWERS.nothing })
    },

    async untagResource(keyId, tagKeys) {
      const input = { KeyId: keyId, TagKeys: [...tagKeys] }
      await call({ operation: "UntagResource", input, keyId, answer: ANSWERS.nothing })
    },

    async createAlias(alias, keyId) {
      const input = { AliasName: alias, TargetKeyId: keyId }
      await call({ operation: "CreateAlias", input, keyId: alias, answer: ANSWERS.nothing })
    },

    async updateAlias(alias, keyId) {
      const input = { AliasName: alias, TargetKeyId: keyId }
      await call({ operation: "UpdateAlias", input, keyId: alias, answer: ANSWERS.nothing })
    },

    async *listAliases(keyId) {
      const operation = "ListAliases"
      const pages = paged({ operation, most: MOST_PAGES.aliases }, async (marker) => {
        const keyFields = keyId === undefined ? {} : { keyId }
        const input = { Limit: PAGE.aliases, ...(keyId === undefined ? {} : { KeyId: keyId }), ...marker }
        const request = { operation, input, ...keyFields, answer: ANSWERS.ListAliases }
        return (await call(request)).answer
      })
      const entries = new Entries(operation)
      for await (const { Aliases } of pages) {
        for (const { AliasName: alias, TargetKeyId } of Aliases) {
          const target = TargetKeyId ?? null
          if (entries.isNew(alias, target)) yield { alias, keyId: target }
        }
      }
    },
  }
}
