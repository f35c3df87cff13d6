import {
  CreateAliasCommand,
  ListAliasesCommand,
  ListResourceTagsCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms"
import type { Kms } from "../core/ports/kms.js"
import { required } from "./answer.js"
import { paged } from "./call.js"
import { type Session, tagList } from "./session.js"

/** Most entries a page of ListResourceTags and ListAliases. */
const PAGE = { tags: 50, aliases: 100 }

/** What KMS keys are known by: tags and aliases. */
export function nameOperations({
  client,
  call,
}: Session): Pick<
  Kms,
  "listResourceTags" | "tagResource" | "untagResource" | "createAlias" | "updateAlias" | "listAliases"
> {
  return {
    async listResourceTags(keyId) {
      const pages = paged("ListResourceTags", (marker) => {
        const input = { KeyId: keyId, Limit: PAGE.tags, ...marker }
        return call({ operation: "ListResourceTags", input, keyId }, () =>
          client.send(new ListResourceTagsCommand(input)),
        )
      })
      const tags: Record<string, string> = {}
      for await (const { Tags = [] } of pages) {
        for (const { TagKey, TagValue } of Tags) {
          tags[required(TagKey, "ListResourceTags", "TagKey")] = TagValue ?? ""
        }
      }
      return tags
    },

    async tagResource(keyId, tags) {
      const input = { KeyId: keyId, Tags: tagList(tags) }
      await call({ operation: "TagResource", input, keyId }, () => client.send(new TagResourceCommand(input)))
    },

    async untagResource(keyId, tagKeys) {
      const input = { KeyId: keyId, TagKeys: [...tagKeys] }
      await call({ operation: "UntagResource", input, keyId }, () => client.send(new UntagResourceCommand(input)))
    },

    async createAlias(alias, keyId) {
      const input = { AliasName: alias, TargetKeyId: keyId }
      await call({ operation: "CreateAlias", input, keyId: alias }, () => client.send(new CreateAliasCommand(input)))
    },

    async updateAlias(alias, keyId) {
      const input = { AliasName: alias, TargetKeyId: keyId }
      await call({ operation: "UpdateAlias", input, keyId: alias }, () => client.send(new UpdateAliasCommand(input)))
    },

    async *listAliases(keyId) {
      const operation = "ListAliases"
      const pages = paged(operation, (marker) => {
        const input = { Limit: PAGE.aliases, ...(keyId === undefined ? {} : { KeyId: keyId }), ...marker }
        return call({ operation, input, ...(keyId === undefined ? {} : { keyId }) }, () =>
          client.send(new ListAliasesCommand(input)),
        )
      })
      for await (const { Aliases = [] } of pages) {
        for (const { AliasName, TargetKeyId } of Aliases) {
          yield { alias: required(AliasName, operation, "AliasName"), keyId: TargetKeyId ?? null }
        }
      }
    },
  }
}
