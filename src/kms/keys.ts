import {
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetKeyPolicyCommand,
  ListKeysCommand,
  PutKeyPolicyCommand,
  ReplicateKeyCommand,
  ScheduleKeyDeletionCommand,
  UpdateKeyDescriptionCommand,
} from "@aws-sdk/client-kms"
import type { Kms } from "../core/ports/kms.js"
import { createdKey, keyDescription, required } from "./answer.js"
import { paged } from "./call.js"
import { type Session, tagList } from "./session.js"

/** Most entries a page of ListKeys. */
const PAGE = { keys: 1000 }
/** The one policy that a KMS key has. */
const POLICY_NAME = "default"

/** KMS keys: made, described, and their life. */
export function keyOperations({
  client,
  call,
}: Session): Pick<
  Kms,
  | "createKey"
  | "describeKey"
  | "listKeys"
  | "replicateKey"
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
      const output = await call({ operation: "CreateKey", input }, () => client.send(new CreateKeyCommand(input)))
      return { key: createdKey(output.KeyMetadata, "CreateKey"), requestId: output.$metadata.requestId ?? null }
    },

    async describeKey(keyId) {
      const input = { KeyId: keyId }
      const output = await call({ operation: "DescribeKey", input, keyId }, () =>
        client.send(new DescribeKeyCommand(input)),
      )
      return keyDescription(output.KeyMetadata, "DescribeKey")
    },

    async *listKeys() {
      const pages = paged("ListKeys", (marker) => {
        const input = { Limit: PAGE.keys, ...marker }
        return call({ operation: "ListKeys", input }, () => client.send(new ListKeysCommand(input)))
      })
      for await (const { Keys = [] } of pages) {
        for (const { KeyId, KeyArn } of Keys) {
          yield { keyId: required(KeyId, "ListKeys", "KeyId"), keyArn: required(KeyArn, "ListKeys", "KeyArn") }
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
      const output = await call({ operation, input, keyId: keyArn }, () => client.send(new ReplicateKeyCommand(input)))
      return createdKey(output.ReplicaKeyMetadata, operation)
    },

    async updateKeyDescription(keyArn, description) {
      const input = { KeyId: keyArn, Description: description }
      await call({ operation: "UpdateKeyDescription", input, keyId: keyArn }, () =>
        client.send(new UpdateKeyDescriptionCommand(input)),
      )
    },

    async getKeyPolicy(keyArn) {
      const operation = "GetKeyPolicy"
      const input = { KeyId: keyArn, PolicyName: POLICY_NAME }
      const output = await call({ operation, input, keyId: keyArn }, () => client.send(new GetKeyPolicyCommand(input)))
      return required(output.Policy, operation, "Policy")
    },

    async putKeyPolicy(keyArn, policy) {
      const input = { KeyId: keyArn, PolicyName: POLICY_NAME, Policy: policy }
      await call({ operation: "PutKeyPolicy", input, keyId: keyArn }, () => client.send(new PutKeyPolicyCommand(input)))
    },

    async enableKey(keyArn) {
      const input = { KeyId: keyArn }
      await call({ operation: "EnableKey", input, keyId: keyArn }, () => client.send(new EnableKeyCommand(input)))
    },

    async disableKey(keyArn) {
      const input = { KeyId: keyArn }
      await call({ operation: "DisableKey", input, keyId: keyArn }, () => client.send(new DisableKeyCommand(input)))
    },

    async scheduleKeyDeletion(keyArn, days) {
      const operation = "ScheduleKeyDeletion"
      const input = { KeyId: keyArn, PendingWindowInDays: days }
      const output = await call({ operation, input, keyId: keyArn }, () =>
        client.send(new ScheduleKeyDeletionCommand(input)),
      )
      // before 2021 KMS did not answer the state
      return { deletionDate: output.DeletionDate ?? null }
    },
  }
}
