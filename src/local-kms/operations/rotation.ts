import { isSymmetric } from "../material.js"
import { keyOperation } from "../operation.js"
import { byName, pageFields, pageOf } from "../page.js"
import { documented, recorded } from "../refusal.js"
import { oneOf, whole } from "../request.js"
import type { Key, Material } from "../state.js"

const MAX_ROTATIONS = 25

export const RotateKeyOnDemand = keyOperation({
  state: "use",
  mutates: true,
  request: {},
  run(key, _, { now, rotationTime }) {
    if (!isSymmetric(key.keySpec)) throw documented.notThisKeySpec(key.arn, key.keySpec)
    if (key.rotation !== undefined) throw documented.rotationInProgress(key.arn)
    if (key.rotations >= MAX_ROTATIONS) {
      throw documented.limit(`The on-demand rotation limit of ${MAX_ROTATIONS} for key ${key.arn} has been reached.`)
    }
    if (!key.materials.some((material) => material.state === "PENDING_ROTATION")) {
      throw recorded.nothingToRotate(key.arn)
    }
    key.rotation = { startedAt: now, endsAt: now + rotationTime }
    return { KeyId: key.arn }
  },
})

export const GetKeyRotationStatus = keyOperation({
  state: "look",
  request: {},
  run: (key) => ({
    KeyId: key.arn,
    KeyRotationEnabled: false,
    OnDemandRotationStartDate: key.rotation === undefined ? undefined : key.rotation.startedAt / 1000,
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

export const EnableKeyRotation = refuseAutomatic({ RotationPeriodInDays: whole(90, 2560) })
export const DisableKeyRotation = refuseAutomatic({})

/** An entry of ListKeyRotations. Expired material is IMPORTED there, with its past date. */
function rotationEntry(key: Key, material: Material): object {
  const imported = material.secret !== undefined || material.expired === true
  return {
    KeyId: key.arn,
    KeyMaterialId: material.id,
    KeyMaterialDescription: material.description,
    ImportState: imported ? "IMPORTED" : "PENDING_IMPORT",
    KeyMaterialState: material.state,
    ...(imported ? expiryOf(material) : {}),
    ...(material.rotatedAt === undefined ? {} : { RotationDate: material.rotatedAt / 1000, RotationType: "ON_DEMAND" }),
  }
}

const expiryOf = ({ validTo }: Material) =>
  validTo === undefined
    ? { ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" }
    : { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: validTo / 1000 }

export const ListKeyRotations = keyOperation({
  state: "look",
  request: { IncludeKeyMaterial: oneOf(["ROTATIONS_ONLY", "ALL_KEY_MATERIAL"]), ...pageFields(1000) },
  run(key, { IncludeKeyMaterial, ...request }) {
    const symmetric = isSymmetric(key.keySpec)
    if (!symmetric && IncludeKeyMaterial !== undefined) throw recorded.includeKeyMaterial()
    const listed = key.materials
      .map((material, index) => ({ material, order: String(index).padStart(6, "0") }))
      .filter(
        ({ material }) => symmetric && (IncludeKeyMaterial === "ALL_KEY_MATERIAL" || material.rotatedAt !== undefined),
      )
    const orderOf = (entry: { readonly order: string }) => entry.order
    const { items, answer } = pageOf(byName(listed, orderOf), orderOf, request, 100)
    return { Rotations: items.map(({ material }) => rotationEntry(key, material)), ...answer }
  },
})
