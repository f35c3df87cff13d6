import { materialState } from "../state/key-state.js"
import { isSymmetric } from "../state/material.js"
import { keyOperation } from "./operation.js"
import { pageFields, pageOf, sourceOf } from "../protocol/page.js"
import { documented, recorded } from "../protocol/refusal.js"
import { oneOf, wholeNumber } from "../protocol/request.js"
import { type Holding, isPrimary, type Key, type Material } from "../state/state.js"

const MAX_ROTATIONS = 25

export const RotateKeyOnDemand = keyOperation({
  state: "changeSet",
  mutates: true,
  request: {},
  run(key, _, { now, rotationTime }) {
    if (!isSymmetric(key.keySpec)) throw recorded.notThisKeySpec()
    const { set } = key
    if (!isPrimary(key)) throw recorded.notPrimary(key.arn)
    if (set.rotation !== undefined) throw documented.rotationInProgress(key.arn)
    if (set.rotations >= MAX_ROTATIONS) {
      throw recorded.rotationsSpent(key.arn)
    }
    const pending = set.materials.find((material) => material.state === "PENDING")
    if (pending === undefined) throw recorded.nothingToRotate(key.arn)
    if (materialState(set, pending) !== "PENDING_ROTATION") throw recorded.missingInReplicas()
    set.rotation = { startedAt: now, endsAt: now + rotationTime }
    return { KeyId: key.arn }
  },
})

export const GetKeyRotationStatus = keyOperation({
  state: "look",
  request: {},
  run: (key) => ({
    KeyId: key.arn,
    KeyRotationEnabled: false,
    OnDemandRotationStartDate: key.set.rotation && key.set.rotation.startedAt / 1000,
  }),
})

const refuseAutomatic = (request: Parameters<typeof keyOperation>[0]["request"]) =>
  keyOperation({
    state: "look",
    request,
    run(key) {
      throw recorded.externalOrigin(key.arn)
    },
  })

export const EnableKeyRotation = refuseAutomatic({ RotationPeriodInDays: wholeNumber(90, 2560) })
export const DisableKeyRotation = refuseAutomatic({})

/** An entry of ListKeyRotations. Expired material is IMPORTED there, with its past date. */
function rotationEntry(key: Key, material: Material): object {
  const holding = key.holdings.get(material.id)
  return {
    KeyId: key.arn,
    KeyMaterialId: material.id,
    KeyMaterialDescription: material.description,
    ImportState: holding ? "IMPORTED" : "PENDING_IMPORT",
    KeyMaterialState: materialState(key.set, material),
    ...(holding ? expiryOf(holding) : {}),
    ...(material.rotatedAt === undefined ? {} : { RotationDate: material.rotatedAt / 1000, RotationType: "ON_DEMAND" }),
  }
}

const expiryOf = ({ validTo }: Holding) =>
  validTo === undefined
    ? { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }
    : { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: validTo / 1000 }

export const ListKeyRotations = keyOperation({
  state: "look",
  request: { IncludeKeyMaterial: oneOf(["ROTATIONS_ONLY", "ALL_KEY_MATERIAL"]), ...pageFields(1000) },
  run(key, { IncludeKeyMaterial, ...request }) {
    const symmetric = isSymmetric(key.keySpec)
    if (!symmetric && IncludeKeyMaterial !== undefined) throw recorded.includeKeyMaterial()
    const listed = key.set.materials
      .map((material, index) => ({ material, order: String(index).padStart(6, "0") }))
      .filter(
        ({ material }) => symmetric && (IncludeKeyMaterial === "ALL_KEY_MATERIAL" || material.rotatedAt !== undefined),
      )
    const orderOf = (entry: { readonly order: string }) => entry.order
    const { items, answer } = pageOf(sourceOf(listed, orderOf), orderOf, request, 100)
    return { Rotations: items.map(({ material }) => rotationEntry(key, material)), ...answer }
  },
})
