import { keyMetadata } from "./key-metadata.js"
import { requireState } from "../state/key-state.js"
import { keyOperation } from "./operation.js"
import { documented, recorded } from "../protocol/refusal.js"
import { flag, required, text } from "../protocol/request.js"
import { settleKey } from "../state/settle.js"
import type { ServedRegions } from "../state/regions.js"
import { addKey, isPrimary, type Key, partitionOf, type Region } from "../state/state.js"
import { DESCRIPTION } from "./keys.js"
import { defaultPolicy, POLICY, rewritten } from "./policy.js"
import { checkTags, TAGS } from "./tags.js"

const REGION_NAME = required(text({ max: 32, pattern: /^([a-z]+-){2,3}\d+$/ }))

/** Requests of CreateKey that a ReplicateKey costs in the Region of the replica (Developer Guide, "Request quotas"). */
const CREATE_KEY_COST = 2

function requirePrimary(key: Key): void {
  if (!key.set.multiRegion || !isPrimary(key)) throw recorded.notPrimary(key.arn)
}

function replicaRegion(key: Key, name: string, regions: ServedRegions): Region {
  if (name === key.region.name) throw recorded.ownRegion(name)
  const region = regions.get(name)
  if (region === undefined) throw recorded.noRegion(name)
  if (partitionOf(name) !== partitionOf(key.region.name)) throw recorded.otherPartition()
  return region
}

export const ReplicateKey = keyOperation({
  state: "look",
  mutates: true,
  request: {
    ReplicaRegion: REGION_NAME,
    Policy: POLICY,
    BypassPolicyLockoutSafetyCheck: flag(),
    Description: DESCRIPTION,
    Tags: TAGS,
  },
  run(key, request, { regions, now, replicationTime, spend }) {
    requirePrimary(key)
    requireState(key, "changeSet")
    const region = replicaRegion(key, request.ReplicaRegion, regions)
    const existing = region.keys.get(key.id)
    if (existing !== undefined && settleKey(existing, now)) throw documented.keyExists(existing.arn)
    const tags = checkTags(request.Tags ?? [])
    const policy = rewritten(request.Policy ?? defaultPolicy(region), region)
    if (!spend(region, "CreateKey", CREATE_KEY_COST)) throw recorded.throttled()
    const replica = addKey(key.set, region, {
      createdAt: now,
      description: request.Description ?? "",
      policy,
      tags,
      grants: [],
      enabled: true,
      creatingUntil: now + replicationTime,
      holdings: new Map(),
    })
    return {
      ReplicaKeyMetadata: keyMetadata(replica),
      ReplicaPolicy: policy,
      ...(tags.length === 0 ? {} : { ReplicaTags: tags }),
    }
  },
})

export const UpdatePrimaryRegion = keyOperation({
  state: "look",
  mutates: true,
  request: { PrimaryRegion: REGION_NAME },
  run(key, { PrimaryRegion }, { now, replicationTime }) {
    requirePrimary(key)
    requireState(key, "changeSet")
    if (PrimaryRegion === key.region.name) throw documented.samePrimaryRegion(PrimaryRegion)
    const replica = key.set.keys.get(PrimaryRegion)
    if (replica === undefined || !settleKey(replica, now)) throw documented.noReplica(key.arn, PrimaryRegion)
    requireState(replica, "changeSet")
    key.set.primaryRegion = PrimaryRegion
    for (const changed of [key, replica]) changed.updatingUntil = now + replicationTime
    return {}
  },
})
