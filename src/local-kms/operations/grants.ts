import { randomBytes } from "node:crypto"
import { findKey } from "../state/find-key.js"
import { requireState } from "../state/key-state.js"
import { KEY_ID, keyOperation, operation, USE_FIELDS } from "./operation.js"
import { byName, pageFields, pageOf, sourceOf } from "../protocol/page.js"
import { documented, recorded } from "../protocol/refusal.js"
import { flag, listOf, oneOf, required, struct, text, textMap } from "../protocol/request.js"
import type { Grant, Key } from "../state/state.js"

/** They are kept, listed and ended; nobody is terms for one, since no policy is enforced. */

const OPERATION = oneOf([
  "CreateGrant",
  "Decrypt",
  "DeriveSharedSecret",
  "DescribeKey",
  "Encrypt",
  "GenerateDataKey",
  "GenerateDataKeyPair",
  "GenerateDataKeyPairWithoutPlaintext",
  "GenerateDataKeyWithoutPlaintext",
  "GenerateMac",
  "GetPublicKey",
  "ReEncryptFrom",
  "ReEncryptTo",
  "RetireGrant",
  "Sign",
  "Verify",
  "VerifyMac",
])
const PRINCIPAL = text({ max: 256, pattern: /^[\w+=,.@:/-]+$/ })
const GRANT_ID = text({ max: 128 })
const CONSTRAINTS = struct({
  EncryptionContextSubset: textMap(),
  EncryptionContextEquals: textMap(),
  SourceArn: text({ max: 2048 }),
})

const idOf = (grant: Grant): string => grant.id

type Terms = Omit<Grant, "id" | "token" | "createdAt">

const termsOf = ({ name, grantee, retiring, operations, constraints }: Terms): string =>
  JSON.stringify([name, grantee, retiring, operations, constraints])

export const CreateGrant = keyOperation({
  state: "grant",
  mutates: true,
  request: {
    GranteePrincipal: required(PRINCIPAL),
    RetiringPrincipal: PRINCIPAL,
    Operations: required(listOf(OPERATION, { max: 100 })),
    Constraints: CONSTRAINTS,
    GrantTokens: USE_FIELDS.GrantTokens,
    Name: text({ max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/ }),
    DryRun: flag(),
  },
  run(key, request, { now }) {
    if (request.DryRun === true) throw recorded.dryRun()
    const terms = {
      name: request.Name,
      grantee: request.GranteePrincipal,
      retiring: request.RetiringPrincipal,
      operations: request.Operations,
      constraints: request.Constraints,
    }
    // a retry with the same name is the same grant
    const before = terms.name === undefined ? undefined : key.grants.find((grant) => termsOf(grant) === termsOf(terms))
    const grant = before ?? {
      id: randomBytes(32).toString("hex"),
      token: randomBytes(96).toString("base64url"),
      createdAt: now,
      ...terms,
    }
    if (before === undefined) key.grants = [...key.grants, grant]
    return { GrantToken: grant.token, GrantId: grant.id }
  },
})

const entryOf = (key: Key, grant: Grant): object => ({
  KeyId: key.arn,
  GrantId: grant.id,
  Name: grant.name ?? "",
  CreationDate: grant.createdAt / 1000,
  GranteePrincipal: grant.grantee,
  RetiringPrincipal: grant.retiring,
  IssuingAccount: `arn:aws:iam::${key.region.account}:root`,
  Operations: grant.operations,
  Constraints: grant.constraints,
})

export const ListGrants = keyOperation({
  state: "look",
  request: { GrantId: GRANT_ID, GranteePrincipal: PRINCIPAL, ...pageFields(100) },
  run(key, { GrantId, GranteePrincipal, ...request }) {
    const grants = key.grants.filter(
      ({ id, grantee }) => id === (GrantId ?? id) && grantee === (GranteePrincipal ?? grantee),
    )
    const { items, answer } = pageOf(sourceOf(byName(grants, idOf), idOf), idOf, request, 50)
    return { Grants: items.map((grant) => entryOf(key, grant)), ...answer }
  },
})

export const ListRetirableGrants = operation({
  request: { RetiringPrincipal: required(PRINCIPAL), ...pageFields(100) },
  run({ region }, { RetiringPrincipal, ...request }) {
    const grants = [...region.keys.values()].flatMap((key) =>
      key.grants.filter(({ retiring }) => retiring === RetiringPrincipal).map((grant) => ({ key, grant })),
    )
    const idOfEntry = ({ grant }: { readonly grant: Grant }): string => grant.id
    const { items, answer } = pageOf(sourceOf(byName(grants, idOfEntry), idOfEntry), idOfEntry, request, 50)
    return { Grants: items.map(({ key, grant }) => entryOf(key, grant)), ...answer }
  },
})

function endGrant(key: Key, grantId: string): void {
  if (!key.grants.some(({ id }) => id === grantId)) throw documented.noGrant(grantId)
  key.grants = key.grants.filter(({ id }) => id !== grantId)
}

export const RevokeGrant = keyOperation({
  state: "look",
  mutates: true,
  request: { GrantId: required(GRANT_ID), DryRun: flag() },
  run(key, { GrantId, DryRun }) {
    if (DryRun === true) throw recorded.dryRun()
    endGrant(key, GrantId)
    return {}
  },
})

export const RetireGrant = operation({
  request: { GrantToken: text({ max: 8192 }), KeyId: KEY_ID, GrantId: GRANT_ID, DryRun: flag() },
  run(context, { GrantToken, KeyId, GrantId, DryRun }) {
    const { region, changes } = context
    if ((GrantToken === undefined) === (KeyId === undefined || GrantId === undefined)) {
      throw documented.invalid("Specify either GrantToken, or KeyId and GrantId")
    }
    const key =
      KeyId === undefined
        ? [...region.keys.values()].find(({ grants }) => grants.some(({ token }) => token === GrantToken))
        : findKey(context, KeyId, "no-aliases")
    const grantId = GrantId ?? key?.grants.find(({ token }) => token === GrantToken)?.id
    if (key === undefined || grantId === undefined) throw documented.invalidGrantToken()
    requireState(key, "look")
    if (DryRun === true) throw recorded.dryRun()
    endGrant(key, grantId)
    changes.ofSet(key.set)
    return {}
  },
})
