import { KeyferryError } from "../../core/base/error.js"
import { takenIn } from "../../core/key/partition.js"
import { wrapCandidates } from "../../core/key/negotiation.js"
import type { Account } from "../../core/key/aws-name.js"
import type { Token } from "../../core/ports/token.js"
import type { WrapCapability, WrappedKeyMaterial, WrapRequest } from "../../core/key/wrapping.js"
import { identityOf, type SourceKey } from "../../core/key/source-key.js"
import { base64, type Bundle } from "../../core/records/transfer.js"
import { type ImportParameters, sha256 } from "../../core/key/wrapping-key.js"
import { accountOf, refuseOtherAccount } from "../kms-key/account.js"
import { enforcementOf } from "../custody/policy.js"
import type { Deps } from "../deps.js"
import { evidenceOf } from "../import/prove.js"
import { chooseTested } from "../source-key/choose.js"

export interface WrapResult {
  readonly wrapped: WrappedKeyMaterial
  readonly source: SourceKey
  readonly bundle: Bundle
}

interface WrapTerms {
  readonly parameters: ImportParameters
  readonly expectFingerprint: string | null
  /** The accounts that the configuration pins the key's targets to; empty where it leaves one of them open. */
  readonly accounts: readonly Account[]
}

/**
 * Second of the three steps, on the host with the token: wraps a source key under parameters that came in a file. Asks
 * nothing of KMS. The bundle holds what the online host needs to prove the import.
 *
 * @throws ERR_POLICY_REFUSED, ERR_FINGERPRINT_MISMATCH before anything is wrapped; ERR_KEY_NOT_EXTRACTABLE, ERR_NO_USABLE_ALGORITHM
 */
export async function wrap(
  deps: Pick<Deps, "token" | "inventory" | "policy" | "progress">,
  source: SourceKey,
  { parameters, expectFingerprint, accounts }: WrapTerms,
): Promise<WrapResult> {
  const { wrappingKey, wrappingAlgorithm, wrappingKeySpec } = parameters
  if (expectFingerprint === null && deps.policy.requireFingerprint) {
    throw new KeyferryError(
      "ERR_POLICY_REFUSED",
      `the policy wants --expect-fingerprint for ${source.label}; the wrapping key here is ${wrappingKey.fingerprint}`,
      {
        key: source.label,
        hint: "give the fingerprint that `keyferry params` printed, come by another way than the file",
      },
    )
  }
  if (expectFingerprint !== null && expectFingerprint.toLowerCase() !== wrappingKey.fingerprint) {
    throw new KeyferryError(
      "ERR_FINGERPRINT_MISMATCH",
      `the wrapping key is ${wrappingKey.fingerprint}, not ${expectFingerprint}`,
      { key: source.label },
    )
  }
  if (source.attributes.extractable !== true) {
    throw new KeyferryError("ERR_KEY_NOT_EXTRACTABLE", `the source key ${source.label} is not extractable`, {
      key: source.label,
    })
  }
  const identity = identityOf(source.label)
  if (identity !== undefined) {
    await refuseOtherAccount(deps, { ...identity, target: null }, () => Promise.resolve(accountOf(parameters.keyArn)))
  }
  refuseUnpinned(deps, parameters.keyArn, accounts)
  const possible = wrapCandidates(source.keySpec, wrappingKeySpec, wrappingAlgorithm, deps.policy)
  const candidates = takenIn(accountOf(parameters.keyArn)?.partition ?? "aws", possible)
  const capability = await proven(deps.token, candidates, source)
  const { unenforced } = await enforcementOf(deps.token, source.custody, source.keySpec)
  const wrapped = await deps.token.wrap(source, wrappingKey, capability, parameters.keyArn)
  const { id, label, custody, kcv, publicKeyFingerprint } = source
  // an adopted key was an object of the token before it was sealed; what is wrapped is a session object
  const attributes = custody === "sealed" ? { ...source.attributes, token: false } : source.attributes
  return {
    wrapped,
    source,
    bundle: {
      version: 1,
      name: identity?.name ?? label,
      generation: identity?.generation ?? 0,
      keySpec: source.keySpec,
      keyId: parameters.keyArn,
      wrappingAlgorithm,
      wrappingKeySpec,
      wrapPath: wrapped.wrapPath,
      mechanisms: wrapped.mechanisms,
      wrappingKeyFingerprint: wrappingKey.fingerprint,
      importTokenDigest: sha256(parameters.importToken.reveal()),
      encryptedKeyMaterialDigest: sha256(wrapped.bytes),
      token: deps.token.info,
      sourceKey: { id, label, custody, unenforced, kcv, publicKeyFingerprint, attributes },
      proof: await bundleProof(deps, source),
    },
  }
}

/** An ARN shows the account; a bare key ID does not, and then the online step judges. */
function refuseUnpinned({ progress }: Pick<Deps, "progress">, keyId: string, accounts: readonly Account[]): void {
  const here = accountOf(keyId)
  if (here === undefined) {
    progress.warn(`the account of KMS key ${keyId} is not known here: the import will tell`)
    return
  }
  const isPinned = accounts.some(({ account, partition }) => account === here.account && partition === here.partition)
  if (accounts.length === 0 || isPinned) return
  const named = accounts.map(({ account, partition }) => `${account} in ${partition}`)
  throw new KeyferryError(
    "ERR_POLICY_REFUSED",
    `${keyId} is in account ${here.account}, and the key's targets are in ${[...new Set(named)].join(", ")}`,
    { key: keyId, hint: "these parameters are for another account's KMS key: fetch them for the right one" },
  )
}

/** The algorithm was chosen with the parameters, maybe by a host that cannot ask the token: it can be chosen again there. */
async function proven(
  token: Pick<Token, "selfTest">,
  candidates: readonly WrapRequest[],
  source: SourceKey,
): Promise<WrapCapability> {
  try {
    return (await chooseTested(token, candidates)).capability
  } catch (error) {
    if (!(error instanceof KeyferryError && error.code === "ERR_NO_USABLE_ALGORITHM")) throw error
    const hint =
      "`keyferry token probe` shows what this token can carry: fetch parameters again by `keyferry params` with " +
      "--key-id and that --wrapping-algorithm"
    throw new KeyferryError(error.code, error.message, { hint, key: source.label, causes: error.causes, cause: error })
  }
}

async function bundleProof(deps: Pick<Deps, "token">, source: SourceKey): Promise<Bundle["proof"]> {
  const evidence = await evidenceOf(deps, source)
  if (evidence.kind === "public-key") return { publicKey: base64(evidence.publicKey) }
  if (evidence.kind === "none") return null
  return { nonce: Buffer.from(evidence.nonce).toString("hex"), mac: Buffer.from(evidence.mac).toString("hex") }
}
