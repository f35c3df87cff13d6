import { keyOperation } from "./operation.js"
import { byName, pageFields, pageOf, sourceOf } from "../protocol/page.js"
import { recorded } from "../protocol/refusal.js"
import { listOf, required, struct, text } from "../protocol/request.js"
import type { Tag } from "../state/state.js"

const MAX_TAGS = 50
const TAG_KEY = text({ max: 128 })

export const TAGS = listOf(struct({ TagKey: required(TAG_KEY), TagValue: required(text({ min: 0, max: 256 })) }), {
  min: 0,
  max: 200,
})

/** Letters, digits, spaces and `_.:/=+-@`, the characters that AWS allows in tags. */
const TAG_CHARACTERS = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

/** The tags in order of their keys; throws TagException or LimitExceededException. */
export function checkTags(tags: readonly Tag[]): Tag[] {
  const names = tags.map((tag) => tag.TagKey)
  if (new Set(names).size !== names.length) throw recorded.tag("Duplicate tag keys")
  if (names.some((name) => name.toLowerCase().startsWith("aws:"))) {
    throw recorded.tag("Tags beginning with aws: are reserved")
  }
  if (tags.some((tag) => !TAG_CHARACTERS.test(tag.TagKey) || !TAG_CHARACTERS.test(tag.TagValue))) {
    throw recorded.tag("Tag key or value contains invalid characters")
  }
  if (tags.length > MAX_TAGS) throw recorded.tag("Too many tags")
  return byName(tags, (tag) => tag.TagKey)
}

export const TagResource = keyOperation({
  state: "manage",
  mutates: true,
  request: { Tags: required(TAGS) },
  run(key, { Tags }) {
    checkTags(Tags)
    const kept = key.tags.filter((tag) => !Tags.some((added) => added.TagKey === tag.TagKey))
    key.tags = checkTags([...kept, ...Tags])
    return {}
  },
})

export const UntagResource = keyOperation({
  state: "manage",
  mutates: true,
  request: { TagKeys: required(listOf(TAG_KEY, { min: 0, max: 200 })) },
  run(key, { TagKeys }) {
    key.tags = key.tags.filter((tag) => !TagKeys.includes(tag.TagKey))
    return {}
  },
})

export const ListResourceTags = keyOperation({
  state: "look",
  request: pageFields(50),
  run(key, request) {
    const keyOf = (tag: Tag) => tag.TagKey
    const { items, answer } = pageOf(sourceOf(key.tags, keyOf), keyOf, request, 50)
    return { Tags: items, ...answer }
  },
})
