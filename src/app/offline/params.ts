import { partitionOf, takenIn } from "../../core/key/partition.js"
import { randomUUID } from "node:crypto"
import { errorOf, KeyferryError } from "../../core/base/error.js"
import type { ImportParameters } from "../../core/key/wrapping-key.js"
import { beginEntry } from "../../core/records/inventory.js"
import { isKeySpec, type KeySpec, whyNotCarried, type WrappingKeySpec } from "../../core/key/key-spec.js"
import type { SettingsFor } from "../../core/manifest/key-settings.js"
import { wrapCandidates, type WantedAlgorithm } from "../../core/key/negotiation.js"
import type { CustodialToken } from "../../core/ports/custodial-token.js"
import { labelOf, newSourceKeyId } from "../../core/key/source-key.js"
import type { WrappingAlgorithm } from "../../core/key/wrapping-algorithm.js"
import { accountOf, refuseOtherAccount } from "../kms-key/account.js"
import { createKeyOnce } from "../kms-key/create.js"
import type { Deps } from "../deps.js"
import { assertTakesImport, resolveKey } from "../kms-key/find.js"
import { refuseUnknownKey } from "../kms-key/unknown-keys.js"
import { settled } from "../kms-key/eventual.js"
import { refuseLostCustodyKey } from "../custody/custody-key.js"
import { chooseTested } from "../source-key/choose.js"

export interface ParamsRequest {
  readonly owner: string
  readonly target: string
  /** Whose material is to be wrapped; null where nobody said. */
  readonly name: string | null
  /** An existing key; null to have one made first, which then needs `create`. */
  readonly keyId: string | null
  readonly wrappingAlgorithm: WantedAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly create: Creation | null
}

/** The KMS key that is made where none is named. */
interface Creation extends SettingsFor<"params"> {
  readonly owner: string
  readonly name: string
  readonly target: string
}

export interface ParamsResult {
  readonly parameters: ImportParameters
  readonly keySpec: KeySpec
  /** Why this wrapping algorithm. */
  readonly why: string
}

type ParamsDeps = Omit<Deps, "token"> & { readonly token: CustodialToken | null }

/**
 * First of the three steps: import parameters for one KMS key, which is created first where none is named. With a token
 * at hand `auto` takes what that token has proven; without one it takes what KMS prefers, and `wrap` will tell.
 */
export async function params(deps: ParamsDeps, request: ParamsRequest): Promise<ParamsResult> {
  const described = request.keyId === null ? null : await resolveKey(deps.kms, request.keyId)
  const keySpec = described?.keySpec ?? request.create?.keySpec ?? ""
  if (!isKeySpec(keySpec)) {
    throw new KeyferryError(
      "ERR_KMS_KEY_MISMATCH",
      whyNotCarried(keySpec) ?? `key material of ${keySpec} cannot be imported`,
      {
        key: request.keyId ?? "",
      },
    )
  }
  if (described !== null) assertTakesImport(described, { keySpec, pendingOnly: false })
  const { token } = deps
  if (token !== null && request.create !== null) await refuseLostCustodyKey({ ...deps, token }, request.create)
  const { algorithm, why } = await choose(deps, keySpec, request)
  deps.progress.step(`algorithm ${algorithm}: ${why}`)
  await refuseOtherAccount(deps, { ...request, name: request.create?.name ?? request.name }, async () =>
    described === null ? await deps.kms.callersAccount() : accountOf(described.keyArn),
  )
  const keyArn = described?.keyArn ?? (await ensureKey(deps, request))
  try {
    const parameters = await settled(deps, keyArn, () =>
      deps.kms.getParametersForImport(keyArn, algorithm, request.wrappingKeySpec),
    )
    return { parameters, keySpec, why }
  } catch (error) {
    throw errorOf(error, keyArn)
  }
}

async function choose(
  deps: ParamsDeps,
  keySpec: KeySpec,
  { wrappingAlgorithm, wrappingKeySpec }: ParamsRequest,
): Promise<{ algorithm: WrappingAlgorithm; why: string }> {
  const possible = wrapCandidates(keySpec, wrappingKeySpec, wrappingAlgorithm, deps.policy)
  const candidates = takenIn(partitionOf(deps.kms.region), possible)
  const { token } = deps
  if (token !== null) {
    const { capability, why } = await chooseTested(token, candidates)
    return { algorithm: capability.wrappingAlgorithm, why }
  }
  const [best] = candidates
  if (best === undefined) throw new KeyferryError("ERR_BUG", "no candidate algorithm")
  const why =
    wrappingAlgorithm === "auto"
      ? `what KMS prefers for ${keySpec}; no token at hand to ask`
      : "as asked; no token at hand to ask"
  return { algorithm: best.wrappingAlgorithm, why }
}

/** Creates the KMS key of a name, or takes up the one that an earlier run created for it. */
async function ensureKey(deps: ParamsDeps, { create }: ParamsRequest): Promise<string> {
  if (create === null)
    throw new KeyferryError("ERR_USAGE", "give --key-id, or --name and --key-spec to have a KMS key made")
  const { owner, name, target, keySpec, keyUsage, custody, description, tags, keyPolicy, multiRegion } = create
  const recorded = await deps.inventory.get(name, target)
  if (
    recorded !== undefined &&
    (recorded.keySpec !== keySpec || recorded.keyUsage !== keyUsage || recorded.imports.length > 0)
  ) {
    throw new KeyferryError("ERR_NAME_TAKEN", `the name ${name} is taken by a ${recorded.keySpec} key`, {
      key: recorded.keyArn ?? name,
    })
  }
  const label = labelOf({ owner, name, generation: 0 })
  const [existing] = deps.token === null ? [] : await deps.token.findSourceKeys({ label })
  if (existing !== undefined && existing.keySpec !== keySpec) {
    throw new KeyferryError("ERR_NAME_TAKEN", `the token's key ${label} has the key spec ${existing.keySpec}`, {
      key: name,
    })
  }
  const identity = {
    owner,
    name,
    target,
    region: deps.kms.region,
    keySpec,
    keyUsage,
    custody,
    alias: null,
    multiRegion,
  }
  if (recorded === undefined) await refuseUnknownKey(deps, create)
  const entry =
    recorded ?? beginEntry(identity, { id: existing?.id ?? newSourceKeyId(), label }, randomUUID(), deps.clock.now())
  return entry.keyArn ?? (await createKeyOnce(deps, entry, { description, tags, policy: keyPolicy })).keyArn
}
