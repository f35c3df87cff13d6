import type { Kms } from "../core/ports/kms.js"
import { KeyferryError } from "../core/base/error.js"
import type { KeyDescription } from "../core/key/key-description.js"
import { parseKeyArn } from "../core/key/key-arn.js"
import { ANSWERS } from "./answer.js"
import { ofOtherKey, otherThan } from "./call.js"
import { Entries, paged } from "./listing.js"
import { type Session, tagList } from "./session.js"

/** Most entries a page of ListKeys. */
const PAGE = { keys: 1000 }
/** Ten times the keys that AWS allows an account and Region. */
const MOST_PAGES = 1000
/** What a KMS without the operation answers: not every Region, and no emulator, has what is new. */
const UNKNOWN = ["UnknownOperationException", "UnknownOperation", "InvalidAction", "UnsupportedOperationException"]
/** The one policy that a KMS key has. */
const POLICY_NAME = "default"

/** KMS keys: made, described, and their life. */
export function keyOperations({
  call,
  region: sessionRegion,
}: Session): Pick<
  Kms,
  | "createKey"
  | "describeKey"
  | "listKeys"
  | "replicateKey"
  | "getKeyLastUsage"
  | "updateKeyDescription"
  | "getKeyPolicy"
  | "putKeyPolicy"
  | "enableKey"
  | "disableKey"
  | "scheduleKeyDeletion"
> {
  return {
    async createKey({ keySpec, keyUsage, description, multiRegion, policy = null, tags }) {
      const input = {
        Origin: "EXTERNAL",
        KeySpec: keySpec,
        KeyUsage: keyUsage,
        ...(description === null ? {} : { Description: description }),
        ...(multiRegion ? { MultiRegion: true } : {}),
        ...(policy === null ? {} : { Policy: policy }),
        Tags: tagList(tags),
      } as const
      const { answer, requestId } = await call({ operation: "CreateKey", input, answer: ANSWERS.CreateKey })
      const key = answer.KeyMetadata
      refuseOtherMade("CreateKey", otherRegion(key, sessionRegion) ?? otherThan("key spec", key.keySpec, keySpec))
      return { key, requestId }
    },

    async describeKey(keyId) {
      const input = { KeyId: keyId }
      const contradiction = ({ KeyMetadata: key }: { KeyMetadata: KeyDescription }): string | null =>
        ofOtherKey(key.keyArn, keyId) ?? otherRegion(key, sessionRegion)
      const { answer } = await call({
        operation: "DescribeKey",
        input,
        keyId,
        answer: ANSWERS.DescribeKey,
        contradiction,
      })
      return answer.KeyMetadata
    },

    async *listKeys() {
      const operation = "ListKeys"
      const pages = paged({ operation, most: MOST_PAGES }, async (marker) => {
        const input = { Limit: PAGE.keys, ...marker }
        return (await call({ operation, input, answer: ANSWERS.ListKeys })).answer
      })
      const entries = new Entries(operation)
      for await (const { Keys } of pages) {
        for (const { KeyId: keyId, KeyArn: keyArn } of Keys) {
          if (entries.isNew(keyId, { keyArn })) yield { keyId, keyArn }
        }
      }
    },

    async replicateKey(keyArn, { region, description, policy, tags }) {
      const operation = "ReplicateKey"
      const input = {
        KeyId: keyArn,
        ReplicaRegion: region,
        ...(description === null ? {} : { Description: description }),
        ...(policy === null ? {} : { Policy: policy }),
        Tags: tagList(tags),
      }
      const { answer } = await call({ operation, input, keyId: keyArn, answer: ANSWERS.ReplicateKey })
      const replica = answer.ReplicaKeyMetadata
      refuseOtherMade(operation, otherRegion(replica, region) ?? ofOtherKey(replica.keyId, keyArn))
      return replica
    },

    async getKeyLastUsage(keyArn) {
      const operation = "GetKeyLastUsage"
      const input = { KeyId: keyArn }
      const contradiction = ({ KeyId }: { KeyId?: string | undefined }): string | null => ofOtherKey(KeyId, keyArn)
      const request = { operation, input, keyId: keyArn, answer: ANSWERS.GetKeyLastUsage, contradiction }
      try {
        const { KeyLastUsage: last, TrackingStartDate: trackedSince = null } = (await call(request)).answer
        return { last: last === undefined ? null : { operation: last.Operation, at: last.Timestamp }, trackedSince }
      } catch (error) {
        if (error instanceof KeyferryError && UNKNOWN.includes(error.causes[0]?.code ?? "")) return null
        throw error
      }
    },

    async updateKeyDescription(keyArn, description) {
      const input = { KeyId: keyArn, Description: description }
      await call({ operation: "UpdateKeyDescription", input, keyId: keyArn, answer: ANSWERS.nothing })
    },

    async getKeyPolicy(keyArn) {
      const operation = "GetKeyPolicy"
      const input = { KeyId: keyArn, PolicyName: POLICY_NAME }
      const { answer } = await call({ operation, input, keyId: keyArn, answer: ANSWERS.GetKeyPolicy })
      return answer.Policy
    },

    async putKeyPolicy(keyArn, policy) {
      const input = { KeyId: keyArn, PolicyName: POLICY_NAME, Policy: policy }
      await call({ operation: "PutKeyPolicy", input, keyId: keyArn, answer: ANSWERS.nothing })
    },

    async enableKey(keyArn) {
      const input = { KeyId: keyArn }
      await call({ operation: "EnableKey", input, keyId: keyArn, answer: ANSWERS.nothing })
    },

    async disableKey(keyArn) {
      const input = { KeyId: keyArn }
      await call({ operation: "DisableKey", input, keyId: keyArn, answer: ANSWERS.nothing })
    },

    async scheduleKeyDeletion(keyArn, days) {
      const operation = "ScheduleKeyDeletion"
      const input = { KeyId: keyArn, PendingWindowInDays: days }
      const contradiction = ({ KeyId }: { KeyId?: string | undefined }): string | null => ofOtherKey(KeyId, keyArn)
      const { answer } = await call({
        operation,
        input,
        keyId: keyArn,
        answer: ANSWERS.ScheduleKeyDeletion,
        contradiction,
      })
      return { deletionDate: answer.DeletionDate ?? null }
    },
  }
}

/** Whether a KMS key lies in another Region than the one that was asked. */
function otherRegion({ keyArn }: KeyDescription, region: string): string | null {
  return otherThan("Region", parseKeyArn(keyArn)?.region, region)
}

/** An answer about another key than was to be made is no word on whether that was: it is looked for. */
function refuseOtherMade(operation: string, contradiction: string | null): void {
  if (contradiction === null) return
  throw new KeyferryError("ERR_KMS_OUTCOME_UNKNOWN", `${operation}: the answer ${contradiction}`)
}
